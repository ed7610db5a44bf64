"""scikit-learn's estimators on a stack of MultiGatedUnits: learned softly, hardened, and used as a plain network."""

from mgu.sklearn.estimators import MGUClassifier, MGURegressor

__all__ = ["MGUClassifier", "MGURegressor"]
