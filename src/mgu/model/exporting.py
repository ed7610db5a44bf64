"""A model's plain network by itself, for programs: in front of it, what makes data into what it takes."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mgu.errors import InputError
from mgu.model.card import answers_card
from mgu.model.folder import Model, write_folder
from mgu.torch import export
from mgu.torch.onnx_file import to_onnx


def whole_network(model: Model) -> nn.Sequential:
    """The network with the standardisation in front, and behind it what gives a quantity in its unit.

    It takes (batch, *input_shape) float32, pixels of 0 to 255 or a table's features (``TableFeatures.transform``), and
    gives (batch, classes) logits, or (batch, 1) in the target's unit.
    """
    wanted = model.preprocessing
    kind = nn.BatchNorm2d if len(wanted.input_shape) == 3 else nn.BatchNorm1d
    # In evaluation mode (x - running_mean) / sqrt(running_var) * weight, with a variance of 1.
    standardise = kind(len(wanted.mean), eps=0.0)
    parts: OrderedDict[str, nn.Module] = OrderedDict(standardise=standardise, network=model.network.cpu())
    with torch.no_grad():
        _tensor(standardise.running_mean).copy_(torch.from_numpy(wanted.mean))
        standardise.weight.copy_(torch.from_numpy(1 / wanted.std.astype(np.float64)))
        if not wanted.classes:
            parts["quantity"] = quantity = nn.Linear(1, 1)
            quantity.weight.fill_(wanted.target_std)
            quantity.bias.fill_(wanted.target_mean)
    return nn.Sequential(parts).eval()


def to_onnx_file(model: Model, path: Path) -> Path:
    """Write one ONNX file, which was compared with the network by ONNX Runtime; see ``mgu.torch.to_onnx``."""
    if not path.parent.is_dir() or path.is_dir():
        raise InputError(f"{path} cannot be a file there; name a file in a folder that exists")
    classes = list(model.preprocessing.classes) or None
    return to_onnx(whole_network(model), path, model.preprocessing.input_shape, classes)


def to_torch_folder(model: Model, folder: Path) -> Path:
    """Write a new folder as ``mgu.torch.save`` does, which ``mgu.torch.load`` and its own model.py read."""
    return write_folder(folder, lambda part: _save(model, part))


def to_source_folder(model: Model, folder: Path) -> Path:
    """Write a new folder with Python source and its weights alone, which need torch and safetensors."""

    def write(part: Path) -> None:
        _save(model, part)
        (part / export.DESCRIPTION).unlink()

    return write_folder(folder, write)


#: By name, what a model is exported to.
FORMATS: Mapping[str, Callable[[Model, Path], Path]] = {
    "onnx": to_onnx_file,
    "torch": to_torch_folder,
    "source": to_source_folder,
}


def _save(model: Model, folder: Path) -> None:
    wanted = model.preprocessing
    classes = answers_card(wanted) if wanted.classes else {}  # a quantity is in its unit here
    features = {"features": wanted.features.to_json()} if wanted.features else {}
    export.save(whole_network(model), folder, wanted.input_shape, {**classes, **features})


def _tensor(buffer: Tensor | None) -> Tensor:
    assert buffer is not None
    return buffer
