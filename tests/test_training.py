"""Training: determinism, the learning-rate rule, early stopping with the best weights, divergence, and the clocks."""

import math
import os
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from mgu.data import DataSet, Split, load_data
from mgu.errors import InputError
from mgu.history import Energy, Usage
from mgu.layouts import Layout
from mgu.spaces import Architecture, Cell, load_space
from mgu.study.trial import Record, Trial
from mgu.torch import MultiGatedUnit, build_network, count_weights, explain, forward_flops, step_flops
from mgu.training import Recipe, fit, fitting, hardening, operations, run, torch_learner
from mgu.training.run import Run
from mgu.training.samples import Samples, Shuffled, on_device, predict
from mgu.training.torch_learner import TorchLearner

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
    assert first.result.test_score > 0.9
    losses = [[(e.train_loss, e.val_loss) for e in run.result.history] for run in (first, again, other)]
    assert losses[0] == losses[1] != losses[2]
    for one, two in zip(first.network.state_dict().values(), again.network.state_dict().values(), strict=True):
        assert torch.equal(one, two)


def test_accuracies_are_those_of_the_returned_network(data):
    fitted = fit(PLAIN, data, Recipe(epochs=3))
    mean, std = data.mean.reshape(1, 1, 1, 1), data.std.reshape(1, 1, 1, 1)
    for split, stated in ((data.validation, fitted.result.val_score), (data.test, fitted.result.test_score)):
        with torch.no_grad():
            answers = fitted.network(torch.from_numpy((split.x - mean) / std)).argmax(1).numpy()
        assert (answers == split.y).mean() == pytest.approx(stated)


def test_the_answers_kept_are_the_best_epochs_on_the_test_split(data):
    fitted = fit(MGU, data, Recipe(epochs=3))
    for result in (fitted.result, fitted.result.hardening.result):
        confusion = np.array(result.test_answers.confusion)
        assert confusion.sum(axis=1).tolist() == np.bincount(data.test.y).tolist()
        assert np.trace(confusion) / confusion.sum() == pytest.approx(result.test_score)
    mean, std = (np.reshape(v, (-1, 1, 1)) for v in (data.mean, data.std))
    with torch.no_grad():
        logits = fitted.network(torch.from_numpy((data.test.x - mean) / std))
    own = torch.nn.functional.cross_entropy(logits, torch.from_numpy(data.test.y)).item()
    assert fitted.result.test_answers.log_loss == pytest.approx(own, rel=1e-5)


def test_the_best_epoch_is_restored_and_patience_ends_the_run(data, monkeypatch):
    scripted = iter([0.5, 0.8, 0.8, 0.7, 0.9, 0.1])
    seen = []

    def evaluate(self, samples):
        return self.learner.predict(samples).mean().item(), next(scripted)

    def predict(self, samples):
        seen.append({name: value.clone() for name, value in self.network.state_dict().items()})
        return torch.zeros(len(samples), len(data.classes))

    monkeypatch.setattr(Run, "evaluate", evaluate)
    monkeypatch.setattr(TorchLearner, "predict", predict)
    fitted = fit(PLAIN, data, Recipe(epochs=50, patience=2))
    assert [epoch.val_score for epoch in fitted.result.history] == [0.5, 0.8, 0.8, 0.7]
    assert (fitted.result.best_epoch, fitted.result.val_score) == (2, 0.8)
    assert fitted.result.train_score == fitted.result.history[1].train_score
    for name, value in fitted.network.state_dict().items():
        assert torch.equal(value, seen[1][name])
        assert torch.equal(value, seen[4][name])  # the test split was read with the restored weights


def test_learning_rate_is_lr_over_one_plus_decay_times_step(data):
    recipe = Recipe(epochs=2, batch_size=50, lr=0.02, decay=0.1)
    rates = []

    class Recorder(torch.optim.NAdam):
        def step(self, closure=None):
            if not self.param_groups[0]["params"][0].is_meta:  # not one whose operations are counted
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
    assert (result.val_score, result.test_score, result.best_epoch) == (None, None, None)
    assert result.tts_s > 0
    assert "the loss was not finite in epoch" in result.message


