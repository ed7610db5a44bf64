"""A model's folder from a stranger: nothing in it is run, nothing outside it is read, and no memory is taken on its
word."""

import hashlib
import json
import os
import pickle
import shutil

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from mgu.data.fresh import read_fresh
from mgu.errors import InputError
from mgu.model import predictions, read_model
from mgu.model.deciding import explained_on


@pytest.fixture
def folder(models, tmp_path):
    return shutil.copytree(models["shop"][0], tmp_path / "m")


def resealed(folder, change):
    """Change model.json as someone would who knows its format: with the checksum worked out again."""
    content = json.loads((folder / "model.json").read_text())
    del content["checksum"]
    change(content)
    content["checksum"] = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    (folder / "model.json").write_text(json.dumps(content))


def set_at(*path, to):
    def change(content):
        for name in path[:-1]:
            content = content[name]
        content[path[-1]] = to

    return change


PREPROCESSING = {
    "mean of another length": set_at("mean", to=[0.0]),
    "mean that is not finite": lambda known: known["mean"].__setitem__(0, float("nan")),
    "mean that is text": lambda known: known["mean"].__setitem__(0, "0.5"),
    "mean of the target that is true": set_at("target_mean", to=True),
    "a median that is text": lambda known: known["features"]["columns"][0].__setitem__("median", "3"),
    "deviation of 0": lambda known: known["std"].__setitem__(0, 0.0),
    "deviation beyond 32 bits": lambda known: known["std"].__setitem__(0, 1e300),
    "other input shape": set_at("input_shape", to=[3]),
    "no shape": set_at("input_shape", to="abc"),
    "one class": set_at("classes", to=["buys"]),
    "more classes": set_at("classes", to=["a", "b", "c"]),
    "classes that are no words": set_at("classes", to=[1, 2]),
    "features of no kind": set_at("features", to={"columns": [{"kind": "os.system", "name": "a"}]}),
    "no features": set_at("features", to={"columns": []}),
    "a column whose name is no text": lambda known: known["features"]["columns"][0].__setitem__("name", 3),
    "a category that is no text": lambda known: known["features"]["columns"][1]["categories"].__setitem__(0, [1]),
    "rows to keep that are none": set_at("query", "keep", to=[1]),
    "images resized to more than there is": set_at("query", to={"image_size": [10**9, 10**9]}),
    "a target that is no name": lambda known: known["query"].__setitem__("target", 3),
    "missing": lambda known: known.pop("std"),
}


@pytest.mark.parametrize("case", PREPROCESSING)
def test_preprocessing_that_does_not_fit_is_refused(case, folder):
    resealed(folder, lambda content: PREPROCESSING[case](content["card"]["preprocessing"]))
    with pytest.raises(InputError, match=str(folder)):
        read_model(folder)


SOFT = {
    "more weights than the file has": set_at("architecture", "start_filters", to=100_000),
    "a huge layout": set_at("architecture", "layout", to=[1000, 0, 1, 1, 50]),
    "no layout": set_at("architecture", "layout", to=["a"]),
    "a count that is none": set_at("architecture", "max_filters", to=1e9),
    "another option": set_at("unit", "out_channels", to=3),
    "gates that are not there": set_at("unit", "gates", to="os.system"),
    "a prior that is none": set_at("unit", "prior", to={"a": 1}),
    "other processors": set_at("unit", "processors", to=["rms_norm"]),
    "no architecture": lambda soft: soft.pop("architecture"),
}


@pytest.mark.parametrize("case", SOFT)
def test_a_soft_network_that_does_not_fit_its_weights_is_refused(case, folder, monkeypatch):
    resealed(folder, lambda content: SOFT[case](content["card"]["soft"]))
    model = read_model(folder)  # the plain network is as it was
    with pytest.raises(InputError):
        model.soft()


DECISIONS = {
    "of no names": [{"unit": [], "gate": "norm", "side": "bn_ln", "certainty": 1, "loss_change": 0}],
    "of other parts": [{"unit": "layer_1"}],
    "on a unit that is not there": [
        {"unit": "layer_9", "gate": "norm", "side": "bn_ln", "certainty": 1, "loss_change": 0}
    ],
    "no list": 3,
}


