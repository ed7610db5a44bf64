"""What a trial's row of results.csv has of its answers on the test split, and of what the trial took."""

from collections.abc import Mapping
from typing import Any

from mgu.history import Answers, Errors, Result, Usage
from mgu.metrics import metrics
from mgu.report.score import ACCURACY, R2, Score

_CLASS_METRICS = ("precision", "recall", "f1", "log_loss")
#: By score. Of classes all is in per cent, plain means over the classes, but the log-loss, which is in nats; errors are
#: in the target's unit.
ANSWER_COLUMNS: Mapping[Score, tuple[str, ...]] = {
    ACCURACY: (
        *(f"test_{name}" for name in _CLASS_METRICS),
        *(f"case_{name}" for name in ("accuracy", *_CLASS_METRICS)),
    ),
    R2: ("test_mae", "test_rmse"),
}
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
    """What is on record of the cells under ``ANSWER_COLUMNS``, to 4 decimals, the log-loss to 6, errors to 6 digits."""
    known: dict[str, Any] = {}
    if result and isinstance(result.test_answers, Answers):
        known |= _class_cells("test", result.test_answers)
    if result and isinstance(result.test_answers, Errors):
        known |= {"test_mae": _digits(result.test_answers.mae), "test_rmse": _digits(result.test_answers.rmse)}
    if result and result.test_case_answers:
        known |= _class_cells("case", result.test_case_answers)
    return known


def _class_cells(prefix: str, answers: Answers) -> dict[str, Any]:
    found = metrics(answers)
    fractions = {
        "accuracy": found.accuracy,
        "precision": found.macro.precision,
        "recall": found.macro.recall,
        "f1": found.macro.f1,
    }
    per_cent = {f"{prefix}_{name}": round(100 * fraction, 4) for name, fraction in fractions.items()}
    return per_cent | {f"{prefix}_log_loss": round(answers.log_loss, 6)}


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
    entries = [entry for entry in usage.whole_energy if f"{entry.part}_{entry.source}_kwh" == name]
    return _digits(sum(entry.kwh or 0.0 for entry in entries)) if entries else None


def _digits(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
