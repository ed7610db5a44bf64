"""What TensorBoard is told, read back from its event files."""

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from mgu.cli import main
from mgu.errors import InputError
from mgu.history import Epoch, Hardening, Result
from mgu.model import read_model
from mgu.progress import Several
from mgu.report.score import ACCURACY, R2
from mgu.study.ledger import read_study
from mgu.study.trial import Record
from mgu.torch import GATES, MultiGatedUnit, log_gates
from mgu.tracking.tensorboard import RunLog, TensorBoard
from samples import RESULT, SETTINGS, TRIALS


def events(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder), size_guidance={"scalars": 0, "histograms": 0, "tensors": 0}).Reload()


def scalars(folder):
    """By tag, the values by step."""
    found = events(folder)
    return {tag: {e.step: e.value for e in found.Scalars(tag)} for tag in found.Tags()["scalars"]}


def expected(epochs, name):
    """The scalars of epochs whose score has this name, as 32-bit numbers."""
    by_tag = {"loss/train": "train_loss", "loss/validation": "val_loss"}
    by_tag |= {f"{name}/train": "train_score", f"{name}/validation": "val_score"}
    found = {tag: {e.epoch: getattr(e, field) for e in epochs} for tag, field in by_tag.items()}
    for epoch in epochs:
        for unit, gates in epoch.gates.items():
            for gate, mean in gates.items():
                found.setdefault(f"gates/{unit}.{gate}", {})[epoch.epoch] = mean
    return {tag: pytest.approx(values, rel=1e-6) for tag, values in found.items()}


def texts(folder, tag):
    found = events(folder)
    return [e.tensor_proto.string_val[0].decode() for e in found.Tensors(f"{tag}/text_summary")]


def hparams(folder):
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    content = events(folder).summary_metadata["_hparams_/session_start_info"].plugin_data.content
    found = HParamsPluginData.FromString(content).session_start_info.hparams
    return {name: getattr(value, value.WhichOneof("kind")) for name, value in found.items()}


def run(*arguments):
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done


def test_a_study_is_a_run_a_trial_and_what_an_mgu_network_hardened_to_goes_on_beside(tmp_path):
    common = ("--limit", 200, "--epochs", 4, "--harden-after", 0.5, "--only", "DIG_007,*MGU*", "--seeds", 2)
    run("compare", "digits", *common, "--out", tmp_path / "s", "--tensorboard", tmp_path / "tb", "--quiet")
    records = read_study(tmp_path / "s").records
    assert {p.name for p in (tmp_path / "tb").iterdir()} == {
        f"{r.trial.model_name}-seed{r.trial.seed}" for r in records
    }
    for record in records:
        folder = tmp_path / "tb" / f"{record.trial.model_name}-seed{record.trial.seed}"
        result = record.result
        test = {"acc/test": pytest.approx({result.best_epoch: result.test_score}, rel=1e-6)}
        assert scalars(folder) == expected(result.history, "acc") | test
        found = hparams(folder)
        assert (found["model_name"], found["seed"]) == (record.trial.model_name, record.trial.seed)
        assert (found["kind"], found["lr"], found["epochs"]) == (record.trial.kind, 0.01, 4)
        assert found.get("unit.gates") == ("channel" if record.trial.is_mgu else None)
        if record.trial.is_mgu:
            hard = record.result.hardening.result
            test = {"acc/test": pytest.approx({hard.best_epoch: hard.test_score}, rel=1e-6)}
            assert scalars(folder / "hardened") == expected(hard.history[2:], "acc") | test
            saved = (tmp_path / "s" / "trials" / folder.name / "diagnosis.txt").read_text()
            assert texts(folder, "diagnosis") == ["\n".join(f"    {line}" for line in saved.splitlines())]


def test_a_fit_is_a_run_of_its_models_name(tmp_path):
    run(
        "fit",
        "diabetes",
        "--epochs",
        3,
        "--gates",
        "squeeze",
        "--out",
        tmp_path / "m",
        "--tensorboard",
        tmp_path / "tb",
    )
    card, found = read_model(tmp_path / "m").card, scalars(tmp_path / "tb" / "m" / "hardened")
    assert list(found["loss/train"]) == [2, 3]
    assert list(found["r2/test"].values()) == pytest.approx([card["metrics"]["r2"]], rel=1e-5)
    soft = tmp_path / "tb" / "m"
    assert sum(tag.startswith("gates/") for tag in scalars(soft)) == 5 * len(card["architecture"]["words"])
    assert hparams(soft)["unit.gates"] == "squeeze"
    assert "Gate rule" in texts(soft, "diagnosis")[0]


@pytest.mark.parametrize("board", [".", "m"])
def test_a_run_in_the_models_own_folder_is_refused_before_anything_is_trained(board, tmp_path):
    arguments = ["fit", "iris", "--out", str(tmp_path / "m"), "--tensorboard", str(tmp_path / board)]
    done = CliRunner().invoke(main, arguments)
    assert (done.exit_code, list(tmp_path.iterdir())) == (2, [])
    assert "would lie in the model's own folder" in done.stderr


def epoch(number, gates=None, loss=0.5):
    return Epoch(number, loss, 0.8, loss, 0.7, 1.0 * number, {"a": gates} if gates else {})


