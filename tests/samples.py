"""Small trials and results that the tests share."""

import math

from mgu.history import Epoch, Result
from mgu.layouts import Layout
from mgu.rivals import Run
from mgu.spaces import Architecture, Cell
from mgu.study.trial import Trial

SETTINGS = {"data": {"name": "digits", "checksum": "ab"}, "training": {"epochs": 3}}
TRIALS = [
    Trial("A_001", Architecture(Layout(2, 1, 2, math.inf, 2), Cell("ln", True)), 10, seed=0),
    Trial("A_MGU_001", Architecture(Layout(2, 1, 2, 5, 1.32)), 30, seed=0),
]
RESULT = Result(
    "finished", 2.5, 2.0, 0.1, 0.9, 0.8, 0.7, 1, (Epoch(1, 0.5, 0.9, 0.6, 0.8, 1.5), Epoch(2, 0.4, 0.9, 0.7, 0.7, 2.0))
)


def make_run(name, scores, seconds, total, *, test=None, lost=0.0, finished=True, norm="ln", losses=None):
    """A run whose epochs have these validation scores, and end so many seconds after it began."""
    losses = losses or [1.0] * len(scores)
    epochs = tuple(Epoch(i, 1, 0, *known) for i, known in enumerate(zip(losses, scores, seconds, strict=True), 1))
    val = max(scores, default=None) if finished else None
    return Run(name, "[2, 1, 2, inf, 2]", norm, "0", epochs, lost, lost + total, finished, val, test)
