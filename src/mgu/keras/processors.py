"""Further feature processors: group and instance norm, squeeze-and-excitation, over any channel axis."""

from collections.abc import Sequence
from math import prod
from typing import Any

import keras
from keras import layers

from mgu.errors import InputError
from mgu.keras.layers import everywhere, pooled
from mgu.keras.norms import EPSILON

#: The most groups of a group norm.
MAX_GROUPS = 8
#: How many channels squeeze-and-excitation has for each dimension of its embedding, and the fewest dimensions.
REDUCTION = 16
MIN_WIDTH = 4


class GroupNorm(layers.GroupNormalization):
    """Group norm: (x - mean) / sqrt(var + 0.001) * gamma + beta, mean and var for each sample and group of neighbouring
    channels, over these and all positions.

    Inputs are (batch, *positions, channels) for ``axis`` -1 and (batch, channels, *positions) for 1. Raises InputError
    where a group has but one value, which has no variance.

    Source: Wu & He 2018, equations 1 to 7.
    """

    def build(self, input_shape: Sequence[int | None]) -> None:
        groups = input_shape[self.axis] if self.groups == -1 else self.groups
        known = [length for length in input_shape[1:] if length is not None]
        if len(known) == len(input_shape) - 1 and prod(known) == groups:
            raise InputError(
                f"{type(self).__name__}: values of shape {tuple(input_shape)} arrived, with one value in each of the "
                f"{groups} groups of channels; it needs more positions: leave it out of the processors"
            )
        super().build(input_shape)


def group_norm(channels: int, channel_axis: int, dtype: keras.DTypePolicy) -> GroupNorm:
    """A group norm of as many groups as the largest divisor of the channels up to 8."""
    groups = max(count for count in range(1, MAX_GROUPS + 1) if channels % count == 0)
    return GroupNorm(groups, channel_axis, EPSILON, dtype=dtype)


def instance_norm(channels: int, channel_axis: int, dtype: keras.DTypePolicy) -> GroupNorm:
    """A group norm with a group for each channel. Source: Ulyanov, Vedaldi & Lempitsky 2016."""
    return GroupNorm(channels, channel_axis, EPSILON, dtype=dtype)


class SqueezeExcite(layers.Layer):
    """Squeeze-and-excitation: x * sigmoid(W2 relu(W1 mean_positions(x) + b1) + b2), a factor for each channel.

    The embedding between W1 and W2 has max(4, channels / 16) dimensions. Inputs are (batch, *positions, channels) for
    ``channel_axis`` -1 and (batch, channels, *positions) for 1; without positions they are their own mean.

    Source: Hu et al. 2019, equations 2 to 4.
    """

    def __init__(self, channel_axis: int, dtype: keras.DTypePolicy) -> None:
        super().__init__(dtype=dtype)
        self.channel_axis = channel_axis

    def build(self, input_shape: Sequence[int | None]) -> None:
        channels = input_shape[self.channel_axis]
        assert channels is not None
        width = max(MIN_WIDTH, channels // REDUCTION)
        self.squeeze = layers.Dense(width, "relu", dtype=self.dtype_policy, name="squeeze")
        self.excite = layers.Dense(channels, "sigmoid", dtype=self.dtype_policy, name="excite")
        self.squeeze.build((None, channels))
        self.excite.build((None, width))

    def call(self, x: Any) -> Any:
        factor = self.excite(self.squeeze(pooled(x, self.channel_axis)))
        return x * everywhere(factor, len(x.shape), self.channel_axis)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return tuple(input_shape)
