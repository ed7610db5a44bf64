"""Small trials and results that the tests share."""

import math

from mgu.history import Epoch, Result
from mgu.layouts import Layout
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
