"""A training that goes on from any of its checkpoints ends bit for bit as one that was never stopped."""

import dataclasses

import numpy as np
import pytest
import torch

from mgu.data import load_data
from mgu.spaces import load_space
from mgu.training import Recipe, fit
from mgu.training.checkpoints import Checkpoints


class Stopped(BaseException):
    pass


class Stopping(Checkpoints):
    """Keeps the state after each epoch, and stops the training after ``at`` of them."""

    def __init__(self, folder, at=None):
        super().__init__(folder, "a trial")
        self.at, self.written = at, 0

    def keep(self, make):
        self.next_at = 0
        super().keep(make)
        self.written += 1
        if self.written == self.at:
            raise Stopped


@pytest.fixture(scope="module")
def data():
    return load_data("digits", limit=240)


@pytest.fixture(scope="module")
def models():
    return load_space("digits").models()


RECIPE = Recipe(epochs=7, batch_size=32, harden_after=0.3)


def outcome(fitted):
    """All of a result that is no time, and the weights of both networks."""

    def plain(result):
        kept = dataclasses.asdict(result)
        for name in ("tts_s", "train_s", "compile_s", "latency_s", "usage", "soft_latency_s", "soft_usage"):
            kept.pop(name, None)
        kept["history"] = [{k: v for k, v in epoch.items() if k != "elapsed_s"} for epoch in kept["history"]]
        if kept.get("hardening"):
            hard = fitted.result.hardening
            kept["hardening"] = {
                "decisions": hard.decisions,
                "difference": hard.largest_difference,
                "result": plain(hard.result),
            }
        return kept

    networks = [fitted.network, *([fitted.hardened] if fitted.hardened is not None else [])]
    return plain(fitted.result), [{k: v.numpy() for k, v in n.state_dict().items()} for n in networks]


def same(found, expected):
    assert found[0] == expected[0]
    for one, other in zip(found[1], expected[1], strict=True):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], other[name], name)


@pytest.mark.parametrize("name", ["DIG_012", "DIG_MGU_001"])
def test_going_on_from_any_epoch_gives_the_same_bits(data, models, tmp_path, name):
    expected = outcome(fit(models[name], data, RECIPE, seed=3))
    uninterrupted = Stopping(tmp_path / "all")
    same(outcome(fit(models[name], data, RECIPE, seed=3, keeper=uninterrupted)), expected)
    for at in range(1, uninterrupted.written + 1):
        folder = tmp_path / str(at)
        with pytest.raises(Stopped):
            fit(models[name], data, RECIPE, seed=3, keeper=Stopping(folder, at))
        torch.manual_seed(99)  # the state of random numbers is the checkpoint's
        same(outcome(fit(models[name], data, RECIPE, seed=3, keeper=Stopping(folder))), expected)


def test_a_training_stopped_again_and_again_ends_the_same(data, models, tmp_path):
    expected = outcome(fit(models["DIG_MGU_001"], data, RECIPE, seed=3))
    for _ in range(100):
        try:
            fitted = fit(models["DIG_MGU_001"], data, RECIPE, seed=3, keeper=Stopping(tmp_path, 1))
        except Stopped:
            continue
        break
    same(outcome(fitted), expected)


def test_its_clocks_go_on(data, models, tmp_path):
    with pytest.raises(Stopped):
        fit(models["DIG_012"], data, RECIPE, keeper=Stopping(tmp_path, 4))
    kept = Stopping(tmp_path).newest().facts["run"]["at"]
    result = fit(models["DIG_012"], data, RECIPE, keeper=Stopping(tmp_path)).result
    assert [epoch.elapsed_s for epoch in result.history[:4]] == [epoch["elapsed_s"] for epoch in kept["history"]]
    assert result.history[4].elapsed_s > kept["history"][3]["elapsed_s"]
    assert result.tts_s > result.train_s > kept["train_s"]
