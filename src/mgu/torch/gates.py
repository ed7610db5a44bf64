"""Gates: from a unit's input to numbers between 0 and 1 that mix two values, in four kinds of cost.

A gate kind is a module that computes the logits of several gates at once. Each returns one tensor a gate: of the
output's full shape, or (batch, channels) where the gate is the same at every position. Its ``biases`` are what of the
logits does not depend on the input, one tensor a gate.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mgu.errors import InputError
from mgu.torch.layers import Wrapped, replica
from mgu.torch.together import Outputs, run


class ReplicaGates(nn.Module):
    """The paper's gates: logits_k = replica_k(x), a layer like the wrapped one for each gate (equations 1 to 18).

    Gates differ by sample, channel and position. The prior is the replicas' bias; layers without one get an ``offset``
    of (gates, channels) beside them.
    """

    def __init__(self, wrapped: Wrapped, priors: Sequence[float]) -> None:
        super().__init__()
        self.channel_axis = wrapped.channel_axis
        self.replicas = nn.ModuleList(replica(wrapped.layer) for _ in priors)
        self.offset: nn.Parameter | None = None
        if isinstance(getattr(wrapped.layer, "bias", None), nn.Parameter):
            for layer, prior in zip(self.replicas, priors, strict=True):
                nn.init.constant_(layer.bias, prior)  # type: ignore[arg-type]
        else:
            self.offset = nn.Parameter(_repeat(priors, wrapped).view(len(priors), -1))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.beside((), x).values

    def biases(self) -> tuple[Tensor, ...]:
        return tuple(layer.bias for layer in self.replicas) if self.offset is None else tuple(self.offset)  # type: ignore[misc]

    def beside(self, layers: Sequence[nn.Module], x: Tensor) -> Outputs:
        """What further layers give for x, and behind it the gates' logits; in one run where all are alike."""
        offsets: list[Tensor | None] = [None] * len(self.replicas) if self.offset is None else [*self.offset]
        return run([*layers, *self.replicas], x, [*[None] * len(layers), *offsets], self.channel_axis)


class Scale(nn.Module):
    """x * weight + bias for each feature: (batch, *positions, features), the depth-wise counterpart of Linear."""

    def __init__(self, features: int, *, device: object = None, dtype: object = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(features, device=device, dtype=dtype))  # type: ignore[call-overload]
        self.bias = nn.Parameter(torch.empty(features, device=device, dtype=dtype))  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight + self.bias