def test_clocks_count_what_they_say(data, monkeypatch):
    """Time passes only where the test makes it: a step 1 s, loading a split 5, an evaluation 10, warming up
    100, a callback 1000."""
    now = [0.0]
    monkeypatch.setattr(run.Clock, "now", lambda self: now[0])

    def costing(seconds, method):
        def timed(*arguments):
            now[0] += seconds
            return method(*arguments)

        return timed

    def callback(epoch):
        now[0] += 1000

    monkeypatch.setattr(TorchLearner, "_step", costing(1, TorchLearner._step))
    monkeypatch.setattr(fitting, "on_device", costing(15, fitting.on_device))
    monkeypatch.setattr(TorchLearner, "predict", costing(10, TorchLearner.predict))
    monkeypatch.setattr(TorchLearner, "_undone", costing(100, TorchLearner._undone))
    result = fit(PLAIN, data, Recipe(epochs=3, batch_size=50), on_epoch=callback).result
    assert (result.train_s, result.compile_s) == (3 * 4, 100)
    assert result.tts_s == 3 * 5 + 3 * 4 + 3 * 10 + 10
    assert [epoch.elapsed_s for epoch in result.history] == [15 + 14, 15 + 28, 15 + 42]


def test_a_hardened_network_has_the_soft_epochs_before_it_the_deciding_and_its_own_on_its_clock(data, monkeypatch):
    """Time passes only where the test makes it: a step 1 s, loading a split 5, an evaluation 10, deciding 500, warming
    up 100, a callback 1000."""
    now = [0.0]
    monkeypatch.setattr(run.Clock, "now", lambda self: now[0])

    def costing(seconds, function):
        def timed(*arguments, **options):
            now[0] += seconds
            return function(*arguments, **options)

        return timed

    monkeypatch.setattr(TorchLearner, "_step", costing(1, TorchLearner._step))
    monkeypatch.setattr(fitting, "on_device", costing(15, fitting.on_device))
    monkeypatch.setattr(TorchLearner, "predict", costing(10, TorchLearner.predict))
    monkeypatch.setattr(TorchLearner, "_undone", costing(100, TorchLearner._undone))
    monkeypatch.setattr(torch_learner, "decide", costing(500, torch_learner.decide))
    recipe = Recipe(epochs=5, batch_size=50, harden_after=0.4)
    fitted = fit(MGU, data, recipe, on_epoch=costing(1000, lambda epoch: None))
    soft, hard = fitted.result, fitted.result.hardening.result
    steps = 4
    assert soft.tts_s == 15 + 5 * (steps + 10) + 10
    assert hard.tts_s == 15 + 2 * (steps + 10) + 500 + 3 * (steps + 10) + 10
    assert hard.train_s == 5 * steps
    assert hard.history[:2] == soft.history[:2]
    assert [epoch.epoch for epoch in hard.history] == [1, 2, 3, 4, 5]
    assert not any(epoch.gates for epoch in hard.history[2:])
    assert hard.best_epoch > fitted.result.hardening.after_epoch == 2


def test_a_hardened_network_is_plain_and_what_its_result_says(data):
    fitted = fit(MGU, data, Recipe(epochs=4, batch_size=32, harden_after=0.5))
    hard = fitted.result.hardening
    assert not any(isinstance(module, MultiGatedUnit) for module in fitted.hardened.modules())
    assert count_weights(fitted.hardened) == hard.model_size
    _, validation, test = on_device(data, torch.device("cpu"))
    for split, stated in ((validation, hard.result.val_score), (test, hard.result.test_score)):
        assert (predict(fitted.hardened, split).argmax(dim=1) == split.y).float().mean().item() == pytest.approx(stated)
    assert hard.result.val_score == max(epoch.val_score for epoch in hard.result.history[2:])
    again = fit(MGU, data, Recipe(epochs=4, batch_size=32, harden_after=0.5)).result.hardening
    assert again.decisions == hard.decisions
    assert [epoch.val_loss for epoch in again.result.history] == [epoch.val_loss for epoch in hard.result.history]


def test_the_soft_network_is_the_same_whether_it_is_hardened_or_not(data):
    hardened = fit(MGU, data, Recipe(epochs=3, harden_after=0.3))
    soft = fit(MGU, data, Recipe(epochs=3, harden_after=0))
    assert soft.hardened is None
    assert soft.result.hardening is None
    for one, two in zip(hardened.network.state_dict().values(), soft.network.state_dict().values(), strict=True):
        assert torch.equal(one, two)


class Laps:
    """A meter whose laps take 1, 1000, 10 and 100 s and kWh."""

    def __init__(self):
        self.figures = iter([1.0, 1000.0, 10.0, 100.0])

    def lap(self):
        figure = next(self.figures)
        energy = (Energy("cpu", figure, "measured", "a counter"),)
        return Usage(energy, None, None, 1.0, 1.0, 0.0, figure, None, None, None, figure)


