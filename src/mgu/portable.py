"""Weights as one file that both halves read and write: safetensors, with what they belong to in its header.

A tensor's name is the path of its layer and what it is to it: ``layer_1.operations.bn.running_mean`` is the running
mean of the operation ``bn`` of the chain of ``layer_1``, ``layer_1.gates.logits`` are the logits of its gates. Kernels
are (out, in, *positions) for convolutions, in / groups for grouped ones, and (out, in) for dense layers; what a gate
kind has for all gates has them in the order of the chain on its first axis. These are the names and the axes of the
PyTorch half's ``state_dict``; the Keras half translates its own. All numbers are float32, which holds what is narrower.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from mgu.errors import InputError
from mgu.files import write_whole
from mgu.plain_json import read_finite_json
from mgu.wiring import Chain

FORMAT = 1
#: What stands before the tensors has at most so many bytes.
MOST_HEADER = 64 * 2**20
_KEY = "mgu"
_DTYPE = np.dtype(np.float32)
Array: TypeAlias = np.ndarray[Any, Any]
Tensors = Mapping[str, Array]


class Window(NamedTuple):
    """What slides over positions, in numbers, one entry an axis; ``padding`` is before and behind."""

    kernel: Sequence[int]
    strides: Sequence[int]
    dilation: Sequence[int]
    padding: Sequence[Sequence[int]]


def description(chain: Chain, window: Window | None) -> dict[str, Any]:
    """A unit or cell as JSON data: its chain, whose order the gates have, and its layer's window, if it has one."""
    return {
        "chain": [{"type": type(node).__name__, **asdict(node)} for node in chain],
        "window": window._asdict() if window else None,
    }


def write(path: str | Path, tensors: Tensors, blocks: Mapping[str, Any]) -> Path:
    """Write tensors by name, and the ``description`` of each block by its path; return the file's path.

    Raises InputError for numbers that float32 does not hold, and where the file cannot be written.
    """
    header = {_KEY: json.dumps({"format": FORMAT, "blocks": blocks})}
    content = save({name: _as_written(name, value) for name, value in tensors.items()}, header)
    try:
        write_whole(Path(path), content)
    except OSError as error:
        raise InputError(f"{path}: no weights can be written here: {error.strerror}") from None
    return Path(path)


def read(path: str | Path, shapes: Mapping[str, Sequence[int]], blocks: Mapping[str, Any]) -> Tensors:
    """The tensors of a file, which must be those of a network with tensors of these shapes and these blocks.

    Raises InputError where the file cannot be read, is of another kind or format, has numbers that are not float32, or
    is of another network, naming the first difference.
    """
    most = 4 * sum(map(prod, shapes.values())) + MOST_HEADER
    try:
        if (size := Path(path).stat().st_size) > most:
            raise InputError(f"it has {size:,} bytes, and such a network's file at most {most:,}")
        content = Path(path).read_bytes()
        tensors, header = load(content), _header(content)
    except (OSError, MemoryError, SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: no weights can be read here: {error}") from None
    found = header.get("format")
    if type(found) is not int or found != FORMAT:  # True is 1
        raise InputError(f"{path}: its format is {found!r}; {FORMAT} can be read")
    _check_blocks(path, header.get("blocks"), json.loads(json.dumps(blocks)))
    _check_shapes(path, {name: value.shape for name, value in tensors.items()}, shapes)
    _check_dtypes(path, tensors)
    return tensors


def _as_written(name: str, value: Array) -> Array:
    if np.promote_types(value.dtype, _DTYPE) != _DTYPE:
        raise InputError(f"{name} is of {value.dtype}, and weights are written as {_DTYPE}; convert the network to it")
    return np.ascontiguousarray(value, _DTYPE)


def _header(content: bytes) -> dict[str, Any]:
    """safetensors' header is JSON behind its length, an unsigned 64-bit integer."""
    length = int.from_bytes(content[:8], "little")
    header = read_finite_json(read_finite_json(content[8 : 8 + length])["__metadata__"][_KEY])
    return header if isinstance(header, dict) else {}


def _check_blocks(path: str | Path, there: Any, here: Mapping[str, Any]) -> None:
    if not isinstance(there, dict) or there.keys() != here.keys():
        units = list(there) if isinstance(there, dict) else there
        raise InputError(f"{path}: the weights are of the units {units}, the network has {list(here)}")
    for name, block in here.items():
        other = there[name] if isinstance(there[name], dict) else {}
        for key, value in block.items():
            if other.get(key) != value:
                raise InputError(
                    f"{path}: the {key} of {name or 'the unit'} is {other.get(key)} there and {value} here"
                )


def _check_shapes(path: str | Path, there: Mapping[str, Sequence[int]], here: Mapping[str, Sequence[int]]) -> None:
    for name in [*here, *there]:
        found, wanted = (list(shapes[name]) if name in shapes else "missing" for shapes in (there, here))
        if found != wanted:
            raise InputError(f"{path}: {name} is {found} there and {wanted} here")


def _check_dtypes(path: str | Path, tensors: Tensors) -> None:
    for name, value in tensors.items():
        if value.dtype != _DTYPE:
            raise InputError(f"{path}: {name} is of {value.dtype}; {_DTYPE} can be read")