class DepthwiseGates(nn.Module):
    """Depth-wise gates: channel o of a gate sees input channel floor(o * in / out) through a window like the layer's.

    Gates differ by sample, channel and position and cost kernel positions x out weights each. A linear layer's window
    is one weight a feature. They start at the prior exactly (zero weights). Source: paper, section 7.3.
    """

    def __init__(self, wrapped: Wrapped, priors: Sequence[float]) -> None:
        super().__init__()
        channels = wrapped.out_channels
        self.count, self.channel_axis = len(priors), wrapped.channel_axis
        source = (torch.arange(channels) * wrapped.in_channels // channels).repeat(self.count)
        self.register_buffer("source", source.to(wrapped.placement()["device"]))
        self.window = _window(wrapped, self.count * channels)
        nn.init.zeros_(self.window.weight)
        self.window.bias = nn.Parameter(_repeat(priors, wrapped))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        seen = x.index_select(self.channel_axis, self.source)  # type: ignore[arg-type]
        return self.window(seen).chunk(self.count, dim=self.channel_axis)  # type: ignore[no-any-return]

    def biases(self) -> tuple[Tensor, ...]:
        assert self.window.bias is not None
        return self.window.bias.chunk(self.count)


class SqueezeGates(nn.Module):
    """Squeeze gates: logits = W2 relu(W1 mean_positions(x)) + b, one low-dimensional embedding for all gates of a unit.

    Gates differ by sample and channel and are the same at every position; they start at the prior exactly (W2 = 0).
    The embedding has max(8, out / 8) dimensions. Source: paper, section 7.3; Hu et al. 2019, equations 2 and 3.
    """

    def __init__(self, wrapped: Wrapped, priors: Sequence[float]) -> None:
        super().__init__()
        self.count, self.channel_axis = len(priors), wrapped.channel_axis
        width = max(8, wrapped.out_channels // 8)
        self.squeeze = replica(nn.Linear(wrapped.in_channels, width, **wrapped.placement()))
        self.excite = nn.Linear(width, self.count * wrapped.out_channels, **wrapped.placement())
        nn.init.zeros_(self.excite.weight)
        self.excite.bias = nn.Parameter(_repeat(priors, wrapped))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        positions = range(2, x.ndim) if self.channel_axis == 1 else range(1, x.ndim - 1)
        pooled = x.mean(dim=tuple(positions)) if positions else x
        return self.excite(F.relu(self.squeeze(pooled))).chunk(self.count, dim=-1)  # type: ignore[no-any-return]

    def biases(self) -> tuple[Tensor, ...]:
        return self.excite.bias.chunk(self.count)


class ChannelGates(nn.Module):
    """Channel gates: one learned logit a channel and gate, whatever the input. The cheapest."""

    def __init__(self, wrapped: Wrapped, priors: Sequence[float]) -> None:
        super().__init__()
        self.logits = nn.Parameter(_repeat(priors, wrapped).view(len(priors), 1, -1))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.logits.unbind()

    def biases(self) -> tuple[Tensor, ...]:
        return self.logits.unbind()


#: The gate kinds by name.
GATES: Mapping[str, Callable[[Wrapped, Sequence[float]], nn.Module]] = {
    "replica": ReplicaGates,
    "depthwise": DepthwiseGates,
    "squeeze": SqueezeGates,
    "channel": ChannelGates,
}


def make_gates(kind: str, wrapped: Wrapped, priors: Sequence[float]) -> nn.Module:
    """Gates of a kind, one for each prior (a logit). Raises InputError for an unknown kind."""
    if kind not in GATES:
        raise InputError(f"unknown gates {kind!r}; allowed: {', '.join(GATES)}")
    return GATES[kind](wrapped, priors)


def gate_values(logits: Tensor, stretch: float = 1.0) -> Tensor:
    """The gates' values, 1/2 + stretch (sigmoid(logits) - 1/2)."""
    gate = torch.sigmoid(logits)
    return gate if stretch == 1 else 0.5 + stretch * (gate - 0.5)


def mix(logits: Tensor, channel_axis: int, opened: Tensor, closed: Tensor, stretch: float = 1.0) -> Tensor:
    """g * opened + (1 - g) * closed, g the gates' values; logits of (batch, channels) hold at every position."""
    gate = gate_values(logits, stretch)
    if gate.ndim < opened.ndim:
        gate = everywhere(gate, opened.ndim, channel_axis)
    return closed + gate * (opened - closed)


def everywhere(values: Tensor, ndim: int, channel_axis: int) -> Tensor:
    """Values of (batch, channels) with axes of length one for the positions of an ``ndim``-axis tensor."""
    positions = (1,) * (ndim - 2)
    batch, channels = values.shape
    return values.view(batch, channels, *positions) if channel_axis == 1 else values.view(batch, *positions, channels)


class GatingUnit(nn.Module):
    """One gate on its own: g(x) * opened + (1 - g(x)) * closed, g = sigmoid of the gate kind's logits of x.

    ``layer`` gives the shape of the gate: x is what the layer takes, ``opened`` and ``closed`` have the shape of what
    it gives, (batch, channels, *positions), or (batch, *positions, channels) for Linear. ``gates`` is one of replica,
    depthwise, squeeze, channel; ``prior`` the logit at which the gate starts. The layer itself is not part of the unit.
    Raises InputError for an unknown kind, and for a module whose channels cannot be read and are not given.

    Source: paper, section 4.2, GatingUnit.
    """

    def __init__(
        self,
        layer: nn.Module,
        gates: str = "squeeze",
        *,
        prior: float = 0.0,
        in_channels: int | None = None,
        out_channels: int | None = None,
        channel_axis: int | None = None,
    ) -> None:
        super().__init__()
        wrapped = Wrapped.of(layer, in_channels, out_channels, channel_axis)
        self.channel_axis = wrapped.channel_axis
        self.gates = make_gates(gates, wrapped, [prior])

    def forward(self, x: Tensor, opened: Tensor, closed: Tensor) -> Tensor:
        (logits,) = self.gates(x)
        return mix(logits, self.channel_axis, opened, closed)


def _window(wrapped: Wrapped, channels: int) -> nn.Conv1d | nn.Conv2d | nn.Conv3d | Scale:
    """A depth-wise layer with the window of the wrapped one."""
    layer = wrapped.layer
    if isinstance(layer, nn.Linear):
        return Scale(channels, **wrapped.placement())
    if not isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        raise InputError(
            f"depthwise gates need a Linear or Conv layer, not {type(layer).__name__}; "
            "choose squeeze, channel or replica"
        )
    settings = {name: getattr(layer, name) for name in ("kernel_size", "stride", "padding", "dilation", "padding_mode")}
    convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[len(layer.kernel_size) - 1]
    return convolution(channels, channels, groups=channels, **settings, **wrapped.placement())


def _repeat(priors: Sequence[float], wrapped: Wrapped) -> Tensor:
    """Each prior once a channel: shape (gates * out_channels,)."""
    return torch.tensor(priors, **wrapped.placement()).repeat_interleave(wrapped.out_channels)