def test_a_network_that_stopped_before_it_was_hardened_goes_on_in_the_hardened_run(tmp_path):
    log = RunLog(tmp_path, R2, {}, is_mgu=True)
    for told in (epoch(1, {"norm": 0.25}), epoch(2), epoch(3)):
        log.epoch_ended(told)
    hard = Hardening(1, 10, (), 0.0, 64, 0.1, 0.1, "", replace(RESULT, best_epoch=3, test_score=0.5))
    log.ended(replace(RESULT, hardening=hard))
    log.close()
    assert list(scalars(tmp_path)["loss/train"]) == [1]
    assert scalars(tmp_path)["gates/a.norm"] == {1: 0.25}
    hardened = scalars(tmp_path / "hardened")
    assert (list(hardened["loss/train"]), hardened["r2/test"]) == ([2, 3], {3: 0.5})


def test_of_several_attempts_at_a_trial_the_last_counts(tmp_path):
    for loss, epochs in ((0.5, (1, 2, 3)), (0.25, (1, 2))):
        log = RunLog(tmp_path, ACCURACY, {}, is_mgu=False)
        for number in epochs:
            log.epoch_ended(epoch(number, loss=loss))
        log.close()
    assert scalars(tmp_path)["loss/train"] == {1: 0.25, 2: 0.25}


def test_an_attempt_that_goes_on_adds_to_what_the_one_before_wrote(tmp_path):
    """First in the midst of the soft network's epochs, then in those of the plain one."""
    gates = {"norm": 0.5}
    attempts = (
        [(1, gates), (2, gates), (3, gates)],
        [(3, gates), (4, gates), (3, None), (4, None)],
        [(4, None), (5, None)],
    )
    for number, told in enumerate(attempts):
        log = RunLog(tmp_path, ACCURACY, {}, is_mgu=True)
        for at, of in told:
            log.epoch_ended(epoch(at, of, loss=number))
        log.close()
    assert scalars(tmp_path)["loss/train"] == {1: 0, 2: 0, 3: 1, 4: 1}
    assert scalars(tmp_path / "hardened")["loss/train"] == {3: 1, 4: 2, 5: 2}


def test_a_trial_that_failed_says_why_and_has_no_test_score(tmp_path):
    board = TensorBoard(tmp_path / "tb", tmp_path / "s", SETTINGS, ACCURACY)
    listener = Several([board])
    listener.trial_began(1, 1, TRIALS[0])
    listener.epoch_ended(TRIALS[0], epoch(1, loss=math.inf))
    listener.trial_ended(1, 1, Record(TRIALS[0], "failed", 1, Result("failed", 1.0, message="MemoryError: no room")))
    listener.stopped("spent")
    listener.close()
    found = scalars(tmp_path / "tb" / "A_001-seed0")
    assert found["loss/train"] == {1: math.inf}
    assert "acc/test" not in found
    assert texts(tmp_path / "tb" / "A_001-seed0", "status") == ["    failed: MemoryError: no room"]


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file.*cannot be written"):
        RunLog(tmp_path / "file" / "run", ACCURACY, {}, is_mgu=False)


@pytest.mark.parametrize("command", ["fit", "compare"])
def test_without_tensorboard_it_says_what_to_install_before_anything_is_read(command, tmp_path):
    script = (
        "import sys; sys.modules['tensorboard'] = None; from mgu.cli import main; "
        f"main(['{command}', 'no data at all', '--tensorboard', sys.argv[1]])"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "tb")], capture_output=True, text=True)
    assert done.stderr == 'error: TensorBoard is not installed: pip install "mgu[tensorboard]"\n'
    assert done.returncode == 2
    assert not (tmp_path / "tb").exists()


@pytest.mark.parametrize("kind", GATES)
def test_ones_own_loop_logs_means_and_values(kind, tmp_path):
    torch.manual_seed(0)
    units = [MultiGatedUnit(nn.Conv1d(2, 4, 3), gates=kind), MultiGatedUnit(nn.Conv1d(4, 4, 3), gates=kind)]
    model, x = nn.Sequential(*units).train(), torch.randn(5, 2, 9)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    with SummaryWriter(str(tmp_path)) as writer:
        log_gates(writer, model, 7, x)
    assert model.training
    found = events(tmp_path)
    assert len(found.Tags()["scalars"]) == len(found.Tags()["histograms"]) == 10
    model.eval()
    with torch.no_grad():
        values = torch.sigmoid(units[1].gate_logits(units[0](x))["skip"]).double().numpy().ravel()
    (scalar,), (histogram,) = found.Scalars("gates/1.skip"), found.Histograms("gate_values/1.skip")
    assert (scalar.step, scalar.value) == (7, pytest.approx(values.mean(), rel=1e-5))
    counts, edges = np.histogram(values, 20, (0, 1))
    told = dict(zip(histogram.histogram_value.bucket_limit, histogram.histogram_value.bucket, strict=True))
    assert {edge: told.get(edge, 0) for edge in edges[1:]} == dict(zip(edges[1:], counts, strict=True))


def test_a_model_that_is_one_unit_and_one_without(tmp_path):
    with SummaryWriter(str(tmp_path)) as writer:
        log_gates(writer, MultiGatedUnit(nn.Linear(3, 3)), 0, torch.ones(2, 3))
        with pytest.raises(InputError, match="Linear has no MultiGatedUnit"):
            log_gates(writer, nn.Linear(3, 3), 0, torch.ones(2, 3))
    assert scalars(tmp_path)["gates/norm"] == {0: pytest.approx(1 / (1 + math.exp(-4)))}
