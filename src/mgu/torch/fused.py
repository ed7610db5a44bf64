"""Where the terms of a mixture are added up by the compiled kernel, in two passes over the data instead of one a term.

The kernel (``tail.c``) is used in training, on the CPU, in float32, where the weights are the same at every position, a
norm is among the terms, and the activation is one that it knows; without autocast, torch.compile, torch.func and hooks
on what it takes the place of. Anywhere else, and where no C compiler is found, torch's own operations are used. The two
give the same values to rounding; the kernel's output has its channels last in memory and can be differentiated once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from mgu.torch.norms import EPSILON, BatchNorm, LayerNorm
from mgu.torch.tail import ACTIVATIONS, Activation, library, tail

if TYPE_CHECKING:
    from mgu.torch.mixture import Term

Terms = Mapping[str, tuple["Term", Tensor | None]]
Kinds = tuple[str, ...]

#: The terms that the kernel adds up, in the order of its weights: the kinds of operation from a term down to the input.
PARTS: tuple[Kinds, ...] = (
    ("activation", "batch_norm", "layer"),
    ("batch_norm", "activation", "layer"),
    ("layer_norm", "activation", "layer"),
    ("activation", "layer"),
    ("bypass",),
)
NORMED, BYPASS = PARTS[:3], PARTS[-1]
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
    if not _plain_run():
        return None, terms
    names = {term.kinds: name for name, (term, _) in terms.items() if term.kinds in PARTS}
    taken = _Taken({kinds: terms[name] for kinds, name in names.items()})
    if not (taken.replaceable and taken.fits):
        return None, terms
    return taken.sum(), {name: entry for name, entry in terms.items() if name not in names.values()}


def _plain_run() -> bool:
    """Whether operations do just what they say: nothing records, rewrites or casts them."""
    return not (
        torch.compiler.is_compiling()
        or torch.is_autocast_enabled("cpu")
        or torch._C._get_tracing_state()
        or torch._C._are_functorch_transforms_active()
    )


@dataclass(frozen=True)
class _Taken:
    """Terms and weights that the kernel may add up, by their kinds."""

    parts: Mapping[Kinds, tuple["Term", Tensor | None]]

    @cached_property
    def replaced(self) -> list["Term"]:
        """The terms that the kernel works out itself."""
        return [step for term, _ in self.parts.values() for step in term.path if step.kind not in ("layer", "bypass")]

    @cached_property
    def norms(self) -> dict[Kinds, BatchNorm | LayerNorm]:
        steps = (
            (kinds, step.function) for kinds in NORMED if kinds in self.parts for step in self.parts[kinds][0].path
        )
        return {kinds: module for kinds, module in steps if isinstance(module, _NORMS)}

    @cached_property
    def activation(self) -> Activation | None:
        """What the kernel calls the activation; None where there are several, or one that it does not know."""
        modules = [step.function for step in self.replaced if step.kind == "activation"]
        known = {ACTIVATIONS.get(type(module), lambda module: None)(module) for module in modules}
        return known.pop() if len(known) == 1 else None

    @cached_property
    def axis(self) -> int:
        return next(iter(self.norms.values())).channel_axis

    @cached_property
    def layer(self) -> Tensor:
        return next(term.path[-1] for kinds, (term, _) in self.parts.items() if kinds != BYPASS).value()

    @cached_property
    def bypass(self) -> Tensor:
        """Where there is none, any value of its shape, to be weighted with 0."""
        return self.parts[BYPASS][0].value() if BYPASS in self.parts else self.layer.detach()

    @property
    def replaceable(self) -> bool:
        """Whether the kernel computes what these terms' modules do; nothing is worked out yet."""
        modules = [step.function for step in self.replaced]
        layers = {id(term.path[-1]) for kinds, (term, _) in self.parts.items() if kinds != BYPASS}
        return (
            len(self.parts) > 1
            and len(self.norms) > 0
            and len(layers) == 1
            and all(type(module) in (*ACTIVATIONS, *_NORMS) for module in modules)
            and all(isinstance(module, nn.Module) and module.training for module in modules)
            and not any(getattr(module, hooks) for module in modules for hooks in _HOOKS)
            and self.activation is not None
            and not isinstance(library(self.activation.name), OSError)
        )

    @property
    def fits(self) -> bool:
        """Whether the tensors are such as the kernel reads; a single value a channel has no variance."""
        layer, norms = self.layer, self.norms.values()
        channels = layer.shape[self.axis]
        weights = [weight for _, weight in self.parts.values() if weight is not None]
        norm_weights = [value for norm in norms for value in (norm.weight, norm.bias)]
        return (
            all(_readable(value) for value in (layer, self.bypass, *weights, *norm_weights))
            and all(forward_ad.unpack_dual(value).tangent is None for value in (layer, self.bypass))  # type: ignore[no-untyped-call]
            and self.bypass.shape == layer.shape
            and layer.numel() > channels > 0
            and all(norm.channel_axis == self.axis and norm.weight.shape == (channels,) for norm in norms)
            and all(weight.numel() in (1, channels, len(layer) * channels) for weight in weights)
            and all(weight.shape[self.axis] == channels for weight in weights if weight.ndim)
        )

    def sum(self) -> Tensor:
        """The weighted sum; batch norms' running statistics move."""
        activation, channels = self.activation, self.layer.shape[self.axis]
        assert activation is not None
        zero = self.layer.new_zeros(channels)
        scales = [norm for kinds in NORMED for norm in _weight_and_bias(self.norms.get(kinds), zero)]
        weights = [self.parts[kinds][1] if kinds in self.parts else zero for kinds in PARTS]
        output, moments = tail(
            self.layer.movedim(self.axis, -1).contiguous(),
            self.bypass.movedim(self.axis, -1).contiguous(),
            _stacked(weights, zero),
            torch.stack(scales),
            activation,
            tuple(self.norms[kinds].eps if kinds in self.norms else EPSILON for kinds in NORMED),
        )
        for kinds, (mean, var) in zip(NORMED[:2], moments.float().view(2, 2, channels), strict=True):
            if isinstance(norm := self.norms.get(kinds), BatchNorm):
                norm.track(mean, var, self.layer.numel() // channels)
        return output.movedim(-1, self.axis)


def _readable(value: Tensor) -> bool:
    plain = type(value) in (Tensor, nn.Parameter) and value.layout == torch.strided
    return plain and value.device.type == "cpu" and value.dtype == torch.float32


def _weight_and_bias(norm: BatchNorm | LayerNorm | None, zero: Tensor) -> tuple[Tensor, Tensor]:
    return (zero, zero) if norm is None else (norm.weight, norm.bias)


def _stacked(weights: Sequence[Tensor | None], zero: Tensor) -> Tensor:
    """Weights, None being 1, as one tensor (weights, batch or 1, channels)."""
    filled = [zero + 1 if weight is None else weight if weight.ndim else weight + zero for weight in weights]
    rows = [weight.reshape(-1, len(zero)) for weight in filled]
    most = max(len(row) for row in rows)
    return torch.stack([row.expand(most, -1) for row in rows])
