"""Batch and layer norm over any channel axis, with Keras's constants."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mgu.torch.one_batch import OneBatch

EPSILON = 1e-3
#: PyTorch's momentum is the weight of the new value: Keras's 0.99 is 0.01 here.
MOMENTUM = 0.01


class BatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm: (x - mean) / sqrt(var + 0.001) * weight + bias, mean and var per channel over the batch and all
    positions; in evaluation the running ones.

    Inputs are (batch, channels, *positions) for ``channel_axis`` 1 and (batch, *positions, channels) for -1, of rank 2
    or more. A batch with a single value a channel has no variance: it is normalised by the running statistics and
    leaves them as they are.

    Source: Ioffe & Szegedy 2015.
    """

    def __init__(self, channels: int, channel_axis: int = 1, *, device: object = None, dtype: object = None) -> None:
        super().__init__(channels, eps=EPSILON, momentum=MOMENTUM, device=device, dtype=dtype)
        self.channel_axis = channel_axis

    def _check_input_dim(self, input: Tensor) -> None:
        """Any rank is allowed; a wrong number of channels is named by the functional form."""

    def forward(self, input: Tensor, scale: Tensor | None = None) -> Tensor:
        """The norm, times ``scale`` (channels,) where it is given, in the same pass over the data."""
        if self.channel_axis == 1:
            return self._normalise(input, scale)
        return self._normalise(input.reshape(-1, self.num_features), scale).reshape(input.shape)

    def _normalise(self, x: Tensor, scale: Tensor | None) -> Tensor:
        learns = self.training
        if learns and x.numel() == self.num_features and not OneBatch.entered:
            learns = False
        if learns:
            self.num_batches_tracked.add_(1)  # type: ignore[union-attr]
        weight, bias = scaled(self.weight, self.bias, scale)
        return F.batch_norm(
            x, self.running_mean, self.running_var, weight, bias, learns, self.momentum or 0.0, self.eps
        )

    def track(self, mean: Tensor, var: Tensor, count: int) -> None:
        """Move the running statistics towards a batch's mean and biased variance, of ``count`` values a channel."""
        assert self.running_mean is not None
        assert self.running_var is not None
        momentum = self.momentum or 0.0
        self.num_batches_tracked.add_(1)  # type: ignore[union-attr]
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(var * (count / (count - 1)), momentum)


class LayerNorm(nn.Module):
    """Layer norm as Keras has it: over the channel axis alone, one mean and variance for each position, also for
    convolutions: (x - mean) / sqrt(var + 0.001) * weight + bias.

    Inputs are (batch, channels, *positions) for ``channel_axis`` 1 and (batch, *positions, channels) for -1.

    Source: Ba, Kiros & Hinton 2016; axis and epsilon of Keras's LayerNormalization.
    """

    def __init__(self, channels: int, channel_axis: int = 1, *, device: object = None, dtype: object = None) -> None:
        super().__init__()
        self.channels, self.channel_axis, self.eps = channels, channel_axis, EPSILON
        self.weight = nn.Parameter(torch.ones(channels, device=device, dtype=dtype))  # type: ignore[call-overload]
        self.bias = nn.Parameter(torch.zeros(channels, device=device, dtype=dtype))  # type: ignore[call-overload]

    def reset_parameters(self) -> None:
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor, scale: Tensor | None = None) -> Tensor:
        """The norm, times ``scale`` (channels,) where it is given, in the same pass over the data."""
        channels_last = x.movedim(self.channel_axis, -1)
        normed = F.layer_norm(channels_last, (self.channels,), *scaled(self.weight, self.bias, scale), self.eps)
        return normed.movedim(-1, self.channel_axis)

    def extra_repr(self) -> str:
        return f"{self.channels}, channel_axis={self.channel_axis}, eps={self.eps}"


def scaled(weight: Tensor, bias: Tensor, scale: Tensor | None) -> tuple[Tensor, Tensor]:
    """A norm's weight and bias, times ``scale`` where it is given."""
    return (weight, bias) if scale is None else (weight * scale, bias * scale)
