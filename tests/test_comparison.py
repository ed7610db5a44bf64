"""The main job on small data: the study, its files, stopping and going on."""

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mgu.comparison import Comparison, default_space
from mgu.data import DataSet, Split, load_data
from mgu.errors import InputError
from mgu.progress import Silent
from mgu.report.architecture import architecture_figure
from mgu.report.tables import summarise
from mgu.spaces import load_space, parse_space
from mgu.study.ledger import read_study
from mgu.torch import build_network, count_weights, explain
from mgu.training import Recipe, fit, framework_of
from mgu.training.samples import on_device
from tiny import SPACE, tiny_comparison


@pytest.fixture(scope="module")
def comparison():
    return tiny_comparison()


def test_a_study_from_start_to_report(comparison, tmp_path):
    trials = comparison.trials(range(2))
    view = comparison.run(tmp_path, trials, Silent(), "mgu compare digits")
    assert [(r.trial.model_name, r.trial.seed, r.status) for r in view.records] == [
        (name, seed, "finished") for seed in (0, 1) for name in ("TINY_001", "TINY_002", "TINY_MGU_001")
    ]
    rows = list(csv.DictReader((tmp_path / "results.csv").read_text().splitlines()))
    hardened = [row for row in rows if row["model_name"].endswith(" hardened")]
    assert (len(rows), len(hardened)) == (8, 2)
    needed = {"model_name", "layout", "norm", "residual", "model_size", "tts_s", "train_acc", "val_acc", "test_acc"}
    assert needed | {"seed", "status"} <= rows[0].keys()
    by_trial = {(row["model_name"], int(row["seed"])): row for row in rows}
    for record in view.records:
        row = by_trial[record.trial.model_name, record.trial.seed]
        assert float(row["val_acc"]) == pytest.approx(100 * record.result.val_score, abs=0.01)
        assert float(row["tts_s"]) == pytest.approx(record.result.tts_s, abs=0.001)
    assert "mgu compare digits" in (tmp_path / "report.md").read_text()
    assert "<svg" in (tmp_path / "report.html").read_text()
    assert {"torch", "processor", "cores", "commit"} <= view.environment.keys()


def test_a_study_of_more_trials_than_any_is_refused(comparison):
    assert len(comparison.trials(range(3333))) == 9999
    with pytest.raises(InputError, match="3 models with 3334 seeds each, or more, are over 10,000 trials"):
        comparison.trials(range(10**4))


def test_settings_hold_what_decides_the_results_and_are_json(comparison):
    settings = comparison.settings()
    assert json.loads(json.dumps(settings)) == settings
    assert settings["data"]["checksum"] == comparison.data.checksum
    assert settings["data"]["class_names"] == list(comparison.data.classes)
    assert settings["training"]["decay"] == pytest.approx(0.01 / 2)
    assert settings["space"]["cells"] == ["bn_pre", "no_norm+residual"]
    defaults = {"gates": "channel", "prior": "plain", "residual_gate": True, "form": "code", "bypass": "shortcut"}
    assert settings["unit"] == {**defaults, "processors": []}
    named = replace(comparison, unit={"processors": ("rms_norm",)}).settings()
    assert named["unit"]["processors"] == ["rms_norm"]


def test_wrong_unit_options_are_refused_also_where_only_plain_models_are_asked_for(comparison):
    with pytest.raises(InputError, match="unknown gates 'soft'"):
        replace(comparison, unit={"gates": "soft"}).trials([0], ["TINY_001"])
    features = Comparison(load_data("iris"), load_space("table"), unit={"processors": ["instance_norm"]})
    with pytest.raises(InputError, match="it needs more positions: leave it out of the processors"):
        features.trials([0], ["TAB_001"])


@pytest.mark.parametrize(("given", "name"), [(".", "here"), ("../here", "here"), ("a/b.v1", "b.v1"), ("a/t.csv", "t")])
def test_what_the_data_is_called(comparison, tmp_path, monkeypatch, given, name):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert replace(comparison, data=replace(comparison.data, name=given)).name == name


def test_saved_weights_are_those_of_the_trained_network(comparison, tmp_path):
    trials = comparison.trials([0], ["TINY_MGU_*"])
    comparison.run(tmp_path, trials, Silent())
    path = tmp_path / "trials" / "TINY_MGU_001-seed0" / "weights.safetensors"
    stated = (path.parent / "weights.sha256").read_text().split()[0]
    assert stated == hashlib.sha256(path.read_bytes()).hexdigest()
    network = build_network(trials[0].architecture, (1, 8, 8), 10)
    network.load_state_dict(load_file(path))
    again = fit(trials[0].architecture, comparison.data, comparison.recipe, seed=0).network
    x = torch.randn(4, 1, 8, 8)
    torch.testing.assert_close(network.eval()(x), again(x))


