"""Quantities as text, to three digits, with the prefix that keeps them short."""

from mgu.history import Flops
from mgu.report.figures import UNKNOWN

_PREFIXES = (("n", 1e-9), ("µ", 1e-6), ("m", 1e-3), ("", 1.0), ("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12))


def quantity(value: float, unit: str) -> str:
    """A quantity that is not negative: 12.3 GFLOP, 450 mWh, 0 B."""
    prefix, scale = _scale(value)
    return f"{_digits(value / scale)} {prefix}{unit}"


def flops(count: Flops | None) -> str:
    """Floating-point operations, those of matrix products and all of them: 12.3 / 12.9 GFLOP."""
    if count is None:
        return UNKNOWN
    prefix, scale = _scale(count.every)
    return f"{_digits(count.matrix / scale)} / {_digits(count.every / scale)} {prefix}FLOP"


def _scale(value: float) -> tuple[str, float]:
    """The prefix, and what it stands for, that leaves 1 to 999 before the point."""
    return next((known for known in _PREFIXES if 0 < value < 999.5 * known[1]), ("P", 1e15) if value else ("", 1.0))


def _digits(value: float) -> str:
    return f"{value:#.3g}".rstrip(".") if 0 < value < 999.5 else f"{value:,.0f}"


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
