"""Figures over seeds, and how figures are said."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import floor, isfinite, log10
from statistics import fmean, stdev

UNKNOWN = "-"


@dataclass(frozen=True)
class MeanSd:
    """A mean over seeds, and the sample standard deviation, which a single seed does not have, nor figures of which one
    is infinite."""

    mean: float
    sd: float | None

    @classmethod
    def of(cls, figures: Iterable[float]) -> "MeanSd | None":
        """Those of the figures; None where there are none."""
        known = list(figures)
        spread = stdev(known) if len(known) > 1 and all(map(isfinite, known)) else None
        return cls(fmean(known), spread) if known else None


def number(value: float | None, digits: int = 2) -> str:
    """A figure with so many decimals: 99.32; from a thousand on with three digits in all: -1.25e+08."""
    if value is None:
        return UNKNOWN
    return f"{value:.{digits}f}" if abs(value) < 1000 else f"{value:.3g}"


def mean_sd(figure: MeanSd | None, digits: int = 2) -> str:
    """A mean and, over several seeds, its standard deviation: 99.32 ± 0.05."""
    if figure is None:
        return UNKNOWN
    return number(figure.mean, digits) + ("" if figure.sd is None else f" ± {number(figure.sd, digits)}")


def quantity(figure: MeanSd | None) -> str:
    """A quantity of any size with four digits, its standard deviation with as many decimals: 54.32 ± 1.20, 45,210 ±
    310, 1.234e-07 ± 2.000e-09."""
    if figure is None:
        return UNKNOWN
    size = abs(figure.mean)
    if size and not 1e-4 <= size < 1e9:
        shown = ".3e"
    else:
        shown = f",.{max(0, 3 - floor(log10(size)))}f" if size else ".4g"
    return f"{figure.mean:{shown}}" + ("" if figure.sd is None else f" ± {figure.sd:{shown}}")


def mean_of(figure: MeanSd | None) -> float | None:
    return figure.mean if figure else None