def test_usage_of_the_epochs_before_hardening_is_both_networks(data):
    """The second lap, in which operations are counted, is neither's."""
    result = fit(MGU, data, Recipe(epochs=3), meter=Laps()).result
    soft, hard = result.usage, result.hardening.result.usage
    assert (soft.measured_kwh, soft.duration_s, soft.memory_peak_mb) == (1 + 10, 1 + 10, 10)
    assert (hard.measured_kwh, hard.duration_s, hard.memory_peak_mb) == (1 + 100, 1 + 100, 100)
    assert result.hardening.soft_usage.measured_kwh == 1
    assert Record(Trial("M", MGU, 1, 0), "finished", 1, result).spent_kwh == 1 + 10 + 100
    assert fit(PLAIN, data, Recipe(epochs=2), meter=Laps()).result.usage.measured_kwh == 1
    assert fit(PLAIN, data, Recipe(epochs=2)).result.usage is None


def test_operations_of_a_run_are_those_of_its_steps_evaluations_and_decisions(data, monkeypatch):
    counted = {"train": 0, "eval": 0}
    step, predict_ = TorchLearner._step, TorchLearner.predict

    def counting_step(self, x, y):
        counted["train"] += len(y)
        return step(self, x, y)

    def counting_predict(self, samples):
        counted["eval"] += len(samples)
        return predict_(self, samples)

    monkeypatch.setattr(TorchLearner, "_step", counting_step)
    monkeypatch.setattr(TorchLearner, "predict", counting_predict)
    result = fit(PLAIN, data, Recipe(epochs=3, batch_size=50)).result
    x, y = torch.zeros(50, *data.input_shape), torch.zeros(50, dtype=torch.int64)
    network = build_network(PLAIN, data.input_shape, len(data.classes))
    step_matrix, forward_matrix = step_flops(network, x, y).matrix, forward_flops(network, x).matrix
    assert result.step_flops.matrix == step_matrix
    assert 50 * result.run_flops.matrix == counted["train"] * step_matrix + counted["eval"] * forward_matrix
    assert result.run_flops.every > result.run_flops.matrix

    soft = fit(MGU, data, Recipe(epochs=3, batch_size=50)).result
    hard = soft.hardening
    one_epoch = soft.run_flops.matrix // 3  # and a third of the test
    assert hard.result.step_flops.matrix < soft.step_flops.matrix
    assert hard.result.run_flops.matrix > one_epoch + 2 * 4 * hard.result.step_flops.matrix


def test_what_cannot_be_counted_is_not_known(data, monkeypatch):
    def refuses(*arguments):
        raise InputError("nothing is known of aten.new")

    monkeypatch.setattr(operations, "step_flops", refuses)
    result = fit(MGU, data, Recipe(epochs=2)).result
    assert (result.step_flops, result.run_flops) == (None, None)
    assert (result.hardening.result.step_flops, result.hardening.result.run_flops) == (None, None)


def test_without_an_epoch_left_or_gates_nothing_is_hardened(data):
    assert fit(MGU, data, Recipe(epochs=1)).hardened is None
    assert fit(PLAIN, data, Recipe(epochs=2)).hardened is None


def test_a_run_that_stops_before_is_hardened_as_it_was_then(data, monkeypatch):
    monkeypatch.setattr(Run, "evaluate", lambda self, samples: (1.0, 0.5))
    hard = fit(MGU, data, Recipe(epochs=50, patience=2, harden_after=0.9)).result.hardening
    assert hard.after_epoch == 3
    assert [epoch.epoch for epoch in hard.result.history] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("gates", ["squeeze", "channel"])
def test_the_history_has_the_gates_means_and_recording_them_changes_nothing(data, monkeypatch, gates):
    unit, recipe = {"gates": gates}, Recipe(epochs=3, batch_size=32)
    recorded = fit(MGU, data, recipe, seed=1, unit=unit)
    monkeypatch.setattr(torch_learner, "gate_means", lambda network, x: {})
    without = fit(MGU, data, recipe, seed=1, unit=unit)
    for one, two in zip(recorded.network.state_dict().values(), without.network.state_dict().values(), strict=True):
        assert torch.equal(one, two)
    stripped = [replace(epoch, gates={}, elapsed_s=0) for epoch in recorded.result.history]
    assert stripped == [replace(epoch, elapsed_s=0) for epoch in without.result.history]
    assert recorded.result.test_score == without.result.test_score
    mean, std = data.mean.reshape(1, 1, 1, 1), data.std.reshape(1, 1, 1, 1)
    diagnosis = explain(recorded.network, [torch.from_numpy((data.validation.x - mean) / std)])
    best = recorded.result.history[recorded.result.best_epoch - 1].gates
    for report in diagnosis.units:
        assert best[report.name] == pytest.approx({gate.name: gate.mean for gate in report.gates}, abs=1e-6)
    assert recorded.result.history[0].gates != recorded.result.history[-1].gates


