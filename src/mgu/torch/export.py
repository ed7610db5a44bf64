"""A hardened network on disk: weights, the network as data, and Python source that needs no mgu; and back."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from mgu.errors import InputError
from mgu.files import write_whole
from mgu.plain_json import read_finite_json
from mgu.torch.build import agree, as_shape, attempt, build, check_classes, dtype_of, weights_size
from mgu.torch.plain import Network
from mgu.torch.reading import MOST_DESCRIBED, check_finite, read_inside
from mgu.torch.source import source
from mgu.torch.trace import on_cpu, trace
from mgu.torch.vocabulary import DTYPES

WEIGHTS, DESCRIPTION, SOURCE = "model.safetensors", "model.json", "model.py"
FORMAT = 1


@dataclass(frozen=True)
class Card:
    """What is known of a saved network. It takes (batch, *input_shape) of ``dtype``; ``card`` is what was given when
    it was saved, class labels under "classes"; ``sha256`` is that of the weights' file."""

    input_shape: tuple[int, ...]
    dtype: str
    torch: str
    sha256: str
    card: Mapping[str, Any]


def save(
    model: nn.Module, folder: str | Path, input_shape: Sequence[int], card: Mapping[str, Any] | None = None
) -> Path:
    """Write a plain network to a folder, which is made where it is missing, and return the folder.

    ``model`` is what ``harden`` gives, or any module of torch's layers that takes one tensor (batch, *input_shape) and
    gives one; it is as before afterwards. ``card`` is plain JSON data to keep with it, such as the decisions; the
    labels under "classes", in the order of the outputs, become part of the source too. Three files are written, each
    whole or not at all: ``model.safetensors``, the weights; ``model.json``, the network as data and the weights'
    SHA-256; ``model.py``, a plain ``torch.nn.Module`` and its ``load``, which need torch and safetensors only.

    Before anything is written, the network is built from the data and must answer as the model does. Raises InputError
    for layers or functions that cannot be saved, for weights of several number formats, for an input shape that does
    not fit, for a card that is not plain JSON data, and where the folder is a file.
    """
    folder, shape = Path(folder), as_shape(input_shape)
    network, weights = trace(model)
    rebuilt = build(network, weights, shape)
    kept = _plain(card or {})
    _check_rebuilt(model, rebuilt, shape, kept.get("classes"))
    written = safetensors.torch.save(weights)
    dtype = next(name for name, dtype in DTYPES.items() if dtype == dtype_of(weights))
    about = Card(shape, dtype, torch.__version__, hashlib.sha256(written).hexdigest(), kept)
    content = {"format": FORMAT, **asdict(about), "network": network.to_json()}
    text = source(
        network,
        input_shape=shape,
        dtype=dtype,
        classes=kept.get("classes"),
        weights=WEIGHTS,
        sha256=about.sha256,
    )
    files = {WEIGHTS: written, DESCRIPTION: _sealed(content), SOURCE: text.encode()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise InputError(f"{folder} is a file; give a folder to write {', '.join(files)} to") from error
    for name, data in files.items():
        write_whole(folder / name, data)
    return folder


def load(folder: str | Path) -> nn.Module:
    """The network that ``save`` wrote to the folder, in evaluation mode, on the CPU.

    It is built from ``model.json`` and ``model.safetensors``; the source is not read, and nothing in the folder is run.
    Raises InputError where one of the two is missing, a link out of the folder or no file, is not as it was written
    (SHA-256), is larger than what it is to hold, names a layer or a function that is not in the tables, has a weight
    that is not finite, or does not fit the other.
    """
    folder = Path(folder)
    card, description = _read(folder)
    try:
        network, shape = Network.from_json(description), as_shape(card.input_shape)
        size = weights_size(network, card.dtype, shape)
    except InputError as error:
        raise InputError(f"{folder}: {error}") from error
    weights = read_inside(folder, WEIGHTS, size + MOST_DESCRIBED)
    if hashlib.sha256(weights).hexdigest() != card.sha256:
        raise InputError(f"{folder / WEIGHTS} is not as it was written: its SHA-256 is not that in {DESCRIPTION}")
    tensors: dict[str, Tensor] = attempt(f"{folder / WEIGHTS}", safetensors.torch.load, weights)
    check_finite(tensors, folder / WEIGHTS)
    try:
        return build(network, tensors, shape)
    except InputError as error:
        raise InputError(f"{folder}: {error}") from error


def read_card(folder: str | Path) -> Card:
    """What is known of the network in a folder, without its weights. Raises InputError as ``load`` does."""
    return _read(Path(folder))[0]


def _check_rebuilt(model: nn.Module, rebuilt: nn.Module, shape: tuple[int, ...], classes: object) -> None:
    original = on_cpu(model)
    x = torch.randn(2, *shape, dtype=dtype_of(original.state_dict()), generator=torch.Generator().manual_seed(0))
    expected: Tensor = attempt("the network does not run", original, x)
    agree("what would be saved", attempt("the network does not run", rebuilt, x), expected)
    if classes is not None:
        check_classes(classes, expected)


def _plain(card: Mapping[str, Any]) -> dict[str, Any]:
    """The card as it will be read back."""
    try:
        return dict(read_finite_json(json.dumps(dict(card), allow_nan=False)))
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"the card must be a mapping of plain JSON data with finite numbers: {error}") from error


def _sealed(content: Mapping[str, Any]) -> bytes:
    """JSON with the SHA-256 of all else in it."""
    return json.dumps({**content, "checksum": _checksum(content)}, indent=1, allow_nan=False).encode()


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _read(folder: Path) -> tuple[Card, Any]:
    """The card, and the network as data."""
    path = folder / DESCRIPTION
    try:
        content = read_finite_json(read_inside(folder, DESCRIPTION, MOST_DESCRIBED))
        checksum, version = content.pop("checksum"), content.pop("format")
        if version != FORMAT:
            raise InputError(f"{path} has format {version!r}; this version of mgu reads {FORMAT}")
        if _checksum({**content, "format": version}) != checksum:
            raise InputError(f"{path} is not as it was written: its checksum is another")
        network = content.pop("network")
        return Card(**{**content, "input_shape": tuple(content["input_shape"])}), network
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path} is not what mgu writes: {type(error).__name__} {error}") from error
