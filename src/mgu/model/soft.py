"""The network with its gates, as data and back: what its weights belong to."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, fields
from typing import Any

from torch import nn

from mgu.errors import InputError
from mgu.layouts import Layout
from mgu.spaces import MAX_COUNT, Architecture
from mgu.torch.network import build_network
from mgu.torch.reading import check_fits
from mgu.wiring import OPTIONS

_COUNTS = ("kernel_size", "start_filters", "max_filters")


def describe_soft(architecture: Architecture, unit: Mapping[str, Any]) -> dict[str, Any]:
    """An MGU network's architecture and its units' options as plain JSON data."""
    named = {name: value for name, value in asdict(architecture).items() if name not in ("layout", "cell")}
    return {"architecture": {"layout": list(astuple(architecture.layout)), **named}, "unit": dict(unit)}


def build_soft(described: Mapping[str, Any], input_shape: tuple[int, ...], outputs: int, size: int) -> nn.Sequential:
    """The network of a description, with fresh weights, whose file has ``size`` bytes.

    Raises InputError, before memory is taken, for what is no description, and for a network of more weights than such
    a file holds.
    """
    try:
        architecture = _architecture(described["architecture"])
        unit = dict(described["unit"])
        _require(unit.keys() <= OPTIONS.keys(), f"options are {', '.join(OPTIONS)}")
        check_fits(architecture, input_shape, outputs, unit, size)
        return build_network(architecture, input_shape, outputs, **unit)
    except Exception as error:  # whatever torch makes of numbers that no network has
        raise InputError(f"the card describes no network with gates: {error}") from error


def _architecture(data: Mapping[str, Any]) -> Architecture:
    known = {field.name for field in fields(Architecture)} - {"cell"}
    _require(data.keys() == known, f"an architecture has {', '.join(sorted(known))}")
    counts = (data[name] for name in _COUNTS)
    _require(all(type(n) is int and 1 <= n <= MAX_COUNT for n in counts), f"{', '.join(_COUNTS)} are counts")
    _require(isinstance(data["activation"], str) and 0 <= float(data["dropout"]) < 1, "activation or dropout is none")
    numbers: Sequence[float] = data["layout"]
    return Architecture(**{**data, "layout": Layout.of(numbers)})


def _require(condition: object, message: str) -> None:
    if not condition:
        raise InputError(message)
