"""Batch, layer and RMS norm over any channel axis, as the PyTorch half has them."""

from typing import Any

import keras
from keras import layers, ops

from mgu.keras.layers import Shape

EPSILON = 1e-3
MOMENTUM = 0.99


class BatchNorm(layers.BatchNormalization):
    """Batch norm: (x - mean) / sqrt(var + 0.001) * gamma + beta, mean and var per channel over the batch and all
    positions; in evaluation the running ones.

    It is Keras's, but for two things: the running variance is the unbiased one, sum / (n - 1) over the n values of a
    channel; and a batch with a single value a channel, which has no variance, is normalised by the running statistics
    and leaves them as they are. The output has the unit's number format.

    Source: Ioffe & Szegedy 2015.
    """

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        mean, var = self.statistics(x, training)
        scale, offset = ops.cast(self.gamma, x.dtype), ops.cast(self.beta, x.dtype)
        normed = ops.batch_normalization(x, mean, var, self.axis, offset, scale, self.epsilon)
        return ops.cast(normed, self.compute_dtype)

    def statistics(self, x: Any, training: bool | None) -> tuple[Any, Any]:
        """Mean and variance of each channel, (channels,), by which x is normalised; in training the batch's, towards
        which the running ones move."""
        running_mean, running_var = ops.cast(self.moving_mean, x.dtype), ops.cast(self.moving_variance, x.dtype)
        if not training or not self.trainable:
            return running_mean, running_var
        axes = [axis for axis in range(len(x.shape)) if axis != self.axis % len(x.shape)]
        count = ops.cast(ops.size(x), x.dtype) / x.shape[self.axis]
        batch_mean, batch_var = ops.moments(x, axes)
        mean = ops.where(count > 1, batch_mean, running_mean)
        var = ops.where(count > 1, batch_var, running_var)
        unbiased = ops.where(count > 1, batch_var * (count / ops.maximum(count - 1, 1)), running_var)
        weight = 1 - self.momentum
        self.moving_mean.assign(running_mean + weight * (mean - running_mean))
        self.moving_variance.assign(running_var + weight * (unbiased - running_var))
        return mean, var


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


class RMSNorm(OverChannels, layers.RMSNormalization):
    """RMS norm over the channel axis alone, for each position: x / sqrt(mean(x^2) + 0.001) * scale.

    Source: Zhang & Sennrich 2019, equation 4.
    """
