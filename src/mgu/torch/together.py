"""Layers of one shape that read one input, run as one layer with their kernels side by side.

On the CPU a convolution is a matrix product of the windows of its input and its kernels: with the many channels of
several layers, torch's own convolution is slower there than with each layer by itself. Elsewhere torch's own
convolution is run, once.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple, TypeGuard

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn import functional as F

from mgu.torch.fused import hooked, unrecorded

Layer = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d
_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_SETTINGS = ("kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")


def alike(layers: Sequence[nn.Module]) -> TypeGuard[Sequence[Layer]]:
    """Whether the layers can be run as one: Linear or Conv itself, not a class made from it, of the same settings,
    without groups, padded with zeros, and without hooks. They may differ in their output channels and in the bias."""
    return all(_plain(layer) for layer in layers) and len({_settings(layer) for layer in layers}) == 1


class Outputs(NamedTuple):
    """What several layers give, each by itself, and where they were run as one, all on the last axis."""

    values: tuple[Tensor, ...]
    merged: Tensor | None = None


def run(layers: Sequence[nn.Module], x: Tensor, offsets: Sequence[Tensor | None], channel_axis: int) -> Outputs:
    """layer(x) + offset of each layer, in one run where the layers are ``alike``; an offset is (channels,) or none."""
    merged = together(layers, x, offsets) if alike(layers) else None
    if merged is None:
        pairs = zip(layers, offsets, strict=True)
        return Outputs(tuple(_shifted(layer(x), offset, channel_axis) for layer, offset in pairs))
    values = torch.split(merged, [len(layer.weight) for layer in layers], dim=-1)  # type: ignore[arg-type]
    return Outputs(tuple(value.movedim(-1, channel_axis) for value in values), merged)


def together(layers: Sequence[Layer], x: Tensor, offsets: Sequence[Tensor | None]) -> Tensor | None:
    """layer(x) + offset of each layer, for layers that are ``alike``, one after another on the last axis; None where it
    is faster to run each by itself.

    x is (batch, channels, *positions), or (batch, *positions, channels) for Linear; an offset is (channels,). The
    result is (batch, *positions, layers * channels), for convolutions too.
    """
    first = layers[0]
    bias = torch.cat([_bias(layer, offset) for layer, offset in zip(layers, offsets, strict=True)])
    if isinstance(first, nn.Linear):
        return F.linear(x, torch.cat([layer.weight for layer in layers]), bias)
    if x.device.type != "cpu":
        merged: Tensor = first._conv_forward(x, torch.cat([layer.weight for layer in layers]), bias)
        return merged.movedim(1, -1)
    if not _as_product(x, first.weight):
        return None
    kernels = torch.cat([layer.weight.movedim(1, -1).flatten(1) for layer in layers])
    rows = F.pad(x.movedim(1, -1), (0, 0, *first._reversed_padding_repeated_twice))
    windows = Windows(first.kernel_size, first.stride, first.dilation)
    # torch.compile finds its own backward pass
    run_product = _product if torch.compiler.is_compiling() else _Product.apply
    return run_product(rows, kernels, bias, windows)


class Windows(NamedTuple):
    """What a convolution's kernel sees at each of its steps; one number an axis of positions."""

    size: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]

    def of(self, x: Tensor) -> Tensor:
        """The windows of x (batch, *positions, channels): (batch * output positions, kernel positions * channels)."""
        return torch.cat([x[place] for place in self._places(x.shape)], dim=-1).flatten(0, -2)

    def outputs(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The output positions for an input of shape (batch, *positions, channels)."""
        steps = zip(shape[1:-1], self.size, self.stride, self.dilation, strict=True)
        return tuple((length - d * (k - 1) - 1) // s + 1 for length, k, s, d in steps)

    def added(self, values: Tensor, shape: Sequence[int]) -> Tensor:
        """The transpose of ``of``: values of the windows, each added up where it was read; of ``shape``."""
        total = values.new_zeros(shape)
        seen = torch.split(values.view(shape[0], *self.outputs(shape), -1), shape[-1], dim=-1)
        for place, value in zip(self._places(shape), seen, strict=True):
            total[place] += value
        return total

    def _places(self, shape: Sequence[int]) -> Iterator[tuple[slice, ...]]:
        """Where each position of the kernel reads, over all steps."""
        outputs = self.outputs(shape)
        for at in product(*map(range, self.size)):
            begins = [d * k for d, k in zip(self.dilation, at, strict=True)]
            steps = zip(begins, self.stride, outputs, strict=True)
            yield (slice(None), *(slice(begin, begin + s * (count - 1) + 1, s) for begin, s, count in steps))


def _product(x: Tensor, kernels: Tensor, bias: Tensor, windows: Windows) -> Tensor:
    return torch.addmm(bias, windows.of(x), kernels.T).view(len(x), *windows.outputs(x.shape), -1)


class _Product(torch.autograd.Function):
    """windows(x) @ kernels.T + bias; the windows are cut out anew for the backward pass instead of being kept."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernels: Tensor, bias: Tensor, windows: Windows) -> Tensor:
        ctx.windows = windows
        ctx.save_for_backward(x, kernels)
        return _product(x, kernels, bias, windows)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, kernels = ctx.saved_tensors
        rows = grad.flatten(0, -2)
        of_x = ctx.windows.added(rows @ kernels, x.shape) if ctx.needs_input_grad[0] else None
        return of_x, rows.T @ ctx.windows.of(x), rows.sum(0), None


def _plain(layer: nn.Module) -> TypeGuard[Layer]:
    kind = type(layer) in _LAYERS and not hooked(layer) and "forward" not in vars(layer)
    return kind and getattr(layer, "groups", 1) == 1 and getattr(layer, "padding_mode", "zeros") == "zeros"


def _settings(layer: nn.Module) -> tuple[Any, ...]:
    return (type(layer), *(getattr(layer, name, None) for name in _SETTINGS))


def _bias(layer: Layer, offset: Tensor | None) -> Tensor:
    found = [value for value in (layer.bias, offset) if value is not None]
    return found[0] if len(found) == 1 else sum(found, layer.weight.new_zeros(len(layer.weight)))


def _shifted(value: Tensor, offset: Tensor | None, channel_axis: int) -> Tensor:
    return value if offset is None else (value.movedim(channel_axis, -1) + offset).movedim(-1, channel_axis)


def _as_product(x: Tensor, weight: Tensor) -> bool:
    """Whether the matrix product does what torch's own convolution would do here."""
    real = x.dtype == weight.dtype and x.dtype in (torch.float32, torch.float64)
    exporting = torch.compiler.is_exporting()
    return real and not exporting and unrecorded() and forward_ad.unpack_dual(x).tangent is None  # type: ignore[no-untyped-call]
