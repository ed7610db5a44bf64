"""The usage of two stretches as that of one."""

from collections.abc import Iterable

from mgu.errors import InputError
from mgu.history import Energy, Usage
from mgu.measure.reading import larger


def combined(one: Usage, other: Usage) -> Usage:
    """The usage of two stretches of time together, in either order.

    Durations are added, and the energies of the same part and source: what was measured and what was estimated stay
    apart, and so does what was absent in one of them: ``Usage.whole_energy`` has no such part. Mean loads are (d1 l1 +
    d2 l2) / (d1 + d2) with the durations d, peaks the larger. What either does not know is None.

    Raises InputError where the countries or their carbon intensities differ.
    """
    places = [(usage.country, usage.carbon_intensity) for usage in (one, other)]
    if places[0] != places[1]:
        raise InputError(f"usages of {places[0]} and {places[1]} (country, g/kWh) do not combine; measure both alike")

    def mean(a: float | None, b: float | None) -> float | None:
        if a is None or b is None:
            return None
        return (one.duration_s * a + other.duration_s * b) / (one.duration_s + other.duration_s)

    return Usage(
        energy=_added((*one.energy, *other.energy)),
        device_load_mean=mean(one.device_load_mean, other.device_load_mean),
        device_load_peak=larger(one.device_load_peak, other.device_load_peak),
        cpu_load_mean=mean(one.cpu_load_mean, other.cpu_load_mean),
        cpu_load_peak=larger(one.cpu_load_peak, other.cpu_load_peak),
        others_load_mean=mean(one.others_load_mean, other.others_load_mean),
        memory_peak_mb=larger(one.memory_peak_mb, other.memory_peak_mb),
        device_memory_peak_mb=larger(one.device_memory_peak_mb, other.device_memory_peak_mb),
        carbon_intensity=one.carbon_intensity,
        country=one.country,
        duration_s=one.duration_s + other.duration_s,
    )


def _added(entries: Iterable[Energy]) -> tuple[Energy, ...]:
    """One entry for each part and source, with the names of all its meters."""
    alike: dict[tuple[str, str], list[Energy]] = {}
    for entry in entries:
        alike.setdefault((entry.part, entry.source), []).append(entry)
    return tuple(
        Energy(part, _sum(entry.kwh for entry in group), source, " | ".join(dict.fromkeys(e.meter for e in group)))
        for (part, source), group in alike.items()
    )


def _sum(figures: Iterable[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return sum(known) if known else None
