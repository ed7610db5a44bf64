"""What the models of a study took: time, floating-point operations, energy, carbon, loads and memory.

What was measured and what was estimated are never added up, and what is not on record is None.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import TypeVar

from mgu.history import Energy, Flops, Result, Usage
from mgu.report.summary import Summary
from mgu.report.tables import hardened_records
from mgu.study.trial import ENDED, Record, StudyView

#: A part of the machine, and whether its energy was "measured" or "estimated".
Kind = tuple[str, str]
KeyT = TypeVar("KeyT")
LOADS = ("device_load_mean", "device_load_peak", "cpu_load_mean", "cpu_load_peak", "others_load_mean")
MEMORIES = ("memory_peak_mb", "device_memory_peak_mb")


@dataclass(frozen=True)
class Spent:
    """What a model's ended ``trials`` took, each figure the mean over those that have it on record; of peaks the
    highest. Energy is in kWh by part and source, ``partly`` are those that some of the trials lack, carbon in kg
    CO2-equivalent by source, ``usage`` the loads and memories by the names that ``Usage`` has for them. ``disturbed``
    of the ``metered`` trials, whose surroundings are on record, were not alone on their machine.
    """

    name: str
    is_mgu: bool
    trials: int
    tts_s: float
    train_s: float
    compile_s: float
    step_flops: Flops | None = None
    run_flops: Flops | None = None
    energy: Mapping[Kind, float] = field(default_factory=dict)
    partly: frozenset[Kind] = frozenset()
    carbon: Mapping[str, float] = field(default_factory=dict)
    usage: Mapping[str, float] = field(default_factory=dict)
    metered: int = 0
    disturbed: int = 0


@dataclass(frozen=True)
class MeterUse:
    """A meter, or why there was none, and of how many networks."""

    part: str
    source: str
    meter: str
    networks: int


@dataclass(frozen=True)
class Spending:
    """A study's costs: by model, best first, and of the whole grid, a sum over its models that is known only of what
    every one of them has; ``mgu`` is the MGU network that is compared with it, as hardened where it was, over the seeds
    of the grid's cost. ``disturbed`` of the ``metered`` trials were not alone on their machine. ``places`` are the
    countries that carbon is reckoned for, with their intensities in g CO2-equivalent per kWh."""

    rows: tuple[Spent, ...]
    grid: Spent | None
    mgu: Spent | None
    meters: tuple[MeterUse, ...]
    metered: int
    disturbed: int
    places: tuple[tuple[str, float], ...] = ()

    def row(self, name: str) -> Spent | None:
        return next((row for row in self.rows if row.name == name), None)


def spending(view: StudyView, summary: Summary) -> Spending:
    """What the models of a study took, whatever part of it has ended."""
    networks = _networks(view)
    of_model = {row.model_name: [r for r in networks if r.trial.model_name == row.model_name] for row in summary.rows}
    rows = [_spent(name, records) for name, records in of_model.items() if _results(records)]
    alone = [_alone(record) for record in view.records]
    return Spending(
        rows=tuple(rows),
        grid=_grid(view, summary),
        mgu=_mgu(networks, summary),
        meters=_meters(_results(networks)),
        metered=sum(known is not None for known in alone),
        disturbed=sum(known is False for known in alone),
        places=_places(_results(networks)),
    )


def _mgu(networks: Iterable[Record], summary: Summary) -> Spent | None:
    row = summary.hardened.row if summary.hardened else summary.best_mgu
    if not row or not summary.grid_cost:
        return None
    seeds = summary.grid_cost.seeds
    records = [r for r in networks if r.trial.model_name == row.model_name and r.trial.seed in seeds]
    return _spent(row.model_name, records) if _results(records) else None


def _networks(view: StudyView) -> list[Record]:
    """The records, and those of what was hardened."""
    by_model: dict[str, list[Record]] = {}
    for record in view.records:
        by_model.setdefault(record.trial.model_name, []).append(record)
    return [*view.records, *(hard for records in by_model.values() for hard in hardened_records(records))]


def _results(records: Iterable[Record]) -> list[Result]:
    return [record.result for record in records if record.status in ENDED and record.result]


def _alone(record: Record) -> bool | None:
    """Whether a trial, its hardened network's training too, had its machine for itself; None where nobody looked."""
    results = _results(found for found in (record, record.hardened) if found)
    usages = [result.usage for result in results if result.usage and result.usage.others_load_mean is not None]
    return not any(usage.disturbed for usage in usages) if usages else None


