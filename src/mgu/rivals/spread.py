"""Medians, quartiles and intervals of figures over seeds, infinite ones among them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import floor, isinf

import numpy as np

#: Resamples of the bootstrap.
RESAMPLES = 9_999


@dataclass(frozen=True)
class Spread:
    """The median of figures, and their quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, figures: Iterable[float]) -> "Spread | None":
        """That of the figures; None where there are none."""
        known = sorted(figures)
        return cls(*(quantile(known, share) for share in (0.5, 0.25, 0.75))) if known else None


@dataclass(frozen=True)
class Paired:
    """Differences by seed: their spread, their mean, and its 95 % interval, which a single seed does not have."""

    by_seed: tuple[tuple[int, float], ...]
    spread: Spread
    mean: float
    interval: tuple[float, float] | None

    @classmethod
    def of(cls, by_seed: Sequence[tuple[int, float]]) -> "Paired | None":
        """That of (seed, difference) pairs; None where there are none."""
        differences = [difference for _, difference in by_seed]
        spread = Spread.of(differences)
        if not spread:
            return None
        return cls(tuple(by_seed), spread, sum(differences) / len(differences), bootstrap(differences))


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which that share of the ordered values lies, linear between two of them; between a finite one
    and infinity it is infinite."""
    place = share * (len(ordered) - 1)
    below = ordered[floor(place)]
    weight = place - floor(place)
    if not weight:
        return below
    above = ordered[floor(place) + 1]
    return above if isinf(above) else (1 - weight) * below + weight * above


def bootstrap(
    figures: Sequence[float], *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float] | None:
    """The percentile interval of the mean: the quantiles (1 - level) / 2 and (1 + level) / 2 of the means of resamples
    with replacement. None for fewer than two figures.

    It lies within the figures' range, and is too narrow for few of them: with three, that range is all that it sees.

    Source: Efron, "Bootstrap methods: another look at the jackknife" (1979).
    """
    if len(figures) < 2:
        return None
    drawn = np.random.default_rng(seed).choice(np.asarray(figures), (resamples, len(figures)))
    low, high = np.quantile(drawn.mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