def test_a_trial_with_gates_is_explained_on_validation_samples(comparison, tmp_path):
    comparison.run(tmp_path, comparison.trials([0], ["TINY_001", "TINY_MGU_*"]), Silent())
    assert not list(tmp_path.rglob("checkpoints"))  # they were for trials that have ended
    assert [path.parent.name for path in tmp_path.rglob("diagnosis.*")] == ["TINY_MGU_001-seed0"] * 2
    folder = tmp_path / "trials" / "TINY_MGU_001-seed0"
    names = {"architecture", "gates-effects", "gates-epochs", "gates-histograms", "gates-means"}
    assert {path.stem for path in folder.glob("*.svg")} == names
    found = json.loads((folder / "diagnosis.json").read_text())
    network = build_network(comparison.trials([0])[2].architecture, (1, 8, 8), 10)
    network.load_state_dict(load_file(folder / "weights.safetensors"))
    _, validation, _ = on_device(comparison.data, torch.device("cpu"))
    x, y = validation.x, validation.y  # 50 samples; at most 100 are taken
    with torch.no_grad():
        assert found["loss"] == pytest.approx(torch.nn.functional.cross_entropy(network.eval()(x), y).item())
    text = (folder / "diagnosis.txt").read_text()
    assert text.startswith("Layer: layer_1 self-explainability analysis based on (1, 8, 8) input\nAnalysing 'Gate1 - ")
    assert all(f"Alarm, {alarm['kind']}: {alarm['message']}. " in text for alarm in found["alarms"])


def test_the_picture_of_the_architecture_is_of_what_was_decided(comparison, tmp_path):
    view = comparison.run(tmp_path, comparison.trials([0], ["TINY_MGU_*"]), Silent())
    (record,) = view.records
    network = build_network(record.trial.architecture, (1, 8, 8), 10)
    _, validation, _ = on_device(comparison.data, torch.device("cpu"))
    decisions = record.result.hardening.decisions
    drawn = architecture_figure(explain(network, validation.batches()), decisions).get_label()
    assert drawn in (tmp_path / "trials" / "TINY_MGU_001-seed0" / "architecture.svg").read_text()


def test_only_the_best_plain_trial_and_the_mgu_keep_their_weights(comparison, tmp_path):
    view = comparison.run(tmp_path, comparison.trials([0, 1]), Silent())
    plain = [record for record in view.records if not record.trial.is_mgu]
    best = max(plain, key=lambda record: record.result.val_score).trial
    kept = {path.parent.name for path in tmp_path.glob("trials/*/weights.safetensors")}
    assert kept == {f"{best.model_name}-seed{best.seed}", "TINY_MGU_001-seed0", "TINY_MGU_001-seed1"}


def test_a_report_that_cannot_be_written_is_one_plain_error_and_the_results_stay(comparison, tmp_path):
    (tmp_path / "report.html").mkdir()
    with pytest.raises(InputError, match=r"the report cannot be written .*; the results are kept"):
        comparison.run(tmp_path, comparison.trials([0], ["TINY_001"]), Silent())
    assert read_study(tmp_path).records[0].status == "finished"


def test_a_note_is_shown_and_is_no_setting(comparison, tmp_path):
    trials = comparison.trials([0], ["TINY_001"])
    noted = replace(comparison, note="the images are scanned copies")
    noted.run(tmp_path, trials, Silent())
    assert "the images are scanned copies" in (tmp_path / "report.md").read_text()
    assert len(comparison.run(tmp_path, trials, Silent()).records) == 1


def test_only_and_more_seeds_extend_a_study(comparison, tmp_path):
    comparison.run(tmp_path, comparison.trials([0], ["TINY_00?"]), Silent())
    first = read_study(tmp_path).records
    view = comparison.run(tmp_path, comparison.trials([0, 1]), Silent())
    assert len(view.records) == 6
    assert view.records[:2] == first
    with pytest.raises(InputError, match=r"no model matches 'MNI\*'; the models of this space: TINY_001, TINY_002"):
        comparison.trials([0], ["MNI*"])


