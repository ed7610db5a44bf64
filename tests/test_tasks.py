"""What outputs are judged by, against scikit-learn."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from mgu.data import load_data
from mgu.layouts import Layout
from mgu.spaces import Architecture
from mgu.training import Recipe, fit
from mgu.training.samples import on_device, predict
from mgu.training.tasks import Classification, Regression, task_of

MGU = Architecture(Layout(2, 0, 1, math.inf, 1), start_filters=16, dropout=0.0)


@given(st.integers(2, 50), st.floats(0.5, 1e3), st.integers(0, 2**31))
def test_quantities_are_judged_as_scikit_learn_does_in_their_own_unit(samples, std, seed):
    generator = torch.Generator().manual_seed(seed)
    y, outputs = torch.randn(samples, generator=generator), torch.randn(samples, 1, generator=generator)
    task = Regression(std)
    true, predicted = (values.double().numpy() * std for values in (y, outputs.squeeze(1)))
    errors = task.answers(outputs, y)
    assert errors.r2 == pytest.approx(r2_score(true, predicted), rel=1e-3, abs=1e-3)
    assert errors.mae == pytest.approx(mean_absolute_error(true, predicted), rel=1e-4)
    assert errors.rmse == pytest.approx(root_mean_squared_error(true, predicted), rel=1e-4)
    assert task.loss(outputs, y).item() == pytest.approx(np.mean((true - predicted) ** 2) / std**2, rel=1e-4)


def test_errors_whose_squares_are_no_32_bit_numbers_are_told():
    y, outputs = torch.tensor([0.0, 1e25]), torch.tensor([[1e25], [0.0]])
    errors = Regression(1e5).answers(outputs, y)
    assert (errors.r2, errors.mae, errors.rmse) == pytest.approx((-3.0, 1e30, 1e30))


def test_a_network_that_overflows_has_the_worst_score():
    y, outputs = torch.randn(5), torch.tensor([[0.0], [math.nan], [1.0], [2.0], [math.inf]])
    task = Regression(1.0)
    assert task.score(task.scored(outputs, y).item(), y) == -math.inf


@pytest.mark.parametrize("errors", [0.0, 0.5])
def test_a_split_without_variance_is_scored_by_scikit_learns_convention(errors):
    y = torch.full((4,), 3.0)
    outputs = (y + errors).unsqueeze(1)
    task = Regression(1.0)
    assert task.score(task.scored(outputs, y).item(), y) == r2_score(y, outputs.squeeze(1))
    assert task.score(math.nan, y) == task.score(-math.inf, y) == -math.inf


def test_a_quantity_is_learned_and_told_in_its_own_unit():
    """Diabetes, where ridge regression reaches an R² of about 0.5."""
    data = load_data("diabetes")
    fitted = fit(MGU, data, Recipe(epochs=30, lr=0.003))
    _, _, test = on_device(data, torch.device("cpu"))
    for network, result in ((fitted.network, fitted.result), (fitted.hardened, fitted.result.hardening.result)):
        predicted = predict(network, test).squeeze(1).numpy() * data.target_std + data.target_mean
        assert result.test_answers.mae == pytest.approx(mean_absolute_error(data.test.y, predicted), rel=1e-4)
        assert result.test_score == pytest.approx(r2_score(data.test.y, predicted), abs=1e-4)
        assert result.best_epoch == 1 + int(np.argmax([epoch.val_score for epoch in result.history]))
    ridge = Ridge().fit(data.train.x, data.train.y).score(data.validation.x, data.validation.y)
    assert fitted.result.val_score > ridge - 0.15
    assert len(load_diabetes().target) == sum(len(split.y) for split in data.splits)


def test_the_task_follows_from_the_data():
    assert task_of(load_data("iris")) == Classification(3)
    diabetes = load_data("diabetes")
    assert task_of(diabetes) == Regression(pytest.approx(diabetes.train.y.std(dtype=float)))
