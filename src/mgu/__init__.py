"""One training run instead of a grid search: networks that learn their own norms, residuals and depth."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mgu.sklearn import MGUClassifier, MGURegressor

__version__ = "0.1.0"
__all__ = ["MGUClassifier", "MGURegressor", "__version__"]


def __getattr__(name: str) -> Any:
    """The estimators, imported once they are asked for: they need PyTorch, pandas and scikit-learn."""
    if name not in ("MGUClassifier", "MGURegressor"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mgu import sklearn

    return getattr(sklearn, name)
