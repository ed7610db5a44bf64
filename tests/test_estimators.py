"""scikit-learn's estimators as trials, against the estimators themselves."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier

from mgu.data import load_data
from mgu.training import fit_estimator


def standardised(data, split):
    return (
        (split.x - data.mean.reshape(-1, *[1] * (split.x.ndim - 2))) / data.std.reshape(-1, *[1] * (split.x.ndim - 2))
    ).reshape(len(split.y), -1)


@pytest.mark.parametrize(
    ("name", "kind"), [("hist_gradient_boosting", HistGradientBoostingClassifier), ("mlp", MLPClassifier)]
)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_a_classifiers_figures_are_its_own(name, kind):
    data = load_data("wine")
    found = fit_estimator(name, data, seed=3)
    own = kind(random_state=3).fit(standardised(data, data.train), data.train.y)
    for split, score in (
        (data.train, found.train_score),
        (data.validation, found.val_score),
        (data.test, found.test_score),
    ):
        assert own.score(standardised(data, split), split.y) == pytest.approx(score)
    assert found.test_answers.log_loss == pytest.approx(
        log_loss(data.test.y, own.predict_proba(standardised(data, data.test))), rel=1e-3
    )
    assert np.sum(found.test_answers.confusion) == len(data.test.y)
    (epoch,) = found.history
    assert (epoch.val_score, found.best_epoch, found.status) == (found.val_score, 1, "finished")
    assert 0 < found.train_s <= epoch.elapsed_s <= found.tts_s


def test_a_regressors_errors_are_in_the_targets_unit():
    data = load_data("diabetes")
    found = fit_estimator("hist_gradient_boosting", data)
    own = HistGradientBoostingRegressor(random_state=0).fit(standardised(data, data.train), data.train.y)
    predicted = own.predict(standardised(data, data.test))
    assert found.test_answers.mae == pytest.approx(np.abs(predicted - data.test.y).mean(), rel=0.02)
    assert found.test_score == pytest.approx(own.score(standardised(data, data.test), data.test.y), abs=0.02)
