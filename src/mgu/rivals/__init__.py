"""Searches of the same cells by other means, replayed from a study's records: nothing is trained.

Runs are deterministic and their epochs recorded, so that what a search would have seen and paid is known to the epoch.
"""

from mgu.rivals.replay import Outcome
from mgu.rivals.runs import Run
from mgu.rivals.strategies import STRATEGIES, Strategy

__all__ = ["STRATEGIES", "Outcome", "Run", "Strategy"]
