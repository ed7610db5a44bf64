"""What a unit's skip and residual lead round its layer: t = bypass(x), in three kinds."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import layers

from mgu.errors import InputError
from mgu.keras.layers import PLAIN_CONVOLUTIONS, Shape, Wrapped, replica
from mgu.keras.norms import batch_norm

_POOLS = (layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D)


class Steps(layers.Layer):
    """Layers one after another, as one layer."""

    def __init__(self, steps: list[layers.Layer], dtype: keras.DTypePolicy) -> None:
        super().__init__(dtype=dtype)
        self.steps = list(steps)

    def build(self, input_shape: Shape) -> None:
        for step in self.steps:
            step.build(input_shape)
            input_shape = step.compute_output_shape(input_shape)

    def call(self, x: Any, training: bool | None = None) -> Any:
        for step in self.steps:
            x = step(x, training=training)
        return x

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        for step in self.steps:
            input_shape = step.compute_output_shape(input_shape)
        return tuple(input_shape)


def normed(wrapped: Wrapped) -> layers.Layer:
    """A replica with a batch norm behind it: BN(replica(x)). It keeps deep networks from blowing up."""
    norm = batch_norm(wrapped.channel_axis, wrapped.dtype)
    return Steps([replica(wrapped.layer), norm], dtype=wrapped.dtype)


def shortcut(wrapped: Wrapped) -> layers.Layer:
    """The identity where the layer keeps its input's shape; else average pooling by the layer's window where it changes
    the positions, and a 1 x 1 projection without bias where it changes the channels (He et al. 2016, section 3.3, B).

    A dilated layer's window is all that it spans; with "same" padding only true positions are averaged. Raises
    InputError for a layer other than Dense and Conv, and for a causal one with a stride.
    """
    if not wrapped.convolves and not isinstance(wrapped.layer, layers.Dense):
        raise InputError(
            f"a shortcut bypass needs a Dense or Conv layer, not {type(wrapped.layer).__name__}; "
            "choose replica or normed"
        )
    steps = [step for step in (_pool(wrapped), _projection(wrapped)) if step is not None]
    if len(steps) == 1:
        return steps[0]
    # Keras cannot write an Identity with a policy into a configuration; one with the policy's name it can.
    return Steps(steps, dtype=wrapped.dtype) if steps else layers.Identity(dtype=wrapped.dtype.name)


def _pool(wrapped: Wrapped) -> layers.Layer | None:
    """Average pooling by the layer's window, None where it keeps the positions."""
    if not wrapped.convolves:
        return None
    layer = wrapped.layer
    window = tuple(d * (k - 1) + 1 for d, k in zip(layer.dilation_rate, layer.kernel_size, strict=True))
    if max(layer.strides) == 1 and (max(window) == 1 or layer.padding != "valid"):
        return None
    if layer.padding == "causal":
        raise InputError(
            f"a shortcut bypass cannot pool by the causal window of {layer.name}; choose replica or normed"
        )
    return _POOLS[layer.rank - 1](
        window, layer.strides, layer.padding, data_format=wrapped.data_format, dtype=wrapped.dtype
    )


def _projection(wrapped: Wrapped) -> layers.Layer | None:
    """A layer from the input's channels to the output's, None where they are as many."""
    if wrapped.in_channels == wrapped.out_channels:
        return None
    if not wrapped.convolves:
        return layers.Dense(wrapped.out_channels, use_bias=False, dtype=wrapped.dtype)
    convolution = PLAIN_CONVOLUTIONS[wrapped.layer.rank - 1]
    return convolution(wrapped.out_channels, 1, use_bias=False, data_format=wrapped.data_format, dtype=wrapped.dtype)


#: The bypass kinds by name; "replica" is the paper's.
BYPASSES: Mapping[str, Callable[[Wrapped], layers.Layer]] = {
    "replica": lambda wrapped: replica(wrapped.layer),
    "normed": normed,
    "shortcut": shortcut,
}


def check_bypass(kind: str) -> None:
    """Raise InputError for an unknown kind of bypass."""
    if kind not in BYPASSES:
        raise InputError(f"unknown bypass {kind!r}; allowed: {', '.join(BYPASSES)}")
