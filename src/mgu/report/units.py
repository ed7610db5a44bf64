"""Quantities as text, to three digits, with the prefix that keeps them short."""

from mgu.history import Flops
from mgu.report.words import UNKNOWN

_PREFIXES = (("n", 1e-9), ("µ", 1e-6), ("m", 1e-3), ("", 1.0), ("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12))


def quantity(value: float, unit: str) -> str:
    """A quantity that is not negative: 12.3 GFLOP, 450 mWh, 0 B."""
    prefix, scale = next(((p, s) for p, s in _PREFIXES if 0 < value < 999.5 * s), ("P", 1e15) if value else ("", 1.0))
    return f"{float(f'{value / scale:.3g}'):,g} {prefix}{unit}"


def flops(count: Flops | None) -> str:
    """Floating-point operations: those of matrix products, and all of them."""
    return UNKNOWN if count is None else f"{quantity(count.matrix, 'FLOP')} / {quantity(count.every, 'FLOP')}"


def energy(kwh: float | None) -> str:
    return UNKNOWN if kwh is None else quantity(1000 * kwh, "Wh")


def carbon(kg: float | None) -> str:
    """CO2-equivalent."""
    return UNKNOWN if kg is None else quantity(1000 * kg, "g")


def memory(megabytes: float | None) -> str:
    return UNKNOWN if megabytes is None else quantity(1e6 * megabytes, "B")


def cores(load: float | None) -> str:
    return UNKNOWN if load is None else f"{load:.2f}"


def share(load: float | None) -> str:
    return UNKNOWN if load is None else f"{100 * load:.0f} %"
