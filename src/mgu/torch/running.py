"""Models run on a batch: what they give, and the shapes on the way."""

import copy
import math
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from mgu.errors import InputError
from mgu.torch.explain import evaluating
from mgu.torch.follow import tensors

#: What a layer took and what it gave.
Shapes = Mapping[nn.Module, tuple[torch.Size, torch.Size]]


def check_module(model: object) -> None:
    """Raises InputError for what is no module."""
    if not isinstance(model, nn.Module):
        raise InputError(f"the model is {model!r}, a {type(model).__name__}; allowed: a torch.nn.Module")


def copied(model: nn.Module) -> nn.Module:
    """A copy. Raises InputError for a model that has none, for scripted modules, and for wrappers that hold on to the
    layers as they were."""
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise InputError(
                f"{name or 'the model'} is a {type(module).__name__}, which cannot be looked into; convert the "
                "model that was scripted, and script the converted or the hardened one"
            )
        if isinstance(module, nn.parallel.DistributedDataParallel) or hasattr(module, "_orig_mod"):
            raise InputError(
                f"{name or 'the model'} is a {type(module).__name__}, which keeps to the layers that it was given; "
                "convert the model within, and wrap the converted one"
            )
    try:
        return copy.deepcopy(model)
    except Exception as error:  # whatever a module of someone's own raises
        raise InputError(f"{type(model).__name__} cannot be copied, as converting needs: {error}") from error


def shapes_of(model: nn.Module, layers: Collection[nn.Module], batch: Any) -> Shapes:
    """What each layer took and gave last as the model ran on the batch; layers that are not called are not in it."""
    found: dict[nn.Module, tuple[torch.Size, torch.Size]] = {}

    def listen(layer: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
        if arguments:
            found[layer] = arguments[0].shape, output.shape

    with ExitStack() as hooks:
        for layer in layers:
            hooks.callback(layer.register_forward_hook(listen).remove)
        run(model, batch)
    return found


def run(model: nn.Module, batch: Any, training: bool = False) -> list[Tensor]:
    """The tensors that the model gives for the batch, in evaluation mode, or by a copy in training mode."""
    if training:
        return run_as_is(in_training(model), batch)
    with evaluating(model):
        return run_as_is(model, batch)


def run_as_is(model: nn.Module, batch: Any) -> list[Tensor]:
    """The tensors that the model gives for the batch in the mode that it is in."""
    with torch.no_grad():
        try:
            if isinstance(batch, Mapping):
                outputs = tensors(model(**batch))
            else:
                outputs = tensors(model(*batch) if isinstance(batch, tuple | list) else model(batch))
        except Exception as error:  # whatever a model of someone's own raises
            mode = "training" if model.training else "evaluation"
            raise InputError(f"{type(model).__name__} does not run on the batch in {mode} mode: {error}") from error
    if not outputs:
        raise InputError(f"{type(model).__name__} gives no tensor for the batch; wrap it in a module that does")
    return outputs


def in_training(model: nn.Module) -> nn.Module:
    """A copy in training mode, but for dropout: what it draws differs with the order of numbers in memory."""
    running = copy.deepcopy(model).train()
    for module in running.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.eval()
    return running


def difference(model: nn.Module, ours: nn.Module, batch: Any, training: bool) -> float:
    """The largest absolute difference of the two models' outputs; of the same random numbers."""
    answers = []
    for either in (model, ours):
        with torch.random.fork_rng():
            answers.append(run(either, batch, training))
    return largest_difference(*answers)


def rounding(model: nn.Module, batch: Any) -> float:
    """The difference in evaluation that two ways to compute the model may have: half the digits of its outputs."""
    outputs = [output.abs() for output in run(model, batch) if output.is_floating_point() and output.numel()]
    return max((output.max().item() * torch.finfo(output.dtype).eps ** 0.5 for output in outputs), default=math.inf)


def largest_difference(output: object, other: object) -> float:
    """The largest absolute difference of two models' outputs, over all tensors in them."""
    pairs = zip(tensors(output), tensors(other), strict=True)
    return max(((a.double() - b.double()).abs().max().item() for a, b in pairs if a.numel()), default=0.0)
