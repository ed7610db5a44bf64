"""Synchronous successive halving.

Source: Jamieson & Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization" (2016); the
factor and the rungs as in Li et al., "Hyperband" (2018), which recommends a factor of 3 or 4.
"""

from collections.abc import Iterator, Sequence

from mgu.rivals.exhaustive import shuffled
from mgu.rivals.replay import Outcome, Stretch, paid
from mgu.rivals.runs import Run

#: One cell of so many goes on from each rung, and trains so many times as long until the next.
FACTOR = 3
#: The first rung: the least that can be trained, and the cheapest.
FIRST_EPOCHS = 1


def halving(runs: Sequence[Run], target: float, seed: int) -> Outcome:
    """All n cells train one epoch; the best floor(n / 3) of them go on to 3 epochs, the best third of those to 9, and
    so on until one is left, which trains to its end. A cell counts by its best validation so far.

    The seed orders the cells on the first rung; on later ones, those that were better on the rung before go first.
    """
    return paid(_stretches(shuffled(runs, seed)), target)


def _stretches(left: Sequence[Run]) -> Iterator[Stretch]:
    paused, rung = 0, FIRST_EPOCHS
    while len(left) > 1:
        yield from (_stretch(run, paused, rung) for run in left)
        left = sorted(left, key=lambda run: run.merit(rung), reverse=True)[: max(1, len(left) // FACTOR)]
        paused, rung = rung, rung * FACTOR
    yield from (_stretch(run, paused, run.end) for run in left)


def _stretch(run: Run, begin: int, end: int) -> Stretch:
    return Stretch(run, min(begin, run.end), min(end, run.end))
