"""Where the terms of a mixture are added up by the compiled kernel, in two passes over the data instead of one a term.

The kernel (``tail.c``) is used in training, on the CPU, in float32, where the weights are the same at every position, a
norm is among the terms, and the activation is one that it knows; without autocast, torch.compile, torch.func and hooks
on what it takes the place of. Anywhere else, and where no C compiler is found, torch's own operations are used. The two
give the same values to rounding; the kernel's output has its channels last in memory and can be differentiated once.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from mgu.torch.norms import EPSILON, BatchNorm, LayerNorm
from mgu.torch.one_batch import OneBatch
from mgu.torch.tail import ACTIVATIONS, Activation, library, tail
from mgu.wiring import INPUT, Chain, Op, readers

#: The terms that the kernel adds up, in the order of its weights: the kinds of operation from a term down to the input.
PARTS: tuple[tuple[str, ...], ...] = (
    ("activation", "batch_norm", "layer"),
    ("batch_norm", "activation", "layer"),
    ("layer_norm", "activation", "layer"),
    ("activation", "layer"),
    ("bypass",),
)
_NORMED, _BATCH_NORMED = range(3), range(2)
Norm = BatchNorm | LayerNorm
_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")


@dataclass(frozen=True)
class Parts:
    """Which terms of a mixture the kernel adds up.

    ``rows`` are all terms: those of ``PARTS`` in their order, empty where there is none, and then the others. ``layer``
    is what the kernel reads, ``norms`` the norm of each part that has one, by the part's place, and ``activations``
    those that the kernel takes the place of; all by their names in the chain.
    """

    rows: tuple[str, ...]
    layer: str
    norms: Mapping[int, str]
    activations: tuple[str, ...]

    @property
    def bypass(self) -> str:
        return self.rows[len(PARTS) - 1]


def available() -> bool:
    """Whether the kernel can be used on this machine; it is compiled where it has not been yet."""
    return not why_not()


def why_not() -> str:
    """Why the kernel cannot be used on this machine: no C compiler, or what it complains of. Empty where it can."""
    made = library("elu")
    return str(made) if isinstance(made, OSError) else ""


def parts(chain: Chain, terms: tuple[str, ...]) -> Parts | None:
    """Which of the terms the kernel can add up; None where they are not two or more of one layer, one with a norm."""
    ways = {term: _way(chain, term) for term in terms}
    ways = {term: way for term, way in ways.items() if not _norm_of_others(chain, term, way)}
    by_kinds = {tuple(op.kind for op in way): term for term, way in ways.items()}
    first = tuple(by_kinds.get(kinds, "") for kinds in PARTS)
    steps = [op for term in first[:-1] if term for op in ways[term]]
    layers = {op.name for op in steps if op.kind == "layer"}
    norms = {i: op.name for i in _NORMED if first[i] for op in ways[first[i]] if op.kind.endswith("_norm")}
    if len(layers) != 1 or not norms or sum(map(bool, first)) < 2:
        return None
    activations = {op.name: None for op in steps if op.kind == "activation"}
    return Parts((*first, *(term for term in terms if term not in first)), layers.pop(), norms, tuple(activations))


def fused(found: Parts, operations: nn.ModuleDict, value: Callable[[str], Tensor], weights: Tensor) -> Tensor | None:
    """The weighted sum of the first ``PARTS`` rows, None where the kernel cannot be used; batch norms' running
    statistics move. ``value`` gives a value of the chain by name; ``weights`` are (rows, batch or 1, channels)."""
    if not plain_run():
        return None
    activation, norms = usable(found, operations), norms_of(found, operations)
    if activation is None:
        return None
    layer = value(found.layer)
    bypass = value(found.bypass) if found.bypass else layer.detach()  # its weight is 0
    if not _fit(layer, bypass, weights, norms.values()):
        return None
    axis, channels = next(iter(norms.values())).channel_axis, weights.shape[-1]
    output, moments, all_rows = tail(
        layer.movedim(axis, -1).contiguous(),
        bypass.movedim(axis, -1).contiguous(),
        weights[: len(PARTS)].contiguous(),
        weights_and_biases(norms, layer.new_zeros(channels)),
        activation,
        epsilons(norms),
    )
    track(norms, moments, all_rows)
    return output.movedim(-1, axis)


def norms_of(found: Parts, operations: nn.ModuleDict) -> dict[int, Norm]:
    """The norm of each part that has one, by the part's place."""
    return {i: module for i, name in found.norms.items() if isinstance(module := operations[name], Norm)}


