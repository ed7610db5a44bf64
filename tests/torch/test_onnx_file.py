"""ONNX files: what ONNX Runtime gives is what torch gives, for any batch; and no file where it is not."""

import copy
import json
import sys

import pytest
import torch
from torch import nn

from mgu.errors import InputError
from mgu.layouts import Layout
from mgu.spaces import Architecture
from mgu.torch import MultiGatedUnit, build_network, harden, to_onnx

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def hardened(shape, bypass):
    torch.manual_seed(0)
    network = build_network(Architecture(Layout(3, 1, 2, 2, 1.5), start_filters=4), shape, 3, bypass=bypass)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "gates" in name:
                parameter.add_(torch.randn_like(parameter))
    return harden(network, [(torch.randn(6, *shape), torch.arange(6) % 3)]).model


def answers(path, x):
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(["y"], {"x": x.numpy()})[0])


@pytest.mark.parametrize(("shape", "bypass"), [((1, 8, 8), "replica"), ((2, 9), "normed"), ((5,), "shortcut")])
def test_the_file_is_the_network(shape, bypass, tmp_path):
    network = hardened(shape, bypass)
    network.train()
    path = to_onnx(network, tmp_path / "model.onnx", shape, ["a", "b", 'ü"'])
    assert network.training
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]
    for batch in (1, 2, 7):
        x = torch.randn(batch, *shape)
        with torch.no_grad():
            torch.testing.assert_close(answers(path, x), network.eval()(x), rtol=1e-5, atol=1e-5)
    description = onnx.load(path)
    onnx.checker.check_model(description, full_check=True)
    assert {entry.key: json.loads(entry.value) for entry in description.metadata_props}["classes"] == ["a", "b", 'ü"']


def test_positions_before_the_features_stay(tmp_path):
    torch.manual_seed(0)
    unit = nn.Sequential(MultiGatedUnit(nn.Linear(3, 4), gates="channel"))
    x = torch.randn(6, 5, 3)
    network = harden(unit, [(x, torch.zeros(6, 5, 4))], loss=nn.functional.mse_loss).model
    path = to_onnx(network, tmp_path / "model.onnx", (5, 3))
    with torch.no_grad():
        torch.testing.assert_close(answers(path, x), network(x), rtol=1e-5, atol=1e-5)


def test_a_file_that_answers_otherwise_is_not_written(tmp_path, monkeypatch):
    network, export = nn.Linear(3, 2), torch.onnx.export

    def off(model, *args, **kwargs):
        other = copy.deepcopy(model)
        with torch.no_grad():
            other.bias += 1e-3
        return export(other, *args, **kwargs)

    monkeypatch.setattr(torch.onnx, "export", off)
    with pytest.raises(InputError, match=r"the ONNX file differs from the network by 0\.001"):
        to_onnx(network, tmp_path / "model.onnx", (3,))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["onnx", "onnxscript", "onnxruntime"])
def test_what_is_missing_is_named(name, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=rf'need {name}: pip install "mgu\[onnx\]"'):
        to_onnx(nn.Linear(3, 2), tmp_path / "model.onnx", (3,))


class OfData(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


REFUSED = {
    "a shape": (lambda: nn.Linear(3, 2), (4,), None, "does not run"),
    "classes": (lambda: nn.Linear(3, 2), (3,), ["a"], r"gives \(batch, 2\); the classes are \['a'\]"),
    "half": (lambda: nn.Linear(3, 2).half(), (3,), None, r"torch.float16: give model.float\(\)"),
    "a condition": (OfData, (3,), None, "cannot export"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_written_is_named(case, tmp_path):
    make, shape, classes, message = REFUSED[case]
    with pytest.raises(InputError, match=message):
        to_onnx(make(), tmp_path / "model.onnx", shape, classes)
    assert not list(tmp_path.iterdir())
