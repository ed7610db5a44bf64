"""What the unit needs to know of the layer that it wraps, and how it makes replicas of it."""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mgu.errors import InputError

ConvNd = nn.modules.conv._ConvNd


@dataclass(frozen=True)
class Wrapped:
    """A layer with the channels it takes and gives, and the axis they lie on (1, or -1 for Linear)."""

    layer: nn.Module
    in_channels: int
    out_channels: int
    channel_axis: int

    @classmethod
    def of(
        cls,
        layer: nn.Module,
        in_channels: int | None = None,
        out_channels: int | None = None,
        channel_axis: int | None = None,
    ) -> "Wrapped":
        """Read the layer's channels; what is given wins, and a module of one's own needs them where it has no such
        attributes. Raises InputError where they cannot be known."""
        if not isinstance(layer, nn.Module):
            raise InputError(f"a layer must be a torch.nn.Module, such as nn.Conv2d(16, 32, 3); {layer!r} was given")
        if isinstance(layer, nn.modules.lazy.LazyModuleMixin):
            raise InputError(f"{layer}: a lazy layer has no channels yet; run it once, or give a plain layer")
        inputs = in_channels or getattr(layer, "in_channels", None) or getattr(layer, "in_features", None)
        outputs = out_channels or getattr(layer, "out_channels", None) or getattr(layer, "out_features", None)
        if not isinstance(inputs, int) or not isinstance(outputs, int):
            raise InputError(
                f"the channels of {type(layer).__name__} cannot be read from it; give in_channels=..., out_channels=..."
            )
        axis = channel_axis if channel_axis is not None else -1 if isinstance(layer, nn.Linear) else 1
        if axis not in (1, -1):
            raise InputError(f"channel_axis must be 1 or -1; {axis} was given")
        return cls(layer, inputs, outputs, axis)

    @property
    def rank(self) -> int | None:
        """The rank that inputs must have, None where several are allowed."""
        return len(self.layer.kernel_size) + 2 if isinstance(self.layer, ConvNd) else None

    def placement(self) -> dict[str, Any]:
        """Device and dtype of the layer's weights, as keywords for further weights beside them."""
        weight = next(self.layer.parameters(), torch.empty(0))
        return {"device": weight.device, "dtype": weight.dtype}


def replica(layer: nn.Module) -> nn.Module:
    """A new layer of the same settings with fresh Glorot-uniform weights, all of which learn.

    Raises InputError where a module of one's own has weights that nothing draws anew.
    """
    fresh = initialise(copy.deepcopy(layer)).requires_grad_(True)
    for (name, weight), old in zip(fresh.named_parameters(), layer.parameters(), strict=True):
        drawn = not weight.is_meta and weight.numel() > 1 and bool((weight != weight.flatten()[0]).any())
        if drawn and torch.equal(weight, old):
            raise InputError(
                f"{type(layer).__name__}: the weights {name!r} cannot be drawn anew for the bypass or a gate; give the "
                "module a reset_parameters method that draws them"
            )
    return fresh


def initialise(module: nn.Module) -> nn.Module:
    """Give every layer in ``module`` fresh weights, in place, and return it: Glorot-uniform kernels and zero biases for
    linear and convolution layers (Keras's defaults), each other layer's own start."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | ConvNd):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif callable(getattr(layer, "reset_parameters", None)):
            layer.reset_parameters()  # type: ignore[operator]
    return module