def usable(found: Parts, operations: nn.ModuleDict) -> Activation | None:
    """The activation, where a kernel does what the modules that it takes the place of do."""
    activations = [operations[name] for name in found.activations]
    replaceable = _replaceable([*norms_of(found, operations).values(), *activations])
    return _common(activations) if replaceable else None


def weights_and_biases(norms: Mapping[int, Norm], zero: Tensor) -> Tensor:
    """The norms' weights and biases in the order of the kernels, zeros where there is no norm: (6, channels)."""
    pairs = ((norms[i].weight, norms[i].bias) if i in norms else (zero, zero) for i in _NORMED)
    return torch.stack([value for pair in pairs for value in pair])


def epsilons(norms: Mapping[int, Norm]) -> tuple[float, ...]:
    return tuple(norms[i].eps if i in norms else EPSILON for i in _NORMED)


def track(norms: Mapping[int, Norm], moments: Tensor, count: int) -> None:
    """Move the batch norms' running statistics towards a batch's moments, (4, channels), of ``count`` rows."""
    for i, (mean, var) in zip(_BATCH_NORMED, moments.float().view(2, 2, -1).unbind(), strict=True):
        if isinstance(norm := norms.get(i), BatchNorm):
            norm.track(mean, var, count)


def _norm_of_others(chain: Chain, term: str, way: Sequence[Op]) -> bool:
    """Whether a batch norm on the way is also worked out for another operation: its statistics must not move twice."""
    return any(op.kind == "batch_norm" and readers(chain, op.name) > (op.name != term) for op in way)


def _way(chain: Chain, name: str) -> tuple[Op, ...]:
    """The operations from a value down to the input, each a function of the next alone; none where it is not so."""
    node = next((node for node in chain if node.name == name), None)
    if not isinstance(node, Op) or len(node.inputs) != 1:
        return ()
    below = _way(chain, node.inputs[0])
    return (node, *below) if below or node.inputs[0] == INPUT else ()


def _common(activations: Sequence[nn.Module]) -> Activation | None:
    """What the kernel calls the activation; None where there are several, or one for which there is no kernel."""
    known = {ACTIVATIONS.get(type(module), lambda module: None)(module) for module in activations}
    found = known.pop() if len(known) == 1 else None
    return None if found is None or isinstance(library(found.name), OSError) else found


def plain_run() -> bool:
    """Whether operations do just what they say, one after another."""
    return not torch.compiler.is_compiling() and unrecorded()


def unrecorded() -> bool:
    """Whether nothing but torch.compile records, rewrites or casts operations."""
    return not (
        torch.is_autocast_enabled("cpu") or torch._C._get_tracing_state() or torch._C._are_functorch_transforms_active()
    )


def hooked(module: nn.Module) -> bool:
    """Whether anything is to be called when the module is run."""
    return any(getattr(module, hooks) for hooks in _HOOKS)


def _replaceable(modules: Sequence[nn.Module]) -> bool:
    """Whether the kernel computes what these modules do."""
    return all(
        type(module) in (*ACTIVATIONS, BatchNorm, LayerNorm) and module.training and not hooked(module)
        for module in modules
    )


def _fit(layer: Tensor, bypass: Tensor, weights: Tensor, norms: Iterable[Norm]) -> bool:
    """Whether the tensors are such as the kernel reads; a single value a channel has no variance."""
    axes = {norm.channel_axis for norm in norms}
    norm_weights = [value for norm in norms for value in (norm.weight, norm.bias)]
    return (
        all(readable(value) for value in (layer, bypass, weights, *norm_weights))
        and all(forward_ad.unpack_dual(value).tangent is None for value in (layer, bypass))  # type: ignore[no-untyped-call]
        and len(axes) == 1
        and bypass.shape == layer.shape
        and layer.shape[axes.pop()] == weights.shape[-1]
        and (OneBatch.entered or weights.shape[-1] < layer.numel())
        and weights.shape[1] in (1, len(layer))
        and all(value.shape == weights.shape[-1:] for value in norm_weights)
    )


def readable(value: Tensor) -> bool:
    """Whether a kernel can read the tensor's numbers."""
    plain = type(value) in (Tensor, nn.Parameter) and value.layout == torch.strided
    return plain and value.device.type == "cpu" and value.dtype == torch.float32
