"""``mgu fit``: what is saved and printed, and what is refused before anything is trained."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from cervigrams import write_cases
from mgu.data import load_data
from mgu.errors import InputError
from mgu.jobs import fit
from mgu.model import check_free, read_model
from mgu.model.folder import write_folder
from mgu.torch import MultiGatedUnit, count_weights, load

FILES = {
    *("model.safetensors", "model.json", "model.py", "weights.safetensors", "diagnosis.json", "diagnosis.txt"),
    *("architecture.svg", "gates-histograms.svg", "gates-means.svg", "gates-effects.svg", "gates-epochs.svg"),
}


@pytest.mark.parametrize("name", ["stripes", "shop", "houses"])
def test_the_folder_has_all_that_was_learned(name, data, models):
    folder, printed = models[name]
    assert {path.name for path in folder.iterdir()} == FILES
    card = json.loads((folder / "model.json").read_text())["card"]
    assert list(card) == [
        *(["classes"] if name != "houses" else ["target_mean", "target_std"]),
        *("data", "preprocessing", "metrics", "cost", "architecture", "training", "versions", "command", "soft"),
    ]
    options = {"target": "price", "drop": ["id"]} if name == "houses" else {}
    whole = load_data(str(data[name]), **options)
    assert card["data"]["checksum"] == whole.checksum
    assert (card["data"]["train"], card["data"]["test"]) == (len(whole.train.y), len(whole.test.y))
    assert card["preprocessing"]["mean"] == pytest.approx(whole.mean.tolist())
    assert card["cost"]["seconds"] > 0
    assert {"torch", "mgu", "python"} <= card["versions"].keys()
    for unit, words in card["architecture"]["words"].items():
        assert f"  {unit}: {words}\n" in printed
    assert printed.endswith(f"{folder}\n")


def test_the_metrics_are_those_of_the_saved_network_on_the_test_split(data, models):
    folder, _ = models["stripes"]
    whole = load_data(str(data["stripes"]))
    x = (whole.test.x - whole.mean[:, None, None]) / whole.std[:, None, None]
    with torch.no_grad():
        outputs = load(folder)(torch.from_numpy(x)).double()
    card = json.loads((folder / "model.json").read_text())["card"]
    right = outputs.argmax(1).numpy() == whole.test.y
    assert card["metrics"]["accuracy"] == pytest.approx(right.mean())
    assert card["metrics"]["on"] == "the test split"
    shares = torch.softmax(outputs, 1).numpy()[np.arange(len(right)), whole.test.y]
    assert card["metrics"]["log_loss"] == pytest.approx(-np.log(shares).mean(), rel=1e-4)


def test_a_regression_has_errors_in_the_targets_unit(data, models):
    folder, _ = models["houses"]
    whole = load_data(str(data["houses"]), target="price", drop=["id"])
    with torch.no_grad():
        outputs = load(folder)(torch.from_numpy((whole.test.x - whole.mean) / whole.std)).double().squeeze(1).numpy()
    errors = outputs * whole.target_std + whole.target_mean - whole.test.y
    card = json.loads((folder / "model.json").read_text())["card"]
    assert card["metrics"]["mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-3)
    assert card["metrics"]["r2"] == pytest.approx(1 - (errors**2).mean() / whole.test.y.var(), abs=1e-3)


def test_the_soft_network_comes_back_with_its_gates(models):
    model = read_model(models["stripes"][0])
    soft = model.soft()
    units = [module for module in soft if isinstance(module, MultiGatedUnit)]
    assert len(units) == len(model.card["architecture"]["words"])
    assert soft(torch.zeros(3, 1, 10, 8)).shape == (3, 2)
    weights = f"{count_weights(model.network):,} weights"
    assert repr(model) == f"<Model {models['stripes'][0]}: inputs of shape (1, 10, 8), 2 classes, {weights}>"
    assert not soft.training


def test_the_source_needs_no_mgu_and_answers_as_the_network(models):
    folder, _ = models["shop"]
    script = (
        "import sys; sys.modules['mgu'] = None; sys.path.insert(0, sys.argv[1]); import torch; from model import load, "
        "INPUT_SHAPE; print(load()(torch.ones(1, *INPUT_SHAPE)).tolist())"
    )
    done = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=True)
    with torch.no_grad():
        expected = load(folder)(torch.ones(1, *read_model(folder).preprocessing.input_shape))
    assert json.loads(done.stdout) == pytest.approx(expected.numpy(), rel=1e-5)


def test_unit_options_and_seed_are_kept(data, run, tmp_path):
    arguments = ("--epochs", 3, "--gates", "squeeze", "--processors", "rms_norm", "--seed", 7)
    done = run("fit", data["shop"], *arguments, "--out", tmp_path / "m", "--quiet")
    assert (done.exit_code, done.stdout) == (0, f"{tmp_path / 'm'}\n"), done.output
    model = read_model(tmp_path / "m")
    assert model.card["training"]["seed"] == 7
    assert model.card["soft"]["unit"]["processors"] == ["rms_norm"]
    assert "with_rms_norm" in model.soft()[0].gate_names


def test_groups_are_never_split_and_are_answered_as_one_too(run, tmp_path):
    cases = write_cases(tmp_path / "cases", 24, 12)
    arguments = ("--keep", "stage=acetic_acid", "--image-size", "12,12", "--epochs", 2, "--out", tmp_path / "m")
    done = run("fit", cases, *arguments)
    assert done.exit_code == 0, done.output
    card = read_model(tmp_path / "m").card
    assert (card["metrics"]["samples"], card["case_metrics"]["samples"]) == (25, 5)
    assert card["data"]["note"].endswith("Split by case_id: each is in one split alone.")
    assert card["preprocessing"]["query"]["keep"] == {"stage": ["acetic_acid"]}
    done = run("predict", tmp_path / "m", cases)
    assert done.exit_code == 0, done.output
    assert "of 168 samples" in done.stderr  # of all stages: the labels are those of the metadata.csv
    assert run("harden", tmp_path / "m", cases, "--out", tmp_path / "h").exit_code == 0
    assert "case_metrics" not in read_model(tmp_path / "h").card  # those were another network's


def test_a_folder_that_is_there_is_refused_before_anything_is_read(run, tmp_path):
    (tmp_path / "kept").write_text("mine")
    done = run("fit", "no data at all", "--out", tmp_path)
    assert done.exit_code == 2
    assert "is there already; name another folder (--out)" in done.stderr
    assert (tmp_path / "kept").read_text() == "mine"


def test_a_folder_is_whole_or_absent(tmp_path):
    def fail(part):
        (part / "half").write_text("half")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        write_folder(tmp_path / "m", fail)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "empty").mkdir()
    write_folder(tmp_path / "empty", lambda part: (part / "a").write_text("a"))
    assert (tmp_path / "empty" / "a").read_text() == "a"
    with pytest.raises(InputError, match="cannot be written"):
        check_free(tmp_path / "empty" / "a" / "m")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--epochs", 1), "at least one must come before and one after"),
        (("--harden-after", 0), "at least one must come before and one after"),
        (("--gates", "soft"), "unknown gates 'soft'"),
        (("--processors", "instance_norm"), "InstanceNorm: values of shape"),
        (("--target", "price"), "there is no target column 'price'"),
        (("--device", "tpu"), "device 'tpu' is not here"),
        (("--country", "XX"), "XX"),
        (("--prior", "1e400,0,0,0,0"), "prior has inf for the gate bn_order; it must be a finite number"),
        (("--prior", "nan,1,1,1,1"), "prior has nan for the gate bn_order; it must be a finite number"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, message, data, run, tmp_path):
    done = run("fit", data["shop"], *arguments, "--out", tmp_path / "m")
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert not (tmp_path / "m").exists()


def test_large_quantities_are_learned_and_told(run, tmp_path):
    """Their squares are no 32-bit numbers."""
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("x", "label"), *((i, (i - 30.5) * 1e18) for i in range(60))])
    done = run("fit", tmp_path / "t.csv", "--task", "regression", "--epochs", 3, "--out", tmp_path / "m")
    assert done.exit_code == 0, done.output
    assert 1e16 < read_model(tmp_path / "m").card["metrics"]["rmse"] < 1e20


@pytest.mark.parametrize("seed", [-1, 2**32, 2**70])
def test_a_seed_that_torch_does_not_take_is_refused(seed, data, run, tmp_path):
    done = run("fit", data["shop"], "--seed", seed, "--out", tmp_path / "m")
    assert done.exit_code == 2, done.output
    assert "0<=x<=4294967295" in done.stderr
    with pytest.raises(InputError, match=rf"seed must be a whole number from 0 to 2\*\*32 - 1; {seed} was given"):
        fit(data["shop"], seed=seed, out=tmp_path / "m")


def test_a_loss_that_is_not_finite_saves_nothing(data, run, tmp_path):
    done = run("fit", data["houses"], "--target", "price", "--lr", 1e30, "--epochs", 3, "--out", tmp_path / "m")
    assert done.exit_code == 1
    assert "nothing was saved: the loss was not finite in epoch 1" in done.stderr
    assert not (tmp_path / "m").exists()


def test_the_manual_has_every_command_and_examples(run):
    manual = run("--help").stdout
    for heading in ("A model of your own data:", "Compare with a grid:", "Examples:"):
        assert heading in manual
    for name in ("fit", "predict", "explain", "harden", "export", "compare", "space", "report", "status"):
        assert f"\n  {name} " in manual
        assert run(name, "--help").exit_code == 0
