"""What the unit needs to know of the layer that it wraps, and how it makes replicas of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import keras
from keras import layers, ops

from mgu.errors import InputError

Shape = tuple[int | None, ...]
PACKAGE = "mgu"
#: The layers that slide a window over positions, by the number of position axes.
PLAIN_CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
CONVOLUTIONS = (
    *PLAIN_CONVOLUTIONS,
    layers.DepthwiseConv1D,
    layers.DepthwiseConv2D,
    layers.SeparableConv1D,
    layers.SeparableConv2D,
)


@dataclass(frozen=True)
class Wrapped:
    """A layer with the shapes that it takes and gives, None standing for what is not known yet, the axis of the
    channels (1 or -1), and the dtype policy of what is made beside it."""

    layer: layers.Layer
    input_shape: Shape
    output_shape: Shape
    channel_axis: int
    dtype: keras.DTypePolicy

    @classmethod
    def of(cls, layer: layers.Layer, input_shape: Sequence[int | None], axis: int, dtype: keras.DTypePolicy) -> Self:
        """Read the channels for an input shape, batch axis included. Raises InputError where the layer does not take
        it."""
        shape = tuple(input_shape)
        check_shape(layer, shape, axis)
        return cls(layer, shape, tuple(layer.compute_output_shape(shape)), axis, dtype)

    @property
    def in_channels(self) -> int:
        return self.input_shape[self.channel_axis]  # type: ignore[return-value]

    @property
    def out_channels(self) -> int:
        return self.output_shape[self.channel_axis]  # type: ignore[return-value]

    @property
    def positions(self) -> Shape:
        return self.input_shape[1:-1] if self.channel_axis == -1 else self.input_shape[2:]

    @property
    def data_format(self) -> str:
        return "channels_last" if self.channel_axis == -1 else "channels_first"

    @property
    def convolves(self) -> bool:
        return isinstance(self.layer, CONVOLUTIONS)


def channel_axis_of(layer: layers.Layer, channel_axis: int | None = None) -> int:
    """The axis of a layer's channels: what is given, else by its ``data_format``, else the last.

    Raises InputError for what is no layer, for a layer with an activation of its own, and for an axis other than 1 and
    -1.
    """
    if not isinstance(layer, layers.Layer):
        raise InputError(f"a layer must be a keras.layers.Layer, such as Conv2D(32, 3); {layer!r} was given")
    own = getattr(layer, "activation", None)
    if own not in (None, keras.activations.linear):
        raise InputError(
            f"{layer.name} has the activation {getattr(own, '__name__', own)} of its own, before any norm; leave it "
            "out of the layer and give it to the unit: activation=..."
        )
    last = getattr(layer, "data_format", "channels_last") == "channels_last"
    axis = channel_axis if channel_axis is not None else -1 if last else 1
    if axis not in (1, -1):
        raise InputError(f"channel_axis must be 1 or -1; {axis} was given")
    return axis


def check_shape(layer: layers.Layer, shape: Shape, channel_axis: int) -> None:
    """Raise InputError for an input shape, batch axis included, that the layer cannot have."""
    if isinstance(layer, CONVOLUTIONS) and len(shape) != layer.rank + 2:
        positions = ", positions" * layer.rank
        axes = f"(batch{positions}, channels)" if channel_axis == -1 else f"(batch, channels{positions})"
        raise InputError(f"an input of shape {shape} arrived; {axes} is needed, the batch axis included")
    if len(shape) < 2:
        raise InputError(f"an input of shape {shape} arrived; it needs a batch axis and a channel axis")
    if shape[channel_axis] is None:
        raise InputError(f"an input of shape {shape} arrived; its channels, axis {channel_axis}, must be known")


def replica(layer: layers.Layer, **settings: Any) -> layers.Layer:
    """A new layer of the same settings, but for those given, with fresh weights by the layer's own initialisers, all of
    which learn. A seed in the layer's settings is not taken over: the replica would have the layer's own weights.

    Raises InputError where a layer of one's own cannot be made from its configuration.
    """
    try:
        return type(layer).from_config({**_without_seeds(layer.get_config()), "trainable": True, **settings})
    except NotImplementedError as error:
        raise InputError(f"{type(layer).__name__} cannot be made again for the bypass or a gate: {error}") from None


def everywhere(values: Any, ndim: int, channel_axis: int) -> Any:
    """Values of (batch, channels) with axes of length one for the positions of an ``ndim``-axis tensor."""
    positions, channels = (1,) * (ndim - 2), values.shape[-1]
    return ops.reshape(values, (-1, channels, *positions) if channel_axis == 1 else (-1, *positions, channels))


def pooled(x: Any, channel_axis: int) -> Any:
    """The mean over all positions: (batch, channels)."""
    positions = tuple(range(2, len(x.shape)) if channel_axis == 1 else range(1, len(x.shape) - 1))
    return ops.mean(x, axis=positions) if positions else x


def _without_seeds(config: Any) -> Any:
    if isinstance(config, dict):
        return {key: None if key == "seed" else _without_seeds(value) for key, value in config.items()}
    return [_without_seeds(value) for value in config] if isinstance(config, list) else config