def test_plain_networks_have_no_gates_in_their_history(data):
    assert [epoch.gates for epoch in fit(PLAIN, data, Recipe(epochs=2)).result.history] == [{}, {}]


def test_gates_are_recorded_on_samples_from_all_over_the_split_and_on_no_clock(data, monkeypatch):
    now, seen = [0.0], []
    monkeypatch.setattr(run.Clock, "now", lambda self: now[0])

    def means(network, x):
        now[0] += 1000
        seen.append(x)
        return {}

    monkeypatch.setattr(torch_learner, "gate_means", means)
    validation = Split(np.resize(data.validation.x, (1101, 1, 8, 8)), np.arange(1101) % 2)
    result = fit(MGU, replace(data, validation=validation), Recipe(epochs=2)).result
    assert (result.tts_s, result.history[-1].elapsed_s) == (0, 0)
    assert torch.equal(seen[0], seen[1])
    expected = (validation.x[::3] - data.mean.item()) / data.std.item()
    assert len(expected) <= 500
    np.testing.assert_allclose(seen[0], expected, atol=1e-5)


def test_all_models_of_a_seed_see_the_same_order_and_each_epoch_another(data, monkeypatch):
    def batches(architecture, seed):
        seen = []
        step = TorchLearner._step
        monkeypatch.setattr(TorchLearner, "_step", lambda self, x, y: (seen.append(y.tolist()), step(self, x, y))[1])
        fit(architecture, data, Recipe(epochs=2, batch_size=50, harden_after=0), seed=seed)
        monkeypatch.setattr(TorchLearner, "_step", step)
        return seen

    plain, mgu, other = batches(PLAIN, 0), batches(MGU, 0), batches(PLAIN, 1)
    assert plain == mgu
    assert plain != other
    assert plain[:4] != plain[4:]
    assert plain[0] != data.train.y[:50].tolist()
    assert sorted(label for batch in plain[:4] for label in batch) == sorted(data.train.y.tolist())


def test_the_seed_decides_the_first_weights(data, monkeypatch):
    def first_weights(seed):
        monkeypatch.setattr(TorchLearner, "_step", lambda self, x, y: torch.zeros(2))
        return fit(PLAIN, data, Recipe(epochs=1), seed=seed).network[0].operations["linear"].weight

    assert torch.equal(first_weights(0), first_weights(0))
    assert not torch.equal(first_weights(0), first_weights(1))


def test_bf16_reaches_the_layers_and_dropout_is_the_architectures(data):
    seen = set()
    with pytest.MonkeyPatch.context() as patch:
        inner = torch.nn.Conv2d.forward
        patch.setattr(
            torch.nn.Conv2d, "forward", lambda self, x: (y := inner(self, x), seen.add((x.is_meta, y.dtype)))[0]
        )
        fitted = fit(replace(PLAIN, dropout=0.17), data, Recipe(epochs=1, precision="bf16"))
    assert {dtype for is_meta, dtype in seen if not is_meta} == {torch.bfloat16}  # on meta, operations are counted
    assert fitted.network.dropout.p == 0.17


THREADS = """
import warnings, torch
from mgu.training import flush_denormals
torch.set_num_threads(2)
{before}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    flush_denormals()
tiny = torch.full((1_000_000,), 1e-38)
print(len(caught), int((tiny * 0.5).count_nonzero()))
"""


@pytest.mark.parametrize(("before", "expected"), [("", "0 0"), ("(torch.ones(1_000_000) * 2).sum()", None)])
def test_every_thread_takes_denormal_numbers_for_0_or_a_warning_says_that_some_do_not(before, expected):
    script = THREADS.format(before=before)
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    warned, kept = map(int, done.stdout.split())
    assert bool(warned) == bool(kept)
    assert expected is None or done.stdout.split() == expected.split()


def test_warming_up_changes_nothing_of_the_run(data, monkeypatch):
    warm = fit(PLAIN, data, Recipe(epochs=2)).result
    monkeypatch.setattr(TorchLearner, "warm_up", lambda self, *evaluated: None)
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
    assert fit(MGU, data, Recipe(epochs=4, batch_size=32, precision="bf16")).result.test_score > 0.9


