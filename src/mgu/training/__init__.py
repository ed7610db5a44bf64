"""Training one network on one data set by the paper's recipe, on a clock."""

from mgu.recipe import Recipe
from mgu.training.denormals import flush_denormals
from mgu.training.estimators import ESTIMATORS, fit_estimator
from mgu.training.fitting import Fitted, fit
from mgu.training.frameworks import FRAMEWORKS, framework_of

__all__ = ["ESTIMATORS", "FRAMEWORKS", "Fitted", "Recipe", "fit", "fit_estimator", "flush_denormals", "framework_of"]
