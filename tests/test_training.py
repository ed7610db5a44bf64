"""Training: determinism, the learning-rate rule, early stopping with the best weights, divergence, and the clocks."""

import math

import numpy as np
import pytest
import torch

from mgu import training
from mgu.data import DataSet, Split
from mgu.errors import InputError
from mgu.layouts import Layout
from mgu.spaces import Architecture, Cell
from mgu.training import Recipe, fit

PLAIN = Architecture(Layout(2, 1, 2, math.inf, 2), Cell("bn_pre", False), start_filters=4)
MGU = Architecture(Layout(2, 1, 2, math.inf, 2), start_filters=4)


def stripes(count, seed):
    """Images whose class is the direction of their stripes, with noise."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, count)
    stripe = np.tile((np.arange(8) % 4 < 2) * 160, (8, 1))
    images = np.where(y[:, None, None] == 0, stripe, stripe.T) + rng.integers(0, 96, (count, 8, 8))
    return Split(images[:, None].astype(np.uint8), y.astype(np.int64))


@pytest.fixture(scope="module")
def data():
    return DataSet("stripes", stripes(200, 0), stripes(60, 1), stripes(80, 2), ("across", "down"), "0" * 64)


@pytest.mark.parametrize("architecture", [PLAIN, MGU], ids=["plain", "mgu"])
def test_it_learns_and_the_same_seed_gives_the_same_run(data, architecture):
    recipe = Recipe(epochs=4, batch_size=32)
    first, again, other = (fit(architecture, data, recipe, seed=seed) for seed in (3, 3, 4))
    assert first.result.status == "finished"
    assert first.result.test_acc > 0.9
    losses = [[(e.train_loss, e.val_loss) for e in run.result.history] for run in (first, again, other)]
    assert losses[0] == losses[1] != losses[2]
    for one, two in zip(first.network.state_dict().values(), again.network.state_dict().values(), strict=True):
        assert torch.equal(one, two)


def test_accuracies_are_those_of_the_returned_network(data):
    fitted = fit(PLAIN, data, Recipe(epochs=3))
    mean, std = data.mean.reshape(1, 1, 1, 1), data.std.reshape(1, 1, 1, 1)
    for split, stated in ((data.validation, fitted.result.val_acc), (data.test, fitted.result.test_acc)):
        with torch.no_grad():
            answers = fitted.network(torch.from_numpy((split.x - mean) / std)).argmax(1).numpy()
        assert (answers == split.y).mean() == pytest.approx(stated)


def test_the_best_epoch_is_restored_and_patience_ends_the_run(data, monkeypatch):
    scripted = iter([0.5, 0.8, 0.8, 0.7, 0.9, 0.1])
    seen = []

    def evaluate(self, samples):
        seen.append({name: value.clone() for name, value in self.network.state_dict().items()})
        return 1.0, next(scripted)

    monkeypatch.setattr(training._Run, "evaluate", evaluate)
    fitted = fit(PLAIN, data, Recipe(epochs=50, patience=2))
    assert [epoch.val_acc for epoch in fitted.result.history] == [0.5, 0.8, 0.8, 0.7]
    assert (fitted.result.best_epoch, fitted.result.val_acc) == (2, 0.8)
    assert fitted.result.train_acc == fitted.result.history[1].train_acc
    for name, value in fitted.network.state_dict().items():
        assert torch.equal(value, seen[1][name])
        assert torch.equal(value, seen[4][name])  # the test split was read with the restored weights


def test_learning_rate_is_lr_over_one_plus_decay_times_step(data):
    recipe = Recipe(epochs=2, batch_size=50, lr=0.02, decay=0.1)
    rates = []

    class Recorder(torch.optim.NAdam):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim, "NAdam", Recorder)
        fit(PLAIN, data, recipe)
    assert rates == pytest.approx([0.02 / (1 + 0.1 * step) for step in range(8)])
    assert Recipe(epochs=50, lr=0.01).step_decay == pytest.approx(0.01 / 50)


def test_a_loss_that_is_not_finite_is_a_divergence_with_its_cost(data):
    result = fit(PLAIN, data, Recipe(epochs=5, lr=1e30)).result
    assert result.status == "diverged"
    assert (result.val_acc, result.test_acc, result.best_epoch) == (None, None, None)
    assert result.tts_s > 0
    assert "the loss was not finite in epoch" in result.message


def test_clocks(data, monkeypatch):
    """With a clock that counts its readings, train_s is only what passes between the two around the steps."""
    result = fit(PLAIN, data, Recipe(epochs=3)).result
    assert 0 < result.train_s < result.tts_s
    elapsed = [epoch.elapsed_s for epoch in result.history]
    assert elapsed == sorted(elapsed)
    assert elapsed[-1] < result.tts_s
    assert result.compile_s > 0


def test_numbers_too_small_for_float32s_normal_range_are_zero_while_training(data):
    tiny = torch.tensor(1e-38)
    seen = []
    fit(PLAIN, data, Recipe(epochs=1), on_epoch=lambda epoch: seen.append((tiny * 0.5).item()))
    assert seen == [0.0]
    assert (tiny * 0.5).item() > 0


def test_warming_up_changes_nothing_of_the_run(data, monkeypatch):
    warm = fit(PLAIN, data, Recipe(epochs=2)).result
    monkeypatch.setattr(training._Run, "warm_up", lambda self, samples: None)
    cold = fit(PLAIN, data, Recipe(epochs=2)).result
    assert [e.val_loss for e in warm.history] == [e.val_loss for e in cold.history]


def test_compiled_steps_are_the_same_steps(data, monkeypatch):
    eager = fit(MGU, data, Recipe(epochs=1)).result
    compile_ = torch.compile
    monkeypatch.setattr(torch, "compile", lambda network, mode, dynamic: compile_(network, backend="aot_eager"))
    compiled = fit(MGU, data, Recipe(epochs=1, compile="default")).result
    assert compiled.history[0].val_loss == pytest.approx(eager.history[0].val_loss, rel=1e-3)
    assert compiled.compile_s > eager.compile_s


def test_bf16_trains(data):
    assert fit(MGU, data, Recipe(epochs=4, batch_size=32, precision="bf16")).result.test_acc > 0.9


def test_a_table_trains():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(240, 4)).astype(np.float32) * 100
    y = (x[:, 0] + x[:, 1] > 0).astype(np.int64)
    parts = [Split(x[i::3], y[i::3]) for i in range(3)]
    data = DataSet("table", *parts, ("no", "yes"), "0" * 64)
    architecture = Architecture(Layout(2, 0, 1, math.inf, 1), start_filters=16)
    assert fit(architecture, data, Recipe(epochs=20)).result.test_acc > 0.85


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1; 0 was given"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"patience": 0}, "patience must be at least 1"),
        ({"lr": 0}, "lr must be above 0"),
        ({"lr": math.nan}, "lr must be above 0"),
        ({"decay": -1.0}, "decay at least 0"),
        ({"precision": "fp8"}, "unknown precision 'fp8'; allowed: float32, bf16"),
        ({"compile": "fast"}, "unknown compile 'fast'; allowed: none, default"),
    ],
)
def test_a_recipe_out_of_range_is_named(wrong, message):
    with pytest.raises(InputError, match=message):
        Recipe(**wrong)