def test_a_table_trains():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(240, 4)).astype(np.float32) * 100
    y = (x[:, 0] + x[:, 1] > 0).astype(np.int64)
    parts = [Split(x[i::3], y[i::3]) for i in range(3)]
    data = DataSet("table", *parts, ("no", "yes"), "0" * 64)
    architecture = Architecture(Layout(2, 0, 1, math.inf, 1), start_filters=16)
    assert fit(architecture, data, Recipe(epochs=20)).result.test_score > 0.85


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1; 0 was given"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"patience": 0}, "patience must be at least 1"),
        ({"lr": 0}, "lr must be above 0"),
        ({"lr": math.nan}, "lr must be above 0"),
        ({"decay": -1.0}, "decay at least 0"),
        ({"harden_after": 1.0}, "harden_after must be a share of the epochs, 0 to below 1; 1.0 was given"),
        ({"precision": "fp8"}, "unknown precision 'fp8'; allowed: float32, bf16"),
        ({"compile": "fast"}, "unknown compile 'fast'; allowed: none, default"),
    ],
)
def test_a_recipe_out_of_range_is_named(wrong, message):
    with pytest.raises(InputError, match=message):
        Recipe(**wrong)


def test_a_single_sample_left_over_joins_the_batch_before_it(data):
    samples = Samples(torch.arange(129.0), torch.arange(129))
    batches = Shuffled(samples, 64, torch.Generator().manual_seed(0))
    assert [len(y) for _, y in batches] == [64, 65]
    assert (len(batches), batches.sizes) == (2, [64, 65])
    assert sorted(torch.cat([y for _, y in batches]).tolist()) == list(range(129))
    assert [len(y) for _, y in Shuffled(samples, 200, torch.Generator())] == [129]
    assert [len(y) for _, y in Shuffled(samples, 1, torch.Generator())] == [1] * 129


def test_an_mgu_network_of_features_hardens_whatever_the_last_batch(data):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(129 + 40 + 40, 4)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    parts = [Split(x[part], y[part]) for part in (slice(129), slice(129, 169), slice(169, None))]
    table = DataSet("table", *parts, ("no", "yes"), "0" * 64)
    fitted = fit(Architecture(Layout(2, 0, 1, math.inf, 1), start_filters=8), table, Recipe(epochs=3))
    assert fitted.result.hardening.result.status == "finished"
    assert not fitted.result.message


def test_gates_are_decided_on_samples_from_all_over_the_validation_split(data, monkeypatch):
    seen = []
    decide = torch_learner.decide
    monkeypatch.setattr(
        torch_learner,
        "decide",
        lambda model, samples, *o: (seen.extend(y for _, y in samples), decide(model, samples))[1],
    )
    order = np.argsort(data.validation.y, kind="stable").repeat(20)
    in_order = Split(data.validation.x[order], data.validation.y[order])
    fit(MGU, replace(data, validation=in_order), Recipe(epochs=2))
    decided_on = torch.cat(seen)
    assert len(decided_on) <= hardening.DECIDED_ON
    assert set(decided_on.tolist()) == set(data.validation.y.tolist())


def test_a_layer_is_not_skipped_for_a_loss_it_had_no_time_to_lower():
    digits = load_data("digits")
    mgu = next(a for a in load_space("digits").models().values() if a.cell is None)
    early = [fit(mgu, digits, Recipe(epochs=4, harden_after=0.5), seed=seed).result.hardening for seed in range(3)]
    sides = [d.side for hardening in early for d in hardening.decisions if d.gate == "skip"]
    assert set(sides) == {"residual"}


def test_a_network_that_cannot_be_hardened_is_not_lost(data, monkeypatch):
    def fails(*arguments, **options):
        time.sleep(0.5)  # which is on the clock
        raise RuntimeError("no memory for it")

    monkeypatch.setattr(torch_learner, "decide", fails)
    begun = time.perf_counter()
    fitted = fit(MGU, data, Recipe(epochs=2))
    assert fitted.result.history[-1].elapsed_s + 0.5 < fitted.result.tts_s <= time.perf_counter() - begun
    assert (fitted.result.status, fitted.hardened, fitted.result.hardening) == ("finished", None, None)
    assert fitted.result.message == "not hardened: RuntimeError: no memory for it"


def test_on_a_gpu_convolutions_would_be_cudnns(data, monkeypatch):
    seen = []
    step = TorchLearner._step
    monkeypatch.setattr(
        TorchLearner, "_step", lambda self, x, y: (seen.append(torch.backends.cudnn.enabled), step(self, x, y))[1]
    )
    before = torch.backends.cudnn.enabled
    fit(PLAIN, data, Recipe(epochs=1))
    assert set(seen) == {True}
    assert torch.backends.cudnn.enabled == before
