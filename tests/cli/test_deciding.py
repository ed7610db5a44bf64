"""``mgu explain`` and ``mgu harden``: the network with gates, on other data."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from mgu.data import TableFeatures
from mgu.model import read_model
from mgu.torch import MultiGatedUnit, load


def test_explain_says_what_the_gates_do_and_what_they_are_worth(data, models, run, tmp_path):
    folder, _ = models["stripes"]
    done = run("explain", folder, data["stripes"], "--out", tmp_path / "e")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("Layer: layer_1 self-explainability analysis based on (1, 10, 8) input\n")
    assert {path.suffix for path in (tmp_path / "e").iterdir()} == {".svg", ".json", ".txt"}
    assert (tmp_path / "e" / "diagnosis.txt").read_text() in done.stdout
    said = json.loads((tmp_path / "e" / "diagnosis.json").read_text())
    soft = read_model(folder).soft()
    assert [unit["name"] for unit in said["units"]] == [
        name for name, module in soft.named_modules() if isinstance(module, MultiGatedUnit)
    ]
    files = sorted(data["stripes"].rglob("*.png"))
    x = torch.from_numpy(np.stack([np.asarray(Image.open(file))[None] for file in files]).astype(np.float32))
    known = read_model(folder).preprocessing
    with torch.no_grad():
        outputs = soft((x - torch.from_numpy(known.mean)[:, None, None]) / torch.from_numpy(known.std)[:, None, None])
    truth = torch.tensor([int(file.parent.name == "along") for file in files])
    assert said["loss"] == pytest.approx(F.cross_entropy(outputs, truth).item(), rel=1e-4)


def test_without_labels_no_loss_is_known(data, models, run, tmp_path):
    folder, _ = models["stripes"]
    flat = shutil.copytree(data["stripes"] / "along", tmp_path / "flat")
    done = run("explain", folder, flat, "--out", tmp_path / "e")
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "e" / "diagnosis.json").read_text())["loss"] is None


@pytest.mark.parametrize("name", ["shop", "houses"])
def test_harden_decides_every_gate_and_saves_a_model(name, data, models, run, tmp_path):
    folder, _ = models[name]
    done = run("harden", folder, data[name], "--out", tmp_path / "h")
    assert done.exit_code == 0, done.output
    decided = re.findall(r"^(layer_\d): (\w+) -> (\w+) ", done.stdout, flags=re.MULTILINE)
    assert {unit for unit, _, _ in decided} == {"layer_1", "layer_2"}
    for network in ("soft: ", "hard: ", "largest output difference: "):
        assert f"\n{network}" in done.stdout
    model = read_model(tmp_path / "h")
    assert [(d.unit, d.gate, d.side) for d in model.decisions] == decided
    assert model.card["decided_on"] == {"name": data[name].name, "samples": len(pd.read_csv(data[name]))}
    before, after = (read_model(path).soft().state_dict() for path in (folder, tmp_path / "h"))
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert run("predict", tmp_path / "h", data[name]).exit_code == 0
    assert not any("mgu" in type(module).__module__ for module in load(tmp_path / "h").modules())


def test_the_decided_network_is_the_soft_one_with_its_gates_on_the_sides_said(data, models, run, tmp_path):
    from mgu.wiring import harden

    run("harden", models["shop"][0], data["shop"], "--out", tmp_path / "h")
    model = read_model(tmp_path / "h")
    soft = model.soft()
    for unit in ("layer_1", "layer_2"):
        module = soft.get_submodule(unit)
        module.chain = harden(module.chain, {d.gate: d.side for d in model.decisions if d.unit == unit})
    features = TableFeatures.from_json(model.card["preprocessing"]["features"])
    x = torch.from_numpy(features.transform(pd.read_csv(data["shop"])[["age", "city", "visits"]]))
    x = (x - torch.from_numpy(model.preprocessing.mean)) / torch.from_numpy(model.preprocessing.std)
    with torch.no_grad():
        torch.testing.assert_close(model.network(x), soft(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("command", ["explain", "harden"])
def test_bad_input_is_one_line_and_exit_code_2(command, data, models, run, tmp_path):
    folder, _ = models["shop"]
    pd.read_csv(data["shop"]).drop(columns="label").to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "mine").touch()
    cases = [
        ((folder, data["stripes"]), "the model takes a table"),
        ((tmp_path, data["shop"]), "is missing; a model folder has it"),
        ((folder, data["shop"], "--out", tmp_path / "kept"), "is there already"),
        ((folder, tmp_path / "t.csv"), "none of the 120 samples has a label that is one of buys, leaves"),
    ]
    for arguments, message in cases if command == "harden" else cases[:-1]:
        done = run(command, *arguments)
        assert done.exit_code == 2, done.output
        assert done.stderr.startswith("error: ")
        assert message in done.stderr
