"""The units and layers of a Keras network as a table."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras
from keras import layers, ops

from mgu.errors import InputError
from mgu.keras.explain import gate_means, units
from mgu.keras.gates import GATES
from mgu.keras.samples import as_array
from mgu.keras.unit import ChainBlock, MultiGatedUnit
from mgu.summary import Row, Summary, part_of, shown_means


def summary(model: layers.Layer, x: Any = None) -> Summary:
    """A row for each unit, plain cell and other layer with weights: its name, its layer, how many weights its layer,
    norms, gates and bypass have, the kind of its gates, and the mean of each gate.

    Running statistics count as weights, as in ``count_params``; a weight that several layers share counts where it
    comes first. Without ``x``, a gate's mean is that of the sigmoid of its bias alone, which is all of a channel gate;
    with a sample of inputs (samples, ...), on which the model is run once in evaluation mode, it is that of its values.
    The answer prints as a table. The model is as before afterwards. Raises InputError for a model that is not built.
    """
    if not model.built or not all(block.built for block in _blocks(model)):
        raise InputError(f"{type(model).__name__} is not built: call it once, or give it a keras.Input")
    means = _bias_means(model) if x is None else gate_means(model, x)
    trained = sum(_size(variable) for variable in model.trainable_variables)
    told = "the mean sigmoid of the gates' biases, without the input's part" if x is None else "their means on x"
    return Summary(tuple(_rows(model, "", means, set())), trained, told)


def _rows(layer: layers.Layer, path: str, means: Mapping[str, dict[str, float]], seen: set[int]) -> Iterator[Row]:
    name = path.removesuffix(".")
    if isinstance(layer, ChainBlock):
        yield _unit_row(name, layer, means.get(name, {}), seen)
        return
    inner = list(layer._flatten_layers(include_self=False, recursive=False))
    within = {id(variable) for child in inner for variable in child.weights}
    if own := _count((variable for variable in layer.weights if id(variable) not in within), seen):
        yield Row(name, _said(layer), {"layer": own})
    for child in inner:
        yield from _rows(child, f"{path}{child.name}.", means, seen)


def _unit_row(name: str, block: ChainBlock, means: Mapping[str, float], seen: set[int]) -> Row:
    parts: dict[str, int] = {}
    for operation, layer in block.operations.items():
        part = part_of(operation, block.chain)
        parts[part] = parts.get(part, 0) + _count(layer.weights, seen)
    kind = ""
    if isinstance(block, MultiGatedUnit):
        parts["gates"] = _count(block.gates.weights, seen)
        kind = next(known for known, made in GATES.items() if type(block.gates) is made)
    return Row(name, _said(block.layer), parts, kind, shown_means(block.chain, means), block.chain)


def _blocks(model: layers.Layer) -> Iterator[ChainBlock]:
    return (layer for layer in model._flatten_layers() if isinstance(layer, ChainBlock))


def _count(variables: Iterable[keras.Variable], seen: set[int]) -> int:
    """How many numbers those hold that were not seen yet."""
    fresh = {id(variable): variable for variable in variables if id(variable) not in seen}
    seen |= fresh.keys()
    return sum(_size(variable) for variable in fresh.values())


def _size(variable: keras.Variable) -> int:
    return math.prod(variable.shape)


def _said(layer: layers.Layer) -> str:
    """Conv2D(32), or the class alone where no channels can be read."""
    channels = getattr(layer, "filters", None) or getattr(layer, "units", None)
    return f"{type(layer).__name__}({channels})" if isinstance(channels, int) else type(layer).__name__


def _bias_means(model: layers.Layer) -> dict[str, dict[str, float]]:
    return {
        name: {
            gate: float(as_array(ops.cast(ops.sigmoid(unit.sharpness * ops.cast(bias, "float32")), "float32")).mean())
            for gate, bias in zip(unit.gate_names, unit.gates.biases(), strict=True)
        }
        for name, unit in units(model).items()
    }
