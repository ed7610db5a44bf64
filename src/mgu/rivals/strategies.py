"""The search strategies by name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from mgu.rivals.exhaustive import grid, oracle, parallel, random_order
from mgu.rivals.halving import halving
from mgu.rivals.replay import Outcome
from mgu.rivals.runs import Run
from mgu.rivals.with_optuna import asha, hyperband, tpe


@dataclass(frozen=True)
class Strategy:
    """``replay(runs, target, seed)`` gives its outcome on one seed's cells; it is replayed with so many ``replays``
    seeds of its own (1: it draws nothing). ``extra`` is the extra of this package that it needs."""

    replay: Callable[[Sequence[Run], float, int], Outcome]
    about: str
    replays: int = 1
    extra: str = ""

    @property
    def missing(self) -> str:
        """Why it cannot be replayed here, and what to do; empty where it can."""
        return f"pip install mgu[{self.extra}]" if self.extra and not find_spec(self.extra) else ""


#: What a grid of cells can be searched with; one of one's own is added by ``STRATEGIES[name] = Strategy(...)``.
STRATEGIES: dict[str, Strategy] = {
    "grid": Strategy(grid, "every cell, one after the other"),
    "parallel": Strategy(parallel, "every cell at once, a machine each (wall time)"),
    "oracle": Strategy(oracle, "one cell alone, known beforehand"),
    "random": Strategy(random_order, "cells in random order until the target is met", 1000),
    "halving": Strategy(halving, "successive halving, synchronous", 1000),
    "asha": Strategy(asha, "successive halving, asynchronous (Optuna, one worker)", 100, "optuna"),
    "hyperband": Strategy(hyperband, "Hyperband (Optuna, one worker)", 100, "optuna"),
    "tpe": Strategy(tpe, "tree-structured Parzen estimator (Optuna), half of the cells", 100, "optuna"),
}