def test_a_rival_is_trained_beside_the_grid_and_mgu_and_changes_nothing_of_theirs(comparison, tmp_path):
    before = comparison.run(tmp_path, comparison.trials([0]), Silent())
    rivalled = replace(comparison, rivals=("switchable",))
    assert rivalled.settings() == comparison.settings()
    trials = rivalled.trials([0])
    names = ["TINY_001", "TINY_002", "TINY_MGU_001", "TINY_SN_001", "TINY_SN_002"]
    assert [trial.model_name for trial in trials] == names
    assert [trial.model_name for trial in rivalled.trials([0], ["*_SN_*"])] == names[3:]
    view = rivalled.run(tmp_path, trials, Silent())
    assert view.records[:3] == before.records
    rivals = view.records[3:]
    assert [(r.trial.kind, r.trial.norm, r.trial.residual, r.status) for r in rivals] == [
        ("rival", "sn", "0", "finished"),
        ("rival", "sn", "1", "finished"),
    ]
    found, summary = summarise(view), summarise(before)
    assert (found.grid_cost, found.best_plain.model_name) == (summary.grid_cost, summary.best_plain.model_name)
    assert (found.plain_models, found.grid_size, found.complete) == (2, 2, True)
    rows = list(csv.DictReader((tmp_path / "results.csv").read_text().splitlines()))
    assert sorted(row["model_name"] for row in rows) == sorted([*names, "TINY_MGU_001 hardened"])
    cost = sum(record.result.tts_s for record in rivals)
    times = f"grid {summary.grid_cost.total_s / cost:.2f} times as expensive"
    assert times in (tmp_path / "report.md").read_text()
    for record in rivals:
        network = build_network(record.trial.architecture, (1, 8, 8), 10)
        network.load_state_dict(load_file(tmp_path / "trials" / f"{record.trial.model_name}-seed0/weights.safetensors"))
        assert count_weights(network) == record.trial.model_size
        assert record.result.latency_s > 0


def test_an_unknown_rival_is_refused_before_anything_trains(comparison):
    with pytest.raises(InputError, match="unknown rival 'none'; allowed: switchable"):
        replace(comparison, rivals=["none"]).trials([0])


def test_other_settings_in_the_same_folder_are_refused_and_nothing_is_lost(comparison, tmp_path):
    comparison.run(tmp_path, comparison.trials([0], ["TINY_001"]), Silent())
    before = read_study(tmp_path)
    other = Comparison(comparison.data, SPACE, Recipe(epochs=3, batch_size=32))
    with pytest.raises(InputError, match=r"training.epochs was 2, now 3"):
        other.run(tmp_path, other.trials([0]), Silent())
    assert read_study(tmp_path) == before


def test_a_diverging_cell_is_recorded_and_the_others_go_on(comparison, tmp_path):
    wild = Comparison(comparison.data, SPACE, Recipe(epochs=1, lr=1e30))
    view = wild.run(tmp_path, wild.trials([0]), Silent())
    assert {record.status for record in view.records} == {"diverged"}
    assert not list(tmp_path.rglob("weights.*"))
    assert len(view.records) == 3


def test_a_layout_that_does_not_fit_is_refused_before_anything_trains(comparison):
    deep = parse_space(
        """
prefix = "DEEP"
input_shape = [1, 28, 28]
classes = 10
layouts = [[4, 2, 2, inf, 2]]
mgu_layouts = [[4, 2, 2, inf, 2]]
cells = ["bn_pre"]
""",
        "deep",
    )
    with pytest.raises(InputError, match=r"DEEP_001: .*does not fit inputs of shape \(1, 8, 8\): layer 3 of 4"):
        Comparison(comparison.data, deep).trials([0])


def test_the_default_space_is_the_one_for_the_shape():
    def of_shape(*shape):
        split = Split(np.zeros((4, *shape), np.uint8), np.array([0, 1, 0, 1]))
        return DataSet("x", split, split, split, ("a", "b"), "")

    prefixes = {shape: default_space(of_shape(*shape)).prefix for shape in [(1, 8, 8), (1, 28, 28), (3, 32, 32), (7,)]}
    assert list(prefixes.values()) == ["DIG", "MNI", "CIF", "TAB"]
    with pytest.raises(InputError, match=r"shape \(3, 20, 20\); name one with --space"):
        default_space(of_shape(3, 20, 20))


def test_devices_and_frameworks():
    torch_half = framework_of("torch")
    assert torch_half.device("cpu") == "cpu"
    assert torch_half.device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(InputError, match=r"device 'tpu' is not here; allowed: auto, cpu"):
        torch_half.device("tpu")
    with pytest.raises(InputError, match=r"unknown framework 'mxnet'; allowed: torch, keras"):
        framework_of("mxnet")


def test_killed_in_the_middle_of_a_trial_and_started_again(tmp_path):
    command = [sys.executable, "-m", "mgu", "compare", "digits", "--limit", "200", "--epochs", "2"]
    command += ["--only", "DIG_00[1-3],*MGU*", "--out", str(tmp_path / "study"), "--quiet"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        records = read_study(tmp_path / "study").records if (tmp_path / "study" / "ledger.sqlite").is_file() else ()
        if len(records) == 4 and records[2].status == "running":
            break
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    killed = read_study(tmp_path / "study").records
    assert [record.status for record in killed[:3]] == ["finished", "finished", "running"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    records = read_study(tmp_path / "study").records
    assert records[:2] == killed[:2]
    assert [record.status for record in records] == ["finished"] * 4
    assert [record.attempts for record in records] == [1, 1, 2, 1]
    rows = (tmp_path / "study" / "results.csv").read_text().splitlines()
    assert len(rows) == 1 + 4 + 1
    assert [row.split(",")[0] for row in rows if "MGU" in row].count("DIG_MGU_001 hardened") == 1
