"""What a trial's row of results.csv has of its answers on the test split, and of what the trial took."""

from typing import Any

from mgu.history import Answers, Result, Usage
from mgu.metrics import metrics

#: In per cent, plain means over the classes; the log-loss is in nats.
ANSWER_COLUMNS = ("test_precision", "test_recall", "test_f1", "test_log_loss")
_PARTS, _SOURCES = ("cpu", "ram", "gpu"), ("measured", "estimated")
_KWH = tuple(f"{part}_{source}_kwh" for part in _PARTS for source in _SOURCES)
_LOADS = (
    "device_load_mean", "device_load_peak", "cpu_load_mean", "cpu_load_peak", "others_load_mean", "memory_peak_mb",
    "device_memory_peak_mb",
)  # fmt: skip
#: Operations, kWh, kg CO2-equivalent, shares of the GPU, cores, and MB, as ``mgu.history.Usage`` has them.
COST_COLUMNS = (
    "step_flops_matrix", "step_flops_every", "run_flops_matrix", "run_flops_every", *_KWH, "measured_kwh",
    "estimated_kwh", "energy_meters", "measured_carbon_kg", "estimated_carbon_kg", "country", *_LOADS, "disturbed",
)  # fmt: skip


def answer_cells(result: Result | None) -> dict[str, Any]:
    """The cells under ``ANSWER_COLUMNS``, to 4 decimals and the log-loss to 6; None where nothing is on record."""
    if not result or not isinstance(result.test_answers, Answers):
        return dict.fromkeys(ANSWER_COLUMNS)
    macro = metrics(result.test_answers).macro
    per_cent = (round(100 * figure, 4) for figure in (macro.precision, macro.recall, macro.f1))
    return dict(zip(ANSWER_COLUMNS, (*per_cent, round(result.test_answers.log_loss, 6)), strict=True))


def cost_cells(result: Result | None) -> dict[str, Any]:
    """The cells under ``COST_COLUMNS``, energy and carbon to 6 digits; None where nothing is on record."""
    known: dict[str, Any] = dict.fromkeys(COST_COLUMNS)
    for name in ("step_flops", "run_flops"):
        flops = getattr(result, name, None)
        if flops:
            known |= {f"{name}_matrix": flops.matrix, f"{name}_every": flops.every}
    return known | (_usage_cells(result.usage) if result and result.usage else {})


def _usage_cells(usage: Usage) -> dict[str, Any]:
    sums = ("measured_kwh", "estimated_kwh", "measured_carbon_kg", "estimated_carbon_kg")
    return {
        **{name: kwh for name in _KWH if (kwh := _kwh(usage, name)) is not None},
        **{name: _digits(getattr(usage, name)) for name in sums},
        "energy_meters": "; ".join(f"{entry.part} {entry.source}: {entry.meter}" for entry in usage.energy),
        "country": usage.country,
        **{name: None if (load := getattr(usage, name)) is None else round(load, 3) for name in _LOADS},
        "disturbed": None if usage.others_load_mean is None else usage.disturbed,
    }


def _kwh(usage: Usage, name: str) -> float | None:
    figures = [
        entry.kwh for entry in usage.energy if f"{entry.part}_{entry.source}_kwh" == name and entry.kwh is not None
    ]
    return _digits(sum(figures)) if figures else None


def _digits(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
