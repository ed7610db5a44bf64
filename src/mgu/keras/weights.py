"""A network's weights in the file that the PyTorch half reads and writes too."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers, ops

from mgu import portable
from mgu.errors import InputError
from mgu.keras.bypass import Steps
from mgu.keras.gates import ChannelGates, DepthwiseGates, ReplicaGates, SqueezeGates
from mgu.keras.layers import PLAIN_CONVOLUTIONS
from mgu.keras.norms import BatchNorm, LayerNorm, RMSNorm
from mgu.keras.processors import GroupNorm, SqueezeExcite
from mgu.keras.switchable import SwitchableNorm
from mgu.keras.unit import ChainBlock
from mgu.keras.windows import Window

Array = portable.Array


class Entry(NamedTuple):
    """A variable by its portable name, with its way to the file's axes and back."""

    name: str
    variable: keras.Variable
    there: Callable[[Array], Array] = np.asarray
    back: Callable[[Array], Array] = np.asarray


def save_weights(model: layers.Layer, path: str | Path) -> Path:
    """Write the weights and running statistics of a unit, a cell, or a network of them that is built; return the
    file's path.

    The file is safetensors with names and axes as ``mgu.portable`` says, and the chains in its header. Raises
    InputError for a weight that has no portable name, for numbers wider than float32, and where the file cannot be
    written.
    """
    tensors = {entry.name: entry.there(ops.convert_to_numpy(entry.variable.value)) for entry in _all_entries(model)}
    return portable.write(path, tensors, dict(_blocks(model)))


def load_weights(model: layers.Layer, path: str | Path) -> None:
    """Put a file's weights into a built network of the same chains and shapes, whichever half wrote them.

    Raises InputError where the file cannot be read or is of another network, naming the first difference, and for a
    weight that has no portable name.
    """
    own = _all_entries(model)
    shapes = {entry.name: entry.there(np.empty(entry.variable.shape, np.uint8)).shape for entry in own}
    found = portable.read(path, shapes, dict(_blocks(model)))
    for entry in own:
        entry.variable.assign(entry.back(found[entry.name]))


def _all_entries(model: layers.Layer) -> list[Entry]:
    """The model's variables. Raises InputError for a weight that is not among them: it would be lost."""
    entries = list(_entries(model))
    named = {id(entry.variable) for entry in entries}
    for weight in model.weights:
        if id(weight) not in named:
            raise InputError(f"{weight.path} has no portable name; keep such weights by model.save(path)")
    return entries


def _entries(layer: layers.Layer, path: str = "") -> Iterator[Entry]:
    """Every variable of a layer and of those within it."""
    if not layer.built:
        raise InputError(f"{layer.name} has no weights yet; build it, or call it once")
    for name, inner in _inner(layer):
        yield from _entries(inner, f"{path}{name}.")
    yield from (entry._replace(name=path + entry.name) for entry in _own(layer))


def _inner(layer: layers.Layer) -> Iterator[tuple[str, layers.Layer]]:
    """The layers within, by the names of the PyTorch half."""
    if isinstance(layer, keras.Model):
        yield from ((inner.name, inner) for inner in layer.layers)
    elif isinstance(layer, ChainBlock):
        yield from ((f"operations.{name}", operation) for name, operation in layer.operations.items())
        yield from [("gates", layer.gates)] if hasattr(layer, "gates") else []
    elif isinstance(layer, Steps):
        yield from ((str(i), step) for i, step in enumerate(layer.steps))
    elif isinstance(layer, ReplicaGates):
        yield from ((f"replicas.{i}", inner) for i, inner in enumerate(layer.replicas))
    elif isinstance(layer, SqueezeGates | SqueezeExcite):
        yield from (("squeeze", layer.squeeze), ("excite", layer.excite))


def _own(layer: layers.Layer) -> Iterator[Entry]:
    """The variables of a layer that are in none within it."""
    if isinstance(layer, (layers.Dense, *PLAIN_CONVOLUTIONS)):  # (*positions, in, out)
        yield Entry("weight", layer.kernel, *_turned(len(layer.kernel.shape)))
        yield from _bias(layer)
    elif isinstance(layer, layers.DepthwiseConv1D | layers.DepthwiseConv2D):
        yield _depthwise("weight", layer.kernel)
        yield from _bias(layer)
    elif isinstance(layer, layers.SeparableConv1D | layers.SeparableConv2D):
        yield _depthwise("depthwise.weight", layer.depthwise_kernel)
        yield Entry("pointwise.weight", layer.pointwise_kernel, *_turned(len(layer.pointwise_kernel.shape)))
        yield from _bias(layer)
    elif isinstance(layer, BatchNorm):
        yield from (Entry("weight", layer.gamma), Entry("bias", layer.beta))
        yield from (Entry("running_mean", layer.moving_mean), Entry("running_var", layer.moving_variance))
    elif isinstance(layer, SwitchableNorm):
        yield from (Entry("mean_logits", layer.mean_logits), Entry("var_logits", layer.var_logits))
        yield from _own(layer.norm)
    elif isinstance(layer, LayerNorm | GroupNorm):
        yield from (Entry("weight", layer.gamma), Entry("bias", layer.beta))
    elif isinstance(layer, RMSNorm):
        yield Entry("weight", layer.scale)
    elif isinstance(layer, ChannelGates):
        yield Entry("logits", layer.logits)
    elif isinstance(layer, ReplicaGates):
        yield from [] if layer.offset is None else [Entry("offset", layer.offset)]
    elif isinstance(layer, DepthwiseGates):  # (*positions, channels), and (channels, 1, *positions) in the file
        yield Entry("window.weight", layer.kernel, *((_split, _joined) if layer.size else ()))
        yield Entry("window.bias", layer.bias)


def _bias(layer: layers.Layer) -> Iterator[Entry]:
    if layer.use_bias:
        yield Entry("bias", layer.bias)


def _turned(rank: int) -> tuple[Callable[[Array], Array], Callable[[Array], Array]]:
    """(*positions, in, out) to (out, in, *positions), and back."""
    there = (rank - 1, rank - 2, *range(rank - 2))
    return lambda kernel: kernel.transpose(there), lambda kernel: kernel.transpose(np.argsort(there))


def _depthwise(name: str, variable: keras.Variable) -> Entry:
    """(*positions, in, multiplier) to (in * multiplier, 1, *positions), and back."""
    *size, channels, multiplier = variable.shape
    axes = (len(size), len(size) + 1, *range(len(size)))
    return Entry(
        name,
        variable,
        lambda kernel: kernel.transpose(axes).reshape(-1, 1, *size),
        lambda kernel: kernel.reshape(channels, multiplier, *size).transpose(np.argsort(axes)),
    )


def _split(kernel: Array) -> Array:
    return np.moveaxis(kernel, -1, 0)[:, None]


def _joined(kernel: Array) -> Array:
    return np.moveaxis(kernel[:, 0], 0, -1)


def _blocks(layer: layers.Layer, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(layer, ChainBlock):
        yield path.removesuffix("."), portable.description(layer.chain, _window(layer))
    for name, inner in _inner(layer):
        yield from _blocks(inner, f"{path}{name}.")


def _window(block: ChainBlock) -> portable.Window | None:
    if not block.wrapped.convolves:
        return None
    window = Window.of(block.layer, block.wrapped.positions)
    return portable.Window(window.size, window.strides, window.dilation, window.padding)
