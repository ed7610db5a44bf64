"""The further feature processors: RMSNorm, group and instance norm, squeeze-and-excitation, over any channel axis."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mgu.errors import InputError
from mgu.torch.gates import everywhere
from mgu.torch.layers import initialise
from mgu.torch.norms import EPSILON

#: The most groups of a group norm.
MAX_GROUPS = 8
#: How many channels squeeze-and-excitation has for each dimension of its embedding, and the fewest dimensions.
REDUCTION = 16
MIN_WIDTH = 4


class RMSNorm(nn.Module):
    """RMS norm over the channel axis alone, for each position: x / sqrt(mean(x^2) + 0.001) * weight.

    Inputs are (batch, channels, *positions) for ``channel_axis`` 1 and (batch, *positions, channels) for -1.

    Source: Zhang & Sennrich 2019, equation 4.
    """

    def __init__(self, channels: int, channel_axis: int = 1, *, device: object = None, dtype: object = None) -> None:
        super().__init__()
        self.channels, self.channel_axis, self.eps = channels, channel_axis, EPSILON
        self.weight = nn.Parameter(torch.ones(channels, device=device, dtype=dtype))  # type: ignore[call-overload]

    def reset_parameters(self) -> None:
        nn.init.ones_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        # Under autocast x has fewer bits than the weight, which rms_norm does not take.
        normed = F.rms_norm(x.movedim(self.channel_axis, -1), (self.channels,), self.weight.to(x.dtype), self.eps)
        return normed.movedim(-1, self.channel_axis)

    def extra_repr(self) -> str:
        return f"{self.channels}, channel_axis={self.channel_axis}, eps={self.eps}"


class GroupNorm(nn.Module):
    """Group norm: (x - mean) / sqrt(var + 0.001) * weight + bias, mean and var for each sample and group of
    neighbouring channels, over these and all positions.

    There are as many groups as the largest divisor of the channels up to 8: each channel is its own group where there
    are 8 or fewer, and all are one group where they are a larger prime. Inputs are (batch, channels, *positions) for
    ``channel_axis`` 1 and (batch, *positions, channels) for -1. Raises InputError where a group has but one value,
    which has no variance.

    Source: Wu & He 2018, equations 1 to 7.
    """

    def __init__(self, channels: int, channel_axis: int = 1, *, device: object = None, dtype: object = None) -> None:
        super().__init__()
        self.groups, self.eps = self._count(channels), EPSILON
        self.channels, self.channel_axis = channels, channel_axis
        self.weight = nn.Parameter(torch.ones(channels, device=device, dtype=dtype))  # type: ignore[call-overload]
        self.bias = nn.Parameter(torch.zeros(channels, device=device, dtype=dtype))  # type: ignore[call-overload]

    @staticmethod
    def _count(channels: int) -> int:
        return max(groups for groups in range(1, MAX_GROUPS + 1) if channels % groups == 0)

    def reset_parameters(self) -> None:
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        if x[:1].numel() == self.groups:
            raise InputError(
                f"{type(self).__name__}: values of shape {tuple(x.shape)} arrived, with one value in each of the "
                f"{self.groups} groups of channels; it needs more positions: leave it out of the processors"
            )
        normed = F.group_norm(x.movedim(self.channel_axis, 1), self.groups, self.weight, self.bias, self.eps)
        return normed.movedim(1, self.channel_axis)

    def extra_repr(self) -> str:
        return f"{self.groups}, {self.channels}, channel_axis={self.channel_axis}, eps={self.eps}"


class InstanceNorm(GroupNorm):
    """Instance norm, a group norm with a group for each channel: (x - mean) / sqrt(var + 0.001) * weight + bias, mean
    and var for each sample and channel over all positions.

    Inputs are as ``GroupNorm``'s. Raises InputError for inputs without positions, or with a single one: a channel then
    has but one value, which has no variance.

    Source: Ulyanov, Vedaldi & Lempitsky 2016.
    """

    @staticmethod
    def _count(channels: int) -> int:
        return channels


class SqueezeExcite(nn.Module):
    """Squeeze-and-excitation: x * sigmoid(W2 relu(W1 mean_positions(x) + b1) + b2), a factor for each channel.

    The embedding between W1 and W2 has max(4, channels / 16) dimensions. Inputs are (batch, channels, *positions) for
    ``channel_axis`` 1 and (batch, *positions, channels) for -1; without positions they are their own mean.

    Source: Hu et al. 2019, equations 2 to 4.
    """

    def __init__(self, channels: int, channel_axis: int = 1, *, device: object = None, dtype: object = None) -> None:
        super().__init__()
        self.channel_axis, width = channel_axis, max(MIN_WIDTH, channels // REDUCTION)
        placement = {"device": device, "dtype": dtype}
        self.squeeze = initialise(nn.Linear(channels, width, **placement))  # type: ignore[arg-type]
        self.excite = initialise(nn.Linear(width, channels, **placement))  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        positions = range(2, x.ndim) if self.channel_axis == 1 else range(1, x.ndim - 1)
        pooled = x.mean(dim=tuple(positions)) if positions else x
        factor = torch.sigmoid(self.excite(F.relu(self.squeeze(pooled))))
        return x * everywhere(factor, x.ndim, self.channel_axis)
