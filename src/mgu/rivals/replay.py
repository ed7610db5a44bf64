"""What a search pays, and what it finds, when the stretches of training that it asks for are paid as recorded."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

from mgu.rivals.runs import Run


@dataclass(frozen=True)
class Stretch:
    """Training of a run from one of its stages to a later one. To begin at a stage other than 0 is to take up a paused
    run, which is free here: a search of flesh and blood would pay for the checkpoint."""

    run: Run
    begin: int
    end: int

    @property
    def cost_s(self) -> float:
        return self.run.spent_s(self.end) - self.run.spent_s(self.begin)


@dataclass(frozen=True)
class Outcome:
    """How a search ended: the seconds that it took in all; those until it first had evaluated a model at or above the
    target, infinite where it never had; and the run that it picks, None where it has none."""

    cost_s: float
    reached_s: float
    pick: Run | None


def paid(stretches: Iterable[Stretch], target: float) -> Outcome:
    """The outcome of the stretches, one after the other: their sum, and the pick of the runs that came to their end."""
    spent, reached, ended = 0.0, inf, []
    for stretch in stretches:
        stage = stretch.run.reached(target)
        if stage is not None and stretch.begin < stage <= stretch.end:
            reached = min(reached, spent + stretch.run.spent_s(stage) - stretch.run.spent_s(stretch.begin))
        spent += stretch.cost_s
        if stretch.end >= stretch.run.end:
            ended.append(stretch.run)
    return Outcome(spent, reached, best(ended))


def whole(runs: Iterable[Run]) -> Iterable[Stretch]:
    """Each run from its beginning to its end."""
    return (Stretch(run, 0, run.end) for run in runs)


def best(runs: Iterable[Run]) -> Run | None:
    """The run with the best validation; of equals the one with the lower loss, and then the first. None where none
    finished."""
    return max((run for run in runs if run.finished), key=lambda run: run.merit(run.end), default=None)
