"""One training run instead of a grid search: networks that learn their own norms, residuals and depth."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mgu.jobs import compare, fit
    from mgu.sklearn import MGUClassifier, MGURegressor

__version__ = "0.1.0"
__all__ = ["MGUClassifier", "MGURegressor", "__version__", "compare", "fit"]

_PLACES = {"MGUClassifier": "sklearn", "MGURegressor": "sklearn", "compare": "jobs", "fit": "jobs"}


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})


def __getattr__(name: str) -> Any:
    """The jobs and the estimators, imported once they are asked for: they need PyTorch, pandas and scikit-learn."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"mgu.{_PLACES[name]}"), name)
