"""``mgu export``: what is written takes data as it is, and answers as ``mgu predict`` does."""

import csv
import io
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from mgu.data import TableFeatures
from mgu.torch import load, read_card


def as_it_is(name, data, folder):
    """The samples without standardising, float32."""
    if name == "stripes":
        files = sorted(data[name].rglob("*.png"))
        return np.stack([np.asarray(Image.open(file))[None] for file in files]).astype(np.float32)
    features = TableFeatures.from_json(read_card(folder).card["preprocessing"]["features"])
    return features.transform(pd.read_csv(data[name]))


def predicted(run, folder, path):
    return list(csv.DictReader(io.StringIO(run("predict", folder, path).stdout)))


def check(rows, outputs, classes):
    """The rows of ``mgu predict`` against an exported network's outputs."""
    if not classes:
        np.testing.assert_allclose([float(row["prediction"]) for row in rows], outputs.squeeze(1), rtol=1e-4)
        return
    assert [row["label"] for row in rows] == [classes[i] for i in outputs.argmax(1)]
    shares = torch.softmax(torch.from_numpy(outputs).double(), 1).numpy()
    np.testing.assert_allclose([[float(row[f"p({name})"]) for name in classes] for row in rows], shares, atol=1e-4)


@pytest.mark.parametrize("name", ["stripes", "shop", "houses"])
def test_onnx_runtime_answers_as_predict_does(name, data, models, run, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    folder, _ = models[name]
    done = run("export", folder, "--to", "onnx", "--out", tmp_path / "m.onnx")
    assert (done.exit_code, done.stdout) == (0, f"{tmp_path / 'm.onnx'}\n"), done.output
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    (outputs,) = session.run(None, {"x": as_it_is(name, data, folder)})
    classes = json.loads(session.get_modelmeta().custom_metadata_map.get("classes", "[]"))
    assert bool(classes) == (name != "houses")
    check(predicted(run, folder, data[name]), outputs, classes)


@pytest.mark.parametrize("name", ["stripes", "houses"])
def test_a_folder_for_torch_answers_as_predict_does(name, data, models, run, tmp_path):
    folder, _ = models[name]
    assert run("export", folder, "--to", "torch", "--out", tmp_path / "t").exit_code == 0
    with torch.no_grad():
        outputs = load(tmp_path / "t")(torch.from_numpy(as_it_is(name, data, folder))).numpy()
    check(predicted(run, folder, data[name]), outputs, read_card(tmp_path / "t").card.get("classes"))


def test_source_alone_needs_no_mgu(data, models, run, tmp_path):
    folder, _ = models["shop"]
    done = run("export", folder, "--to", "source", "--out", tmp_path / "s")
    assert done.exit_code == 0, done.output
    assert {path.name for path in (tmp_path / "s").iterdir()} == {"model.py", "model.safetensors"}
    np.save(tmp_path / "x.npy", as_it_is("shop", data, folder))
    script = (
        "import sys; sys.modules['mgu'] = None; sys.path.insert(0, sys.argv[1]); import numpy, torch, model; "
        "print(model.load()(torch.from_numpy(numpy.load(sys.argv[2]))).tolist())"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "s"), str(tmp_path / "x.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    check(predicted(run, folder, data["shop"]), np.array(json.loads(done.stdout)), ["buys", "leaves"])


@pytest.mark.parametrize(
    ("style", "out", "message"),
    [("onnx", "nowhere/m.onnx", "cannot be a file there"), ("torch", ".", "is there already")],
)
def test_bad_input_is_one_line_and_exit_code_2(style, out, message, models, run, tmp_path):
    (tmp_path / "mine").touch()
    done = run("export", models["shop"][0], "--to", style, "--out", tmp_path / out)
    assert done.exit_code == 2
    assert message in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
