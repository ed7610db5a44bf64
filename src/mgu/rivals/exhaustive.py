"""Searches that train cells to their end and stop none of them early."""

import random
from collections.abc import Iterator, Sequence
from math import inf
from statistics import fmean

from mgu.rivals.replay import Outcome, Stretch, best, paid, whole
from mgu.rivals.runs import Run


def grid(runs: Sequence[Run], target: float, seed: int) -> Outcome:
    """Every cell, one after the other in the study's order."""
    return paid(whole(runs), target)


def parallel(runs: Sequence[Run], target: float, seed: int) -> Outcome:
    """Every cell at once on a machine of its own: wall time, where all others are also the time of machines."""
    return Outcome(max(run.total_s for run in runs), min(run.reached_s(target) for run in runs), best(runs))


def oracle(runs: Sequence[Run], target: float, seed: int) -> Outcome:
    """One cell alone, known beforehand: to the end the one with the best validation (of equals the cheapest), to the
    target the one that is there first. No search of these cells, one after the other, pays less for as much."""
    top = best(runs)
    equal = [run for run in runs if top and run.val_score == top.val_score]
    pick = min(equal, key=lambda run: run.total_s, default=None)
    cost_s = min(run.total_s for run in equal or runs)
    return Outcome(cost_s, min(run.reached_s(target) for run in runs), pick)


def random_order(runs: Sequence[Run], target: float, seed: int) -> Outcome:
    """The cells in random order until one has met the target; all of them where none does."""

    def stretches() -> Iterator[Stretch]:
        for stretch in whole(shuffled(runs, seed)):
            yield stretch
            if stretch.run.reached(target) is not None:
                return

    return paid(stretches(), target)


def expected_reached_s(runs: Sequence[Run], target: float) -> float:
    """The mean of ``random_order``'s seconds to the target over all orders, of which m cells of n meet it:

        mean(seconds to the target of those that do) + sum(seconds of those that do not) / (m + 1)

    since a cell that does not meet it stands before all m that do in one of m + 1 orders. Infinite where none does.
    """
    met = [run.reached_s(target) for run in runs if run.reached(target) is not None]
    missed = [run.total_s for run in runs if run.reached(target) is None]
    return fmean(met) + sum(missed) / (len(met) + 1) if met else inf


def shuffled(runs: Sequence[Run], seed: int) -> list[Run]:
    """The runs in the random order of a seed."""
    return random.Random(seed).sample(runs, len(runs))