@pytest.mark.parametrize("case", DECISIONS)
def test_decisions_that_do_not_fit_are_refused(case, folder, run, data, tmp_path):
    resealed(folder, set_at("card", "architecture", "decisions", to=DECISIONS[case]))
    done = run("explain", folder, data["shop"], "--out", tmp_path / "e")
    assert (done.exit_code, done.stderr[:7]) == (2, "error: "), done.output
    assert not (tmp_path / "e").exists()


@pytest.mark.parametrize("name", ["model.safetensors", "model.json", "weights.safetensors"])
def test_a_link_out_of_the_folder_a_device_or_nothing_is_not_read(name, folder, tmp_path):
    outside = tmp_path / "outside"
    (folder / name).rename(outside)
    for make in (lambda path: path.symlink_to(outside), lambda path: os.mkfifo(path), lambda path: path.mkdir()):
        make(folder / name)
        with pytest.raises(InputError, match="is no file of its own in the folder"):
            read_model(folder).soft()
        (folder / name).rmdir() if (folder / name).is_dir() else (folder / name).unlink()
    with pytest.raises(InputError, match="is missing"):
        read_model(folder).soft()


@pytest.mark.parametrize("name", ["model.safetensors", "model.json", "weights.safetensors"])
def test_what_was_changed_or_is_a_pickle_is_refused(name, folder):
    content = (folder / name).read_bytes()
    for bad in (content[:-1], content[:-2] + b"xx", pickle.dumps(os.getcwd), b""):
        (folder / name).write_bytes(bad)
        with pytest.raises(InputError):
            read_model(folder).soft()


def test_weights_of_the_soft_network_that_are_not_finite_are_named(folder):
    path = folder / "weights.safetensors"
    with safe_open(path, "np") as file:
        header = file.metadata()
    weights = load_file(path)
    weights["readout.bias"][0] = np.inf
    save_file(weights, path, header)
    resealed(folder, set_at("card", "soft", "sha256", to=hashlib.sha256(path.read_bytes()).hexdigest()))
    with pytest.raises(InputError, match=r"readout\.bias has numbers that are not finite"):
        read_model(folder).soft()


@pytest.mark.parametrize("name", ["model.safetensors", "weights.safetensors"])
def test_weights_that_take_more_bytes_than_the_network_are_not_read(name, folder):
    os.truncate(folder / name, 2**40)
    with pytest.raises(InputError, match="1,099,511,627,776 bytes"):
        read_model(folder).soft()


def test_batches_are_as_large_as_memory_lets_them_be(models, data, monkeypatch):
    model = read_model(models["stripes"][0])
    fresh = read_fresh(str(data["stripes"]), model.preprocessing)
    whole, taken = predictions(model, fresh).outputs, []
    model.network.register_forward_pre_hook(lambda _, args: taken.append((args[0].device.type, len(args[0]))))
    monkeypatch.setattr("mgu.torch.trying.MOST_NUMBERS", 12 * np.prod(model.preprocessing.input_shape))
    again = predictions(model, fresh).outputs
    sizes = [count for device, count in taken if device == "cpu"]
    assert (sum(sizes), max(sizes) <= 12) == (40, True)
    np.testing.assert_allclose(again, whole, atol=1e-5)
    monkeypatch.setattr("mgu.torch.trying.MOST_NUMBERS", 100)
    with pytest.raises(InputError, match=r"the network does not run: .* more numbers than any network's"):
        predictions(model, fresh)
    with pytest.raises(InputError, match=r"the network with gates does not run: .* more than any network's"):
        explained_on(model, fresh)


def test_code_in_the_folder_is_not_run(folder, run, data, tmp_path):
    for name in ("model.py", "__init__.py", "conftest.py", "sitecustomize.py"):
        (folder / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    for command in (("predict", folder, data["shop"]), ("explain", folder, data["shop"])):
        assert run(*command).exit_code == 0
    assert not (tmp_path / "ran").exists()


def test_a_card_of_another_network_is_refused_on_the_command_line(folder, run, data):
    resealed(folder, lambda content: content["card"].pop("preprocessing"))
    done = run("predict", folder, data["shop"])
    assert done.exit_code == 2
    assert "not what its data must be made into" in done.stderr
