"""One training run instead of a grid search: networks that learn their own norms, residuals and depth."""

from importlib.metadata import version

__version__ = version("mgu")
