"""The two main jobs as functions for notebooks and scripts; ``mgu fit`` and ``mgu compare`` call them."""

from mgu.jobs.comparing import Plan, Study, compare, plan
from mgu.jobs.fitting import fit

__all__ = ["Plan", "Study", "compare", "fit", "plan"]
