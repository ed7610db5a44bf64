"""Switchable normalization: a norm that learns how much each layer has of instance, layer and batch norm."""

from collections.abc import Iterable
from typing import Any

import keras
from keras import layers, ops

from mgu.keras.layers import Shape
from mgu.keras.norms import BatchNorm, batch_norm

Statistics = tuple[Any, Any]


class SwitchableNorm(layers.Layer):
    """Instance (IN), layer (LN) and batch norm (BN) in one, how much of each being learned:

        y = (x - sum_k w_k mean_k) / sqrt(sum_k v_k var_k + 0.001) * gamma + beta,  k one of IN, LN, BN
        w = softmax(mean_logits), v = softmax(var_logits)

    mean_IN and var_IN are of each sample and channel, over all positions, those of LN of each sample and those of BN of
    each channel, in evaluation running ones. All logits start at 0: a third of each. gamma, beta and the running
    statistics are those of the batch norm ``norm``.

    Inputs are those of a convolution, with one position axis or more. With ``instance`` False they are what a dense
    layer gives, (batch, *positions, channels): each position is a sample, which has no instance norm, and k is LN or
    BN.

    Source: Luo et al., "Differentiable learning-to-normalize via switchable normalization", ICLR 2019. In evaluation it
    takes BN's statistics from batches averaged after training; here they are running ones, as in batch norm.
    """

    def __init__(self, channel_axis: int, instance: bool, dtype: keras.DTypePolicy) -> None:
        super().__init__(dtype=dtype)
        self.channel_axis, self.instance = channel_axis, instance
        self.norm: BatchNorm = batch_norm(channel_axis, dtype)

    def build(self, input_shape: Shape) -> None:
        self.norm.build(input_shape)
        norms = 3 if self.instance else 2
        self.mean_logits = self.add_weight(shape=(norms,), initializer="zeros", autocast=False, name="mean_logits")
        self.var_logits = self.add_weight(shape=(norms,), initializer="zeros", autocast=False, name="var_logits")

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        axis = self.channel_axis % len(x.shape)
        positions = [i for i in range(1, len(x.shape)) if i != axis] if self.instance else []
        norms = [ops.moments(x, positions, keepdims=True)] if positions else []
        norms.append(ops.moments(x, [*positions, axis], keepdims=True))
        shape = [-1 if i == axis else 1 for i in range(len(x.shape))]
        norms.append(tuple(ops.reshape(value, shape) for value in self.norm.statistics(x, training)))
        means, variances = zip(*norms, strict=True)
        scale = ops.rsqrt(_weighted(self.var_logits, variances) + self.norm.epsilon)
        normed = (x - _weighted(self.mean_logits, means)) * scale
        gamma, beta = (ops.reshape(value, shape) for value in (self.norm.gamma, self.norm.beta))
        return ops.cast(normed * ops.cast(gamma, x.dtype) + ops.cast(beta, x.dtype), self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return tuple(input_shape)


def _weighted(logits: Any, values: Iterable[Any]) -> Any:
    """The sum of the values times their softmax weights, each of length one where it makes no difference."""
    weights = ops.softmax(ops.cast(logits, "float32"))
    return sum(weights[i] * value for i, value in enumerate(values))
