"""Where the terms of a mixture are added up by the compiled kernel, in two passes over the data instead of one a term.

The kernel (``tail.c``) is used in training, on the CPU, in float32, where the weights are the same at every position, a
norm is among the terms, and the activation is one that it knows; without autocast, torch.compile, torch.func and hooks
on what it takes the place of. Anywhere else, and where no C compiler is found, torch's own operations are used. The two
give the same values to rounding; the kernel's output has its channels last in memory and can be differentiated once.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from mgu.torch.norms import EPSILON, BatchNorm, LayerNorm
from mgu.torch.tail import ACTIVATIONS, Activation, library, tail

if TYPE_CHECKING:
    from mgu.torch.mixture import Term

Terms = Mapping[str, tuple["Term", Tensor | None]]
Path = tuple["Term", ...]

#: The terms that the kernel adds up, in the order of its weights: the kinds of operation from a term down to the input.
PRE, POST, LAYERED, PLAIN, BYPASS = PARTS = (
    ("activation", "batch_norm", "layer"),
    ("batch_norm", "activation", "layer"),
    ("layer_norm", "activation", "layer"),
    ("activation", "layer"),
    ("bypass",),
)
_NORMS = (BatchNorm, LayerNorm)
_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")


def available() -> bool:
    """Whether the kernel can be used on this machine; it is compiled where it has not been yet."""
    return not why_not()


def why_not() -> str:
    """Why the kernel cannot be used on this machine: no C compiler, or what it complains of. Empty where it can."""
    made = library("elu")
    return str(made) if isinstance(made, OSError) else ""


def fused(terms: Terms) -> tuple[Tensor | None, Terms]:
    """The weighted sum of those terms that the kernel adds up, None where there are none, and the other terms."""
    names = {term.kinds: name for name, (term, _) in terms.items() if term.kinds in PARTS}
    parts = {kinds: terms[name] for kinds, name in names.items()}
    paths = {kinds: term.path for kinds, (term, _) in parts.items()}
    if not _applies(paths):
        return None, terms
    layer = next(path[-1] for kinds, path in paths.items() if kinds != BYPASS).value()
    bypass = parts[BYPASS][0].value() if BYPASS in parts else layer.detach()
    weights = {kinds: weight for kinds, (_, weight) in parts.items()}
    if not _fits(layer, bypass, paths, weights):
        return None, terms
    output = _sum(layer, bypass, paths, weights)
    return output, {name: entry for name, entry in terms.items() if name not in names.values()}


def _applies(paths: Mapping[tuple[str, ...], Path]) -> bool:
    """Whether the kernel computes what these modules do, and may take their place."""
    replaced = [step.function for path in paths.values() for step in path if step.kind not in ("layer", "bypass")]
    norms = [module for module in replaced if isinstance(module, _NORMS)]
    layers = {id(path[-1]) for kinds, path in paths.items() if kinds != BYPASS}
    return (
        len(paths) > 1
        and len(norms) > 0
        and len(layers) == 1
        and all(isinstance(module, nn.Module) and module.training for module in replaced)
        and not any(getattr(module, hooks) for module in replaced for hooks in _HOOKS)
        and all(type(module) in (*ACTIVATIONS, *_NORMS) for module in replaced)
        and not torch.compiler.is_compiling()
        and not torch.is_autocast_enabled("cpu")
        and not torch._C._are_functorch_transforms_active()
        and (activation := _activation(paths)) is not None
        and not isinstance(library(activation.name), OSError)
    )


def _activation(paths: Mapping[tuple[str, ...], Path]) -> Activation | None:
    """What the kernel calls the activation; None where there is more than one, or one that it does not know."""
    modules = [step.function for path in paths.values() for step in path if step.kind == "activation"]
    known = {ACTIVATIONS[type(module)](module) for module in modules}
    return known.pop() if len(known) == 1 else None


def _fits(
    layer: Tensor,
    bypass: Tensor,
    paths: Mapping[tuple[str, ...], Path],
    weights: Mapping[tuple[str, ...], Tensor | None],
) -> bool:
    """Whether the tensors are such as the kernel reads; a single value a channel has no variance."""
    norms = [module for _, module in _norms(paths)]
    axis = norms[0].channel_axis
    channels = layer.shape[axis]
    tensors = [layer, bypass, *(weight for weight in weights.values() if weight is not None)]
    tensors += [value for norm in norms for value in (norm.weight, norm.bias)]
    return (
        all(type(value) in (Tensor, nn.Parameter) and value.dtype == torch.float32 for value in tensors)
        and all(value.device.type == "cpu" and value.layout == torch.strided for value in tensors)
        and bypass.shape == layer.shape
        and layer.numel() > channels > 0
        and all(norm.channel_axis == axis and norm.weight.shape == (channels,) for norm in norms)
        and all(
            weight.shape[axis] == channels and weight.numel() in (channels, len(layer) * channels)
            for weight in weights.values()
            if weight is not None and weight.ndim
        )
    )


def _norms(paths: Mapping[tuple[str, ...], Path]) -> list[tuple[tuple[str, ...], BatchNorm | LayerNorm]]:
    return [
        (kinds, step.function) for kinds, path in paths.items() for step in path if isinstance(step.function, _NORMS)
    ]


def _sum(
    layer: Tensor,
    bypass: Tensor,
    paths: Mapping[tuple[str, ...], Path],
    weights: Mapping[tuple[str, ...], Tensor | None],
) -> Tensor:
    norms = dict(_norms(paths))
    activation = _activation(paths)
    assert activation is not None
    axis = next(iter(norms.values())).channel_axis
    channels = layer.shape[axis]
    zero = layer.new_zeros(channels)
    numbers = [value for k in (PRE, POST, LAYERED) for value in _weight_and_bias(norms.get(k), zero)]
    output, moments = tail(
        layer.movedim(axis, -1).contiguous(),
        bypass.movedim(axis, -1).contiguous(),
        _stacked([weights.get(kinds, zero) for kinds in PARTS], zero),
        torch.stack(numbers),
        activation,
        tuple(norms[k].eps if k in norms else EPSILON for k in (PRE, POST, LAYERED)),
    )
    for kinds, (mean, var) in zip((PRE, POST), moments.float().view(2, 2, channels), strict=True):
        if isinstance(norm := norms.get(kinds), BatchNorm):
            norm.track(mean, var, layer.numel() // channels)
    return output.movedim(-1, axis)


def _weight_and_bias(norm: BatchNorm | LayerNorm | None, zero: Tensor) -> tuple[Tensor, Tensor]:
    return (zero, zero) if norm is None else (norm.weight, norm.bias)


def _stacked(weights: Sequence[Tensor | None], zero: Tensor) -> Tensor:
    """Weights, None being 1, as one tensor (weights, batch or 1, channels)."""
    rows = [(zero + 1 if weight is None else weight.expand(zero.shape) if not weight.ndim else weight) for weight in weights]
    flat = [row.reshape(-1, len(zero)) for row in rows]
    return torch.stack(torch.broadcast_tensors(*flat))
