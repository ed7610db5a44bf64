"""What a unit's skip and residual lead round its layer: t = bypass(x), in three kinds."""

from collections.abc import Callable, Mapping

from torch import nn

from mgu.errors import InputError
from mgu.torch.layers import Wrapped, replica
from mgu.torch.norms import BatchNorm

_POOLS = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def normed(wrapped: Wrapped) -> nn.Module:
    """A replica with a batch norm behind it: BN(replica(x)). It keeps deep networks from blowing up."""
    norm = BatchNorm(wrapped.out_channels, wrapped.channel_axis, **wrapped.placement())
    return nn.Sequential(replica(wrapped.layer), norm)


def shortcut(wrapped: Wrapped) -> nn.Module:
    """The identity where the layer keeps its input's shape; else average pooling by the layer's window where it changes
    the positions, and a 1 x 1 projection without bias where it changes the channels (He et al. 2016, section 3.3, B).

    A dilated layer's window is all that it spans. Raises InputError for a layer other than Linear and Conv.
    """
    layer, axes = wrapped.layer, (wrapped.rank or 2) - 2
    if isinstance(layer, nn.Linear):
        return _projection(wrapped, nn.Linear) or nn.Identity()
    if not isinstance(layer, _CONVOLUTIONS):
        raise InputError(f"a shortcut bypass needs a Linear or Conv layer, not {layer}; choose replica or normed")
    window = tuple(d * (k - 1) + 1 for d, k in zip(layer.dilation, layer.kernel_size, strict=True))
    padding = _padding(layer, window)
    keeps = all(s == 1 and 2 * p == k - 1 for s, p, k in zip(layer.stride, padding, window, strict=True))
    pool = None if keeps else _POOLS[axes - 1](window, layer.stride, padding, count_include_pad=False)  # type: ignore[arg-type]
    steps = [step for step in (pool, _projection(wrapped, _CONVOLUTIONS[axes - 1], 1)) if step is not None]
    return steps[0] if len(steps) == 1 else nn.Sequential(*steps) if steps else nn.Identity()


def _projection(wrapped: Wrapped, kind: Callable[..., nn.Module], *window: int) -> nn.Module | None:
    """A layer from the input's channels to the output's, None where they are as many."""
    if wrapped.in_channels == wrapped.out_channels:
        return None
    return replica(kind(wrapped.in_channels, wrapped.out_channels, *window, bias=False, **wrapped.placement()))


def _padding(layer: nn.Conv1d | nn.Conv2d | nn.Conv3d, window: tuple[int, ...]) -> tuple[int, ...]:
    """The layer's padding in numbers. Raises InputError for one that average pooling cannot have."""
    if not isinstance(layer.padding, str):
        padding = layer.padding
    elif layer.padding == "valid" or all(k % 2 for k in window):
        padding = tuple((k - 1) // 2 * (layer.padding == "same") for k in window)
    else:
        raise InputError(f"a shortcut bypass cannot pad {layer} evenly; choose an odd kernel, or replica or normed")
    if any(2 * p > k for p, k in zip(padding, window, strict=True)):
        raise InputError(f"a shortcut bypass cannot pool {layer}, whose padding is more than half its kernel")
    return padding


#: The bypass kinds by name; "replica" is the paper's.
BYPASSES: Mapping[str, Callable[[Wrapped], nn.Module]] = {
    "replica": lambda wrapped: replica(wrapped.layer),
    "normed": normed,
    "shortcut": shortcut,
}


def make_bypass(kind: str, wrapped: Wrapped) -> nn.Module:
    """The bypass of a kind. Raises InputError for an unknown kind and for a layer that the kind does not take."""
    if kind not in BYPASSES:
        raise InputError(f"unknown bypass {kind!r}; allowed: {', '.join(BYPASSES)}")
    return BYPASSES[kind](wrapped)
