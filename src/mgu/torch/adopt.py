"""A model's own norms and activations as those of a unit.

A module counts as what it does to a probe, whoever wrote it: classes and names do not say it.
"""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mgu.torch.explain import evaluating
from mgu.torch.norms import BatchNorm, LayerNorm

#: What acts on each number alone and yet is no activation of a hidden layer: a gate's or a probability's.
_NO_ACTIVATIONS = (nn.Sigmoid, nn.Hardsigmoid, nn.LogSigmoid)

#: The activations that are functions or methods, by name.
FUNCTIONS: Mapping[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu_": nn.ReLU,
    "relu6": nn.ReLU6,
    "leaky_relu": nn.LeakyReLU,
    "leaky_relu_": nn.LeakyReLU,
    "elu": nn.ELU,
    "elu_": nn.ELU,
    "celu": nn.CELU,
    "selu": nn.SELU,
    "selu_": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "hardswish": nn.Hardswish,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
}


def adopted_norm(norm: nn.Module, weight: Tensor, axis: int, rank: int, own_axis: int) -> BatchNorm | LayerNorm | None:
    """The unit's batch or layer norm with the settings, the weights and the statistics of a model's, which it shares.

    ``norm`` is over the channels on ``axis`` (1 or -1) of ``rank`` axes; the answer has them on ``own_axis``. Channels
    are as many as ``weight``, the layer's, has rows. None where the module does something else than such a norm to a
    probe, in training or in evaluation.
    """
    kind = BatchNorm if hasattr(norm, "running_mean") else LayerNorm
    try:
        made = _around(kind(len(weight), axis, device=weight.device, dtype=weight.dtype), norm)
        probe = _probe(weight, axis, rank)
        modes = (True, False)
        same = all(_same(copy.deepcopy(norm).train(mode), copy.deepcopy(made).train(mode), probe) for mode in modes)
    except Exception:  # whatever a module of someone's own raises for a probe
        return None
    made.channel_axis = own_axis
    return made.train(norm.training) if same else None


def adopted_pair(
    module: nn.Module, weight: Tensor, axis: int, rank: int, own_axis: int
) -> tuple[BatchNorm | LayerNorm, nn.Module] | None:
    """The norm and the activation of a module that is a norm with an activation of its own behind it, A(N(x)); the norm
    as ``adopted_norm`` has it. None where the module does something else to a probe."""
    activations = [(name, child) for name, child in module.named_children() if is_activation(child)]
    if len(activations) != 1:
        return None
    ((name, activation),) = activations
    bare = copy.copy(module)  # with the same tensors
    bare._modules = {**module._modules, name: nn.Identity()}
    norm = adopted_norm(bare, weight, axis, rank, own_axis)
    if norm is None:
        return None
    probe = _probe(weight, axis, rank)
    with evaluating(module), evaluating(bare), torch.no_grad():
        same = _close(module(probe.clone()), activation(bare(probe)))
    return (norm, fresh_activation(activation)) if same else None


def is_activation(module: nn.Module) -> bool:
    """Whether the module has no weights and changes each number by itself, the same in training and in evaluation."""
    if isinstance(module, _NO_ACTIVATIONS) or any(True for _ in (*module.parameters(), *module.buffers())):
        return False
    probe = torch.linspace(-3, 3, 24, dtype=torch.float64)  # whole arrays may be rounded otherwise than numbers
    try:
        with torch.no_grad():
            whole, again = (module(probe.clone().view(2, 3, 2, 2)).flatten() for _ in range(2))
            with evaluating(module):
                alone = torch.cat([module(number.clone().view(1, 1, 1, 1)).flatten() for number in probe.flip(0)])
        same = torch.equal(whole, again) and torch.allclose(whole, alone.flip(0))
        return same and not torch.equal(whole, probe)
    except Exception:  # whatever a module of someone's own raises for a probe
        return False


def fresh_activation(activation: nn.Module) -> nn.Module:
    """A copy that leaves its input as it is: in a unit others read it too."""
    fresh = copy.deepcopy(activation)
    for module in fresh.modules():
        if hasattr(module, "inplace"):
            module.inplace = False  # type: ignore[assignment]
    return fresh


def _around(made: BatchNorm | LayerNorm, norm: Any) -> BatchNorm | LayerNorm:
    """The norm with the other's settings and its very tensors; weights that it has not are constants."""
    made.eps = norm.eps
    for name in ("weight", "bias"):
        own = getattr(norm, name, None)
        setattr(made, name, getattr(made, name).requires_grad_(False) if own is None else own)
    if isinstance(made, BatchNorm):
        made.momentum = norm.momentum
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            setattr(made, name, getattr(norm, name))
    return made


def _probe(weight: Tensor, axis: int, rank: int) -> Tensor:
    """Numbers of all sizes for inputs of that rank, as many positions on each axis as are not mistaken for channels."""
    channels = len(weight)
    positions = [3 + (channels == 3)] * (rank - 2)
    shape = (5, channels, *positions) if axis == 1 else (5, *positions, channels)
    count = torch.Size(shape).numel()
    return (2 + 3 * torch.arange(count, dtype=torch.float64).mul(1.7).sin()).view(shape).to(weight)


def _same(norm: nn.Module, made: nn.Module, probe: Tensor) -> bool:
    with torch.no_grad():
        answers = [module(probe.clone()) for module in (norm, made)]
    pairs = [answers, *([module.get_buffer(name) for module in (norm, made)] for name, _ in made.named_buffers())]
    return all(_close(*pair) for pair in pairs)


def _close(a: Tensor, b: Tensor) -> bool:
    tolerance = 100 * torch.finfo(a.dtype).eps if a.is_floating_point() else 0.0
    return a.shape == b.shape and torch.allclose(a.double(), b.double(), tolerance, tolerance)
