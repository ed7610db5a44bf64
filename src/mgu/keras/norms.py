"""Batch, layer and RMS norm over any channel axis, as the PyTorch half has them."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras
from keras import layers, ops

from mgu.keras.layers import Shape, everywhere

EPSILON = 1e-3
MOMENTUM = 0.99
#: A norm as values * scale + shift: values of the input's shape, scale and shift (channels,).
Affine: TypeAlias = tuple[Any, Any, Any]


class BatchNorm(layers.BatchNormalization):
    """Batch norm: (x - mean) / sqrt(var + 0.001) * gamma + beta, mean and var per channel over the batch and all
    positions; in evaluation the running ones.

    It is Keras's, but for two things: the running variance is the unbiased one, sum / (n - 1) over the n values of a
    channel; and a batch with a single value a channel, which has no variance, is normalised by the running statistics
    and leaves them as they are. The output has the unit's number format.

    Source: Ioffe & Szegedy 2015.
    """

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return ops.cast(_applied(*self.affine(inputs, training), self.axis), self.compute_dtype)

    def affine(self, inputs: Any, training: bool | None) -> Affine:
        """x, scale and shift; in training the running statistics move."""
        x = wide(inputs)
        mean, var = self.statistics(x, training)
        scale = ops.cast(self.gamma, x.dtype) * ops.rsqrt(var + self.epsilon)
        return x, scale, ops.cast(self.beta, x.dtype) - mean * scale

    def statistics(self, x: Any, training: bool | None) -> tuple[Any, Any]:
        """Mean and variance of each channel, (channels,), by which x is normalised; in training the batch's, towards
        which the running ones move."""
        running_mean, running_var = ops.cast(self.moving_mean, x.dtype), ops.cast(self.moving_variance, x.dtype)
        if not training or not self.trainable:
            return running_mean, running_var
        axes = [axis for axis in range(len(x.shape)) if axis != self.axis % len(x.shape)]
        count = ops.cast(ops.size(x), x.dtype) / x.shape[self.axis]
        batch_mean, batch_var = (ops.reshape(values, (-1,)) for values in moments(x, axes))
        mean = ops.where(count > 1, batch_mean, running_mean)
        var = ops.where(count > 1, batch_var, running_var)
        unbiased = ops.where(count > 1, batch_var * (count / ops.maximum(count - 1, 1)), running_var)
        weight = 1 - self.momentum
        self.moving_mean.assign(running_mean + weight * (mean - running_mean))
        self.moving_variance.assign(running_var + weight * (unbiased - running_var))
        return mean, var


def moments(x: Any, axes: Sequence[int]) -> tuple[Any, Any]:
    """Mean and biased variance over some axes, which stay with length one.

    Its gradient g_x = 2 g_var / n (x - mean) + g_mean / n is given, as one multiplication and one addition for each
    value: what TensorFlow derives goes over the data several times as often.
    """

    @ops.custom_gradient
    def both(x: Any) -> tuple[Any, Callable[..., Any]]:
        mean = ops.mean(x, axes, keepdims=True)
        var = ops.mean(ops.square(x - mean), axes, keepdims=True)
        count = ops.cast(ops.size(x), x.dtype) / ops.cast(ops.size(mean), x.dtype)

        def gradient(*args: Any, upstream: Any = None) -> Any:
            of_mean, of_var = ops.unstack(args[0] if upstream is None else upstream, 2)
            slope = 2 * of_var / count
            return x * slope + (of_mean / count - slope * mean)

        return ops.stack([mean, var]), gradient

    mean, var = ops.unstack(both(x), 2)
    return mean, var


def wide(values: Any) -> Any:
    """The values in float32 at least, in which norms and sums are worked out."""
    return ops.cast(values, keras.backend.result_type(values.dtype, "float32"))


def _applied(values: Any, scale: Any, shift: Any, channel_axis: int) -> Any:
    scale, shift = (everywhere(one[None], len(values.shape), channel_axis) for one in (scale, shift))
    return values * scale + shift


def batch_norm(channel_axis: int, dtype: keras.DTypePolicy) -> BatchNorm:
    return BatchNorm(channel_axis, MOMENTUM, EPSILON, dtype=dtype)


class OverChannels(layers.Layer):
    """A norm of Keras's over the last axis, with the channels brought there and back; not all backends have norms over
    axis 1."""

    def __init__(self, channel_axis: int, dtype: keras.DTypePolicy) -> None:
        super().__init__(axis=-1, epsilon=EPSILON, dtype=dtype)
        self.channel_axis = channel_axis

    def build(self, input_shape: Shape) -> None:
        super().build((*(None for _ in input_shape[1:]), input_shape[self.channel_axis]))

    def call(self, x: Any) -> Any:
        if self.channel_axis == -1:
            return super().call(x)
        return ops.moveaxis(super().call(ops.moveaxis(x, 1, -1)), -1, 1)


class LayerNorm(OverChannels, layers.LayerNormalization):
    """Layer norm over the channel axis alone, one mean and variance for each position, also for convolutions:
    (x - mean) / sqrt(var + 0.001) * gamma + beta.

    Source: Ba, Kiros & Hinton 2016.
    """

    def call(self, x: Any) -> Any:
        return ops.cast(_applied(*self.affine(x), self.channel_axis), self.compute_dtype)

    def affine(self, inputs: Any, training: bool | None = None) -> Affine:
        """(x - mean) / sqrt(var + 0.001), scale and shift."""
        x = wide(inputs)
        mean, var = moments(x, [self.channel_axis])
        scale = ops.rsqrt(var + self.epsilon)
        return x * scale - mean * scale, ops.cast(self.gamma, x.dtype), ops.cast(self.beta, x.dtype)


class RMSNorm(OverChannels, layers.RMSNormalization):
    """RMS norm over the channel axis alone, for each position: x / sqrt(mean(x^2) + 0.001) * scale.

    Source: Zhang & Sennrich 2019, equation 4.
    """
