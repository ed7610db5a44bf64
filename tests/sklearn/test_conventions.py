"""scikit-learn's own checks of an estimator, all of them."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from mgu.sklearn import MGUClassifier, MGURegressor


@parametrize_with_checks([MGUClassifier(), MGURegressor()])
def test_scikit_learns_checks(estimator, check):
    check(estimator)
