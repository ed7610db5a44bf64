"""A chain whose gates are all decided, written as a functional model of Keras's own layers."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import layers

from mgu.errors import InputError
from mgu.keras.bypass import Steps
from mgu.keras.layers import Wrapped
from mgu.keras.norms import BatchNorm, LayerNorm, RMSNorm
from mgu.keras.processors import GroupNorm, SqueezeExcite
from mgu.keras.switchable import SwitchableNorm
from mgu.keras.unit import ChainBlock
from mgu.wiring import Gate, Op, evaluate

#: From a layer to a copy of it with its weights, under a name.
Copy = Callable[[layers.Layer, str], layers.Layer]
_POOLS = (layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D, layers.GlobalAveragePooling3D)


def plain_block(block: ChainBlock, copy: Copy) -> keras.Model:
    """The block's chain, which has no gate left, as a model of its name; ``copy`` copies the layers that are Keras's
    own already.

    Raises InputError for a gate that is not decided, and for switchable norm, which no layer of Keras's is.
    """
    wrapped = block.wrapped
    x = keras.Input(_input_shape(wrapped), dtype=block.compute_dtype)

    def apply(op: Op, *inputs: Any) -> Any:
        if op.kind == "add":
            return layers.Add(dtype=block.dtype_policy, name=op.name)(list(inputs))
        return _emitted(block.operations[op.name], op.name, inputs[0], wrapped, copy)

    return keras.Model(x, evaluate(block.chain, x, apply, _undecided), name=block.name)


def _input_shape(wrapped: Wrapped) -> tuple[int | None, ...]:
    """Without the batch; any number of positions where the layer is known to take them."""
    if not wrapped.convolves and not isinstance(wrapped.layer, layers.Dense):
        return wrapped.input_shape[1:]
    axis = wrapped.channel_axis % len(wrapped.input_shape)
    return tuple(n if i == axis else None for i, n in enumerate(wrapped.input_shape) if i)


def _undecided(gate: Gate, opened: Any, closed: Any) -> Any:
    raise InputError(f"{gate} is not decided; only a chain without gates is a plain block")


def _emitted(layer: layers.Layer, name: str, x: Any, wrapped: Wrapped, copy: Copy) -> Any:
    emit = _EMIT.get(type(layer))
    return emit(layer, name, x, wrapped, copy) if emit else copy(layer, name)(x)


def _steps(layer: Steps, name: str, x: Any, wrapped: Wrapped, copy: Copy) -> Any:
    for i, step in enumerate(layer.steps):
        x = _emitted(step, f"{name}_{i}", x, wrapped, copy)
    return x


def _last_axis_norm(layer: LayerNorm | RMSNorm, name: str, x: Any, wrapped: Wrapped, copy: Copy) -> Any:
    """Not all backends have these norms over axis 1: the channels are brought to the last and back."""
    if layer.channel_axis == -1 or len(x.shape) == 2:
        return copy(layer, name)(x)
    axes = range(1, len(x.shape))
    last = layers.Permute((*axes[1:], 1), dtype=layer.dtype_policy, name=f"{name}_last")(x)
    return layers.Permute((axes[-1], *axes[:-1]), dtype=layer.dtype_policy, name=f"{name}_first")(
        copy(layer, name)(last)
    )


def _squeeze_excite(layer: SqueezeExcite, name: str, x: Any, wrapped: Wrapped, copy: Copy) -> Any:
    policy, axes = layer.dtype_policy, len(x.shape) - 2
    channels = x.shape[layer.channel_axis]
    first = layer.channel_axis == 1
    factor = x
    if axes > len(_POOLS):
        factor = layers.Reshape((channels, -1) if first else (-1, channels), dtype=policy, name=f"{name}_flat")(x)
    if axes:
        pool = _POOLS[axes - 1 if axes <= len(_POOLS) else 0]
        factor = pool(wrapped.data_format, dtype=policy, name=f"{name}_pool")(factor)
    factor = copy(layer.excite, f"{name}_excite")(copy(layer.squeeze, f"{name}_squeeze")(factor))
    ones = (1,) * axes
    factor = layers.Reshape((channels, *ones) if first else (*ones, channels), dtype=policy, name=f"{name}_factor")(
        factor
    )
    return layers.Multiply(dtype=policy, name=name)([x, factor])


def _no_layer(layer: layers.Layer, name: str, x: Any, wrapped: Wrapped, copy: Copy) -> Any:
    raise InputError(
        f"{name} is a {type(layer).__name__}, which no layer of Keras's is; such a cell cannot be hardened"
    )


#: How the operations that are not written as one layer of Keras's are.
_EMIT: Mapping[type[layers.Layer], Callable[..., Any]] = {
    Steps: _steps,
    LayerNorm: _last_axis_norm,
    RMSNorm: _last_axis_norm,
    SqueezeExcite: _squeeze_excite,
    SwitchableNorm: _no_layer,
}

#: What the layers of mgu are where their values are Keras's: the class that their settings and weights are given to.
PLAIN: Mapping[type[layers.Layer], type[layers.Layer]] = {
    BatchNorm: layers.BatchNormalization,
    LayerNorm: layers.LayerNormalization,
    RMSNorm: layers.RMSNormalization,
    GroupNorm: layers.GroupNormalization,
}