def _spent(name: str, records: Sequence[Record]) -> Spent:
    results = _results(records)
    usages = [result.usage for result in results if result.usage]
    looked = [usage for usage in usages if usage.others_load_mean is not None]
    by_trial = [energies(result.usage) for result in results]
    return Spent(
        name,
        records[0].trial.is_mgu,
        len(results),
        tts_s=fmean(result.tts_s for result in results),
        train_s=fmean(result.train_s for result in results),
        compile_s=fmean(result.compile_s for result in results),
        step_flops=_mean_flops(result.step_flops for result in results),
        run_flops=_mean_flops(result.run_flops for result in results),
        energy=_means(by_trial),
        partly=frozenset(kind for known in by_trial for kind in known if not all(kind in of for of in by_trial)),
        carbon=_means(map(_carbon, usages)),
        usage=_usage(usages),
        metered=len(looked),
        disturbed=sum(usage.disturbed for usage in looked),
    )


def energies(usage: Usage | None) -> dict[Kind, float]:
    """The energy of a whole run in kWh, by part and source; empty where none is known."""
    totals: dict[Kind, float] = {}
    for entry in usage.whole_energy if usage else ():
        totals[entry.part, entry.source] = totals.get((entry.part, entry.source), 0.0) + (entry.kwh or 0.0)
    return totals


def _carbon(usage: Usage | None) -> dict[str, float]:
    found = {"measured": usage.measured_carbon_kg, "estimated": usage.estimated_carbon_kg} if usage else {}
    return {source: kg for source, kg in found.items() if kg is not None}


def _usage(usages: Sequence[Usage]) -> dict[str, float]:
    known = {name: [getattr(usage, name) for usage in usages] for name in (*LOADS, *MEMORIES)}
    found = {name: [value for value in values if value is not None] for name, values in known.items()}
    return {name: (max if "peak" in name else fmean)(values) for name, values in found.items() if values}


def _means(found: Iterable[Mapping[KeyT, float]]) -> dict[KeyT, float]:
    """By key, the mean of those that have it."""
    values: dict[KeyT, list[float]] = {}
    for known in found:
        for key, value in known.items():
            values.setdefault(key, []).append(value)
    return {key: fmean(several) for key, several in values.items()}


def _per_seed(found: Sequence[Mapping[KeyT, float]], seeds: int) -> dict[KeyT, float]:
    """By key, the sum for one seed, where all have it."""
    shared = [key for key in found[0] if all(key in known for known in found)]
    return {key: sum(known[key] for known in found) / seeds for key in shared}


def _flops_per_seed(found: Sequence[Flops | None], seeds: int) -> Flops | None:
    known = [flops for flops in found if flops]
    if len(known) < len(found):
        return None
    total = sum(known, Flops(0, 0))
    return Flops(round(total.matrix / seeds), round(total.every / seeds))


def _mean_flops(found: Iterable[Flops | None]) -> Flops | None:
    known = [flops for flops in found if flops]
    if not known:
        return None
    return Flops(round(fmean(flops.matrix for flops in known)), round(fmean(flops.every for flops in known)))


def _grid(view: StudyView, summary: Summary) -> Spent | None:
    """All plain models together, for one seed: the mean over those that the grid's cost is of."""
    cost = summary.grid_cost
    if not cost:
        return None
    plain = [r for r in view.records if r.trial.kind == "plain" and r.trial.seed in cost.seeds]
    results = _results(plain)
    seeds = len(cost.seeds)
    return Spent(
        f"the whole grid of {cost.models}",
        is_mgu=False,
        trials=len(results),
        tts_s=cost.total_s,
        train_s=sum(result.train_s for result in results) / seeds,
        compile_s=cost.compile_s,
        run_flops=_flops_per_seed([result.run_flops for result in results], seeds),
        energy=_per_seed([energies(result.usage) for result in results], seeds),
        carbon=_per_seed([_carbon(result.usage) for result in results], seeds),
        metered=sum(_alone(record) is not None for record in plain),
        disturbed=sum(_alone(record) is False for record in plain),
    )


def _meters(results: Iterable[Result]) -> tuple[MeterUse, ...]:
    entries = [entry for result in results if result.usage for entry in result.usage.energy]
    return tuple(MeterUse(*known, count) for known, count in Counter(map(_meter, entries)).items())


def _places(results: Iterable[Result]) -> tuple[tuple[str, float], ...]:
    known = ((result.usage.country, result.usage.carbon_intensity) for result in results if result.usage)
    return tuple(dict.fromkeys((country, grams) for country, grams in known if country and grams is not None))


def _meter(entry: Energy) -> tuple[str, str, str]:
    return entry.part, entry.source, entry.meter
