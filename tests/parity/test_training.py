"""Training by the recipe in either half, from the same weights, and a whole study with Keras."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from unittest.mock import MagicMock

import keras
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from mgu import keras as keras_half
from mgu import torch as torch_half
from mgu.cli import main
from mgu.data import load_data
from mgu.data.mapped import Mapped
from mgu.layouts import Layout
from mgu.spaces import Architecture, Cell
from mgu.training import Recipe, fit
from mgu.training.keras_learner import KerasLearner
from mgu.training.learner import Setting
from mgu.training.samples import on_device
from mgu.training.tasks import task_of
from mgu.training.torch_learner import TorchLearner

CPU = torch.device("cpu")
#: No dropout, whose random numbers are each framework's own.
MGU = Architecture(Layout(2, 1, 2, math.inf, 2), dropout=0.0, start_filters=4)


@pytest.fixture(scope="module")
def data():
    found, rows = load_data("digits"), np.arange(150)
    return replace(found, train=found.train.take(rows), validation=found.validation.take(rows))


def learners(architecture, data, recipe, folder):
    setting = Setting(task_of(data), recipe, CPU, seed=0)
    splits = on_device(data, CPU)
    pair = [kind.built(architecture, data.input_shape, {}, setting, splits[0]) for kind in (TorchLearner, KerasLearner)]
    torch_half.save_weights(pair[0].network, folder / "weights")
    keras_half.load_weights(pair[1].network, folder / "weights")
    return pair, splits


@pytest.mark.parametrize("architecture", [MGU, replace(MGU, cell=Cell("bn_pre", True))], ids=["mgu", "bn_pre"])
def test_epochs_of_either_half_are_the_same(architecture, data, tmp_path):
    pair, (_, validation, test) = learners(architecture, data, Recipe(epochs=3, batch_size=40, lr=0.003), tmp_path)
    pair[0].optimizer.param_groups[0]["momentum_decay"] = 1.0  # Keras's momentum is 0.96 ** t on its way, not 0.004 t
    for learner in pair:
        learner.warm_up(validation, test)
    for _ in range(2):
        first, second = ([*learner.train(), learner.predict(validation)] for learner in pair)
        assert second[0] == pytest.approx(first[0], rel=1e-3)
        assert second[1] == pytest.approx(first[1], abs=1)
        torch.testing.assert_close(second[2], first[2], rtol=2e-2, atol=2e-2)
    assert pair[1].gate_means(validation).keys() == pair[0].gate_means(validation).keys()


def test_steps_go_on_where_a_snapshot_was(data):
    recipe = Recipe(epochs=4, batch_size=40, lr=0.02, decay=0.1)
    samples, *_ = on_device(data, CPU)
    setting = Setting(task_of(data), recipe, CPU, 0)
    network = keras_half.build_network(MGU, data.input_shape, 10)
    rates = []
    for done in (0, 2):  # of 4 batches each
        learner = KerasLearner(network, setting, samples, done)
        learner.network.optimizer.iterations.assign(3)
        rates.append(float(keras.ops.convert_to_numpy(learner.network.optimizer.learning_rate)))
    assert rates == pytest.approx([0.02 / (1 + 0.1 * step) for step in (3, 8 + 3)])


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="its steps are not compiled")
def test_after_warming_up_steps_and_predictions_are_compiled(data, monkeypatch):
    train, validation, test = on_device(data, CPU)
    setting = Setting(task_of(data), Recipe(epochs=4, batch_size=40), CPU, 0)
    learner = KerasLearner.built(MGU, data.input_shape, {}, setting, train)
    learner.warm_up(validation, test)
    unit, calls = learner.network.layers[0], []
    call = unit.call
    monkeypatch.setattr(unit, "call", lambda *values, **options: (calls.append(1), call(*values, **options))[1])
    learner.train()
    learner.predict(validation)
    assert not calls
    learner.network(np.zeros((1, 8, 8, 1), "float32"))
    assert calls


def test_the_callers_dtype_policy_is_left_alone(data):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        setting = Setting(task_of(data), Recipe(batch_size=40), CPU, 0)
        learner = KerasLearner.built(MGU, data.input_shape, {}, setting, on_device(data, CPU)[0])
        assert learner.network.layers[0].compute_dtype == "float32"
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy(before)


def test_a_run_is_soft_and_hardened_with_all_that_a_run_has(data):
    fitted = fit(MGU, data, Recipe(epochs=3, batch_size=40), framework="keras")
    soft, hard = fitted.result, fitted.result.hardening.result
    assert (soft.status, hard.status, soft.message) == ("finished", "finished", "")
    assert [epoch.epoch for epoch in hard.history] == [1, 2, 3]
    assert hard.history[0] == soft.history[0]
    assert set(soft.history[0].gates) == {"layer_1", "layer_2"}
    assert fitted.result.hardening.model_size == fitted.hardened.count_params()
    assert not any(isinstance(layer, keras_half.MultiGatedUnit) for layer in fitted.hardened.layers)
    x = np.moveaxis((data.test.x - data.mean.reshape(1, -1, 1, 1)) / data.std.reshape(1, -1, 1, 1), 1, -1)
    answers = keras.ops.convert_to_numpy(fitted.network(x.astype("float32"))).argmax(1)
    assert soft.test_score == (answers == data.test.y).mean()


def test_keras_is_given_the_same_of_images_in_a_file(data, tmp_path):
    np.save(tmp_path / "x.npy", data.train.x)
    streamed = replace(data, train=replace(data.train, x=Mapped(tmp_path / "x.npy")))
    given = []
    for found in (data, streamed):
        network, x = MagicMock(), []
        network.train_on_batch.side_effect = lambda batch, y, x=x, **_: x.append(batch) or {"loss": 0.0}
        network.predict.side_effect = lambda batch, x=x, **_: x.append(batch) or batch
        (train, *_) = on_device(found, CPU)
        learner = KerasLearner(network, Setting(task_of(found), Recipe(batch_size=40), CPU, seed=0), train)
        learner.train()
        x.append(learner.predict(train).numpy())
        given.append(x)
    assert len(given[0]) == len(given[1]) == 4 + 2
    for held, read in zip(*given, strict=True):
        np.testing.assert_array_equal(held, read)


def test_a_divergence_is_one(data):
    result = fit(replace(MGU, cell=Cell("no_norm", False)), data, Recipe(epochs=2, lr=1e30), framework="keras").result
    assert result.status == "diverged"


def test_quantities():
    result = fit(MGU, load_data("diabetes"), Recipe(epochs=2), framework="keras").result
    assert result.status == "finished"
    assert result.test_answers.r2 == pytest.approx(result.test_score)


PREDICT = """
import sys
sys.modules["mgu"] = None
import keras, numpy as np
np.save(sys.argv[3], keras.saving.load_model(sys.argv[1]).predict(np.load(sys.argv[2]), verbose=0))
"""


SPACE = """
prefix = "TINY"
input_shape = [1, 8, 8]
classes = 10
layouts = [[2, 1, 2, inf, 2]]
mgu_layouts = [[2, 1, 2, inf, 2]]
cells = ["bn_post"]
start_filters = 4
"""


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="each trial imports its backend anew: one is enough"
)
def test_a_study_with_keras_is_no_study_with_torch(tmp_path):
    study, space = tmp_path / "study", tmp_path / "tiny.toml"
    space.write_text(SPACE)
    command = ["compare", "digits", "--space", str(space), "--epochs", "2", "--out", str(study), "-q"]
    done = CliRunner().invoke(main, [*command, "--framework", "keras"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    _, *rows = (study / "results.csv").read_text().splitlines()
    assert len(rows) == 3
    assert "<html" in (study / "report.html").read_text()
    mixed = CliRunner().invoke(main, command)
    assert mixed.exit_code == 2
    assert "framework" in mixed.output
    assert f"keras on {keras.backend.backend()}" in mixed.output

    folder = study / "trials" / "TINY_MGU_001-seed0" / "hardened"
    assert json.loads((folder / "model.json").read_text())["classes"] == [str(digit) for digit in range(10)]
    x = np.random.default_rng(0).normal(size=(5, 8, 8, 1)).astype("float32")
    np.save(tmp_path / "x.npy", x)
    arguments = [folder / "model.keras", tmp_path / "x.npy", tmp_path / "y.npy"]
    subprocess.run([sys.executable, "-c", PREDICT, *map(str, arguments)], check=True, capture_output=True)
    here = keras.saving.load_model(folder / "model.keras").predict(x, verbose=0)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), here, rtol=1e-4, atol=1e-5)
