"""A network of decided units copied, layer by layer, as Keras's own layers with the same weights."""

from typing import Any

import keras
import numpy as np
from keras import layers

from mgu.errors import InputError
from mgu.keras.plain_block import PLAIN, plain_block
from mgu.keras.samples import as_array
from mgu.keras.unit import ChainBlock


def plain_model(model: keras.Model) -> keras.Model:
    """The same network without a layer of mgu's: units and cells, none of which has a gate left, become functional
    models of their names, and all other layers copies with their weights. It is not compiled.

    Raises InputError where the model is neither functional nor Sequential, for a layer that holds a layer of mgu's and
    is neither, and for a layer that cannot be made again from its configuration.
    """
    check_graph(model)
    copies = _Copies()
    plain = copies.copy(model, model.name)
    for original, copy in copies.leaves:
        _copy_state(original, copy)
    return plain


def check_graph(model: Any) -> None:
    """Raise InputError for what is no functional or Sequential model that is built."""
    if not _is_graph(model):
        raise InputError(
            f"{type(model).__name__} is neither a functional model nor a Sequential one that is built; write the "
            "network as one, a single layer as keras.Sequential([keras.Input(shape), layer])"
        )


class _Copies:
    """Copies of layers, each made once: what is at two places in a network is so in the copy too."""

    def __init__(self) -> None:
        self.made: dict[int, layers.Layer] = {}
        self.leaves: list[tuple[layers.Layer, layers.Layer]] = []

    def copy(self, layer: layers.Layer, name: str) -> layers.Layer:
        if id(layer) not in self.made:
            self.made[id(layer)] = self._new(layer, name)
        return self.made[id(layer)]

    def _new(self, layer: layers.Layer, name: str) -> layers.Layer:
        if isinstance(layer, ChainBlock):
            return plain_block(layer, self.copy)
        if isinstance(layer, keras.Sequential) and _is_graph(layer):
            inputs = keras.Input(layer.input_shape[1:], dtype=layer.inputs[0].dtype)
            return keras.Sequential([inputs, *map(self._same_name, layer.layers)], name=name)
        if _is_graph(layer):
            bare = keras.Model(layer.input, layer.output, name=name)  # not compiled: the copy would be compiled too
            return keras.models.clone_model(bare, clone_function=self._same_name)
        copy = _again(layer, name)
        if isinstance(layer, layers.Layer):  # not one of keras.ops
            self.leaves.append((layer, copy))
        return copy

    def _same_name(self, layer: layers.Layer) -> layers.Layer:
        return self.copy(layer, layer.name)


def _is_graph(layer: Any) -> bool:
    """Whether it is a model with symbolic inputs, which functional ones and built Sequential ones have."""
    return isinstance(layer, keras.Model) and hasattr(layer, "inputs")


def _again(layer: layers.Layer, name: str) -> layers.Layer:
    """A new layer of the same settings, of Keras's own class where its class is mgu's."""
    kind = PLAIN.get(type(layer), type(layer))
    for inner in [kind, *(type(inner) for inner in _parts(layer)[1:])]:
        if inner.__module__.startswith("mgu."):
            raise InputError(
                f"{layer.name} is or holds a {inner.__name__}, which is no layer of Keras's; only units and cells in "
                "functional and Sequential models become plain"
            )
    try:
        return kind.from_config({**layer.get_config(), "name": name})
    except (NotImplementedError, TypeError, ValueError) as error:
        raise InputError(
            f"{layer.name}, {kind.__name__}, cannot be made again from its configuration: {error}"
        ) from None


def _parts(layer: layers.Layer) -> list[layers.Layer]:
    """The layer and those within it; an operation of keras.ops has none."""
    return list(layer._flatten_layers()) if isinstance(layer, layers.Layer) else [layer]


def _copy_state(original: layers.Layer, copy: layers.Layer) -> None:
    """The weights, and what a layer works out from them when it is loaded."""
    for before, after in zip(_parts(original), _parts(copy), strict=True):
        state: dict[str, Any] = {}
        before.save_own_variables(state)
        # Copies, since JAX takes a model's own arrays for the results of a step.
        after.load_own_variables({name: np.array(as_array(value)) for name, value in state.items()})
