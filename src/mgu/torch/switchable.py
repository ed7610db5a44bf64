"""Switchable normalization: a norm that learns how much each layer has of instance, layer and batch norm."""

from collections.abc import Iterable
from functools import reduce
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from mgu.errors import InputError
from mgu.torch.gates import everywhere
from mgu.torch.norms import EPSILON, MOMENTUM
from mgu.torch.one_batch import OneBatch, pooled

Statistics = tuple[Tensor, Tensor]


class SwitchableNorm(nn.Module):
    """Instance (IN), layer (LN) and batch norm (BN) in one, how much of each being learned:

        y = (x - sum_k w_k mean_k) / sqrt(sum_k v_k var_k + 0.001) * weight + bias,  k one of IN, LN, BN
        w = softmax(mean_logits), v = softmax(var_logits)

    mean_IN and var_IN are of each sample and channel, over all positions, and the others follow from them:

        mean_LN = mean_c(mean_IN), var_LN = mean_c(var_IN + mean_IN^2) - mean_LN^2   of each sample
        mean_BN = mean_n(mean_IN), var_BN = mean_n(var_IN + mean_IN^2) - mean_BN^2   of each channel

    with means over the channels c and the samples n of the batch; in evaluation those of BN are running ones. All
    logits start at 0: a third of each.

    Inputs are (batch, channels, *positions) for ``channel_axis`` 1, with one position axis or more. For -1 they are
    (batch, *positions, channels), as Linear gives them: each position is a sample, which has no instance norm, so that
    k is LN or BN. A batch with a single value a channel has no variance over the batch: BN's part is then the running
    one, and stays as it is. Raises InputError for inputs with other channels, or without positions for ``channel_axis``
    1.

    Source: Luo et al., "Differentiable learning-to-normalize via switchable normalization", ICLR 2019. In evaluation it
    takes BN's statistics from batches averaged after training; here they are running ones, as in batch norm.
    """

    def __init__(self, channels: int, channel_axis: int = 1, *, device: object = None, dtype: object = None) -> None:
        super().__init__()
        self.channels, self.channel_axis, self.eps, self.momentum = channels, channel_axis, EPSILON, MOMENTUM
        norms = 3 if channel_axis == 1 else 2
        placement = {"device": device, "dtype": dtype}
        self.weight = nn.Parameter(torch.empty(channels, **placement))  # type: ignore[call-overload]
        self.bias = nn.Parameter(torch.empty(channels, **placement))  # type: ignore[call-overload]
        self.mean_logits = nn.Parameter(torch.empty(norms, **placement))  # type: ignore[call-overload]
        self.var_logits = nn.Parameter(torch.empty(norms, **placement))  # type: ignore[call-overload]
        self.running_mean: Tensor
        self.running_var: Tensor
        self.register_buffer("running_mean", torch.empty(channels, **placement))  # type: ignore[call-overload]
        self.register_buffer("running_var", torch.empty(channels, **placement))  # type: ignore[call-overload]
        self.reset_parameters()

    def reset_parameters(self) -> None:
        for ones in (self.weight, self.running_var):
            nn.init.ones_(ones)
        for zeros in (self.bias, self.mean_logits, self.var_logits, self.running_mean):
            nn.init.zeros_(zeros)

    def forward(self, x: Tensor) -> Tensor:
        self._check_shape(x)
        if self.channel_axis == 1:
            return self._normalise(x)
        return self._normalise(x.reshape(-1, self.channels)).reshape(x.shape)

    def _normalise(self, x: Tensor) -> Tensor:
        values = x.to(self.weight.dtype)  # under autocast x has too few bits for statistics
        of_each = _over_positions(values)
        norms = (of_each, _pooled(*of_each, axis=1), self._over_batch(*of_each, count=x.numel() // self.channels))
        means, variances = zip(*norms[-len(self.mean_logits) :], strict=True)
        scale = self.weight * torch.rsqrt(_weighted(self.var_logits, variances) + self.eps)
        shift = self.bias - _weighted(self.mean_logits, means) * scale
        return torch.addcmul(everywhere(shift, x.ndim, 1), values, everywhere(scale, x.ndim, 1)).to(x.dtype)

    def _over_batch(self, mean: Tensor, var: Tensor, count: int) -> Statistics:
        """Mean and variance of each channel, (1 or nothing, channels), over ``count`` values of a channel."""
        if not self.training or (count < 2 and not OneBatch.entered):
            return self.running_mean, self.running_var
        if OneBatch.entered:
            batch_mean, batch_var, count = pooled(mean, var, count)
        else:
            batch_mean, batch_var = _pooled(mean, var, axis=0)
        with torch.no_grad():
            self.running_mean.lerp_(batch_mean[0], self.momentum)
            self.running_var.lerp_(batch_var[0] * (count / (count - 1)), self.momentum)
        return batch_mean, batch_var

    def _check_shape(self, x: Tensor) -> None:
        if x.ndim < (3 if self.channel_axis == 1 else 2) or x.shape[self.channel_axis] != self.channels:
            axes = "(batch, channels, *positions)" if self.channel_axis == 1 else "(batch, *positions, channels)"
            raise InputError(
                f"SwitchableNorm: values of shape {tuple(x.shape)} arrived; {axes} with {self.channels} channels is "
                "needed, and channel_axis=-1 where there are no positions"
            )

    def extra_repr(self) -> str:
        return f"{self.channels}, channel_axis={self.channel_axis}, eps={self.eps}, momentum={self.momentum}"


def _over_positions(x: Tensor) -> Statistics:
    """Mean and variance of each sample and channel, (batch, channels); without positions the value and 0."""
    if x.ndim == 2:
        return x, torch.zeros_like(x)
    if not torch.compiler.is_compiling():
        return _Moments.apply(x)  # type: ignore[no-untyped-call, no-any-return]
    var, mean = torch.var_mean(x, tuple(range(2, x.ndim)), correction=0)
    return mean, var


class _Moments(torch.autograd.Function):
    """As torch.var_mean over the positions, which takes ten times as long on the CPU where it is not compiled."""

    @staticmethod
    def forward(x: Tensor) -> Statistics:
        positions = tuple(range(2, x.ndim))
        mean = x.mean(positions, keepdim=True)
        centred = x - mean
        return mean.view(x.shape[:2]), centred.mul_(centred).mean(positions)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Statistics) -> None:
        ctx.save_for_backward(*inputs, output[0])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """d mean / dx = 1 / n and d var / dx = 2 (x - mean) / n over n positions."""
        x, mean = ctx.saved_tensors
        of_mean, of_var = (grad / prod(x.shape[2:]) for grad in grads)
        at_zero = of_mean - 2 * of_var * mean
        return torch.addcmul(everywhere(at_zero, x.ndim, 1), x, everywhere(2 * of_var, x.ndim, 1))


def _pooled(mean: Tensor, var: Tensor, axis: int) -> Statistics:
    """Mean and variance of all values whose parts along the axis, equally large, have these.

    mean(var + mean^2) - mean(mean)^2 as mean(var) + var(mean): no difference of large numbers, and never below 0.
    """
    between, pooled = torch.var_mean(mean, axis, correction=0, keepdim=True)
    return pooled, var.mean(axis, keepdim=True) + between


def _weighted(logits: Tensor, values: Iterable[Tensor]) -> Tensor:
    """The sum of the values times their softmax weights: (batch, channels)."""
    total: Tensor = reduce(torch.add, (w * value for w, value in zip(logits.softmax(0), values, strict=True)))
    return total
