"""From a model of torch's layers to one with units in the places of its layers, norms and activations.

Where a forward's steps are seen and its modules suffice, a unit takes the layer's place and ``nn.Identity`` those of
the norm and the activation: the model's classes, and what else is in them, stay. Only a forward whose activation is a
function, or a module that it calls more than once, becomes a ``torch.fx.GraphModule`` of its own, without those steps.
Forwards are traced by torch.fx one by one, each with its children as single steps, so that one which cannot be traced
is no hindrance to the others; what the modules in such a one read of each other is seen while it runs on the batch.
"""

import copy
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, fx, nn

from mgu.errors import InputError
from mgu.torch.around import check_shapes, unit_around
from mgu.torch.explain import evaluating
from mgu.torch.follow import as_module, in_a_row, observed, tensors, traced
from mgu.torch.groups import Group, group_of, is_layer, layer_steps, operation, readers
from mgu.torch.unit import MultiGatedUnit

Choice = str | Callable[[str, nn.Module], bool]
Shapes = Mapping[nn.Module, tuple[torch.Size, torch.Size]]


@dataclass(frozen=True)
class Conversion:
    """A converted model and what became of each layer that was chosen, by the layers' names in the model.

    ``converted`` has the groups, such as ReLU(BN(Conv2d)); ``left`` the reasons. The differences are the largest
    absolute ones between the outputs of the two models on the batch, in evaluation and in training mode, the latter
    without dropout.
    """

    model: nn.Module
    converted: Mapping[str, str]
    left: Mapping[str, str]
    largest_difference: float
    training_difference: float

    def text(self) -> str:
        """A line for each layer, and the differences."""
        return "\n".join(
            [
                *(f"{name}: {group}" for name, group in self.converted.items()),
                *(f"{name}: left, {reason}" for name, reason in self.left.items()),
                f"{len(self.converted)} units, {len(self.left)} layers left",
                f"largest output difference: {self.largest_difference:.4g}, in training {self.training_difference:.4g}",
            ]
        )


def convert(
    model: nn.Module, batch: Any, only: Choice = "*", *, gates: str = "channel", bypass: str = "shortcut"
) -> Conversion:
    """Make a MultiGatedUnit of each linear or convolution layer with the norm and the activation directly behind it.

    The answer's ``model`` is a copy; the model itself stays as it is. Groups are A(BN(L)), BN(A(L)), A(LN(L)),
    LN(A(L)), A(L), BN(L) and LN(L); A is any module without weights that changes each number by itself, or a function
    such as ``F.relu``. A norm counts as what it does to a probe, whoever wrote it. A unit has the group's own layer,
    norm and activation: their weights and statistics, epsilon and momentum.

    The converted model starts as the same function, in evaluation and in training, up to rounding, and its gates learn
    from the first step on: a gate starts at a logit of 4 on the group's side, where a value of

        g = 1/2 + (sigmoid(logit) - 1/2) / tanh(4 / 2)

    is that side wholly (1 or 0), with a slope of 0.018. The price: a gate that goes on in that direction ends at 1.019 or
    -0.019, a little beyond. ``sharpen`` takes this away, ``harden`` decides as ever. Gates that the group says nothing
    of start at one half. What the gates are closed for starts fresh: the other norms, and the bypass where the layer
    changes its input's shape.

    ``batch`` is what the model takes: a tensor, a tuple of arguments, or a mapping of keyword arguments, of two samples
    or more. ``only`` chooses layers by a pattern of names, such as "layer1.*", or by a function of name and layer;
    ``gates`` and ``bypass`` are those of the units. Raises InputError where no layer is chosen, for an unknown kind of
    gates or bypass, where the model does not take the batch or gives no tensor, and where the converted one does not.

    Source: the start as the same function, Chen, Goodfellow & Shlens 2016, "Net2Net"; the gates' values, see
    ``MultiGatedUnit.stretch``.
    """
    ours = copy.deepcopy(model)
    chosen = _chosen(ours, only)
    shapes = _shapes(ours, chosen.values(), batch)
    names = {layer: name for name, layer in chosen.items()}
    converted: dict[str, str] = {}
    left = {name: _not_followed(layer, shapes) for name, layer in chosen.items()}
    for forward in _forwards(ours, batch):
        for layer, steps in layer_steps(forward.graph, forward.owner):
            if layer in names and layer in shapes:
                try:
                    converted[names[layer]] = _replaced(forward, layer, steps, shapes, gates, bypass)
                    left.pop(names[layer], None)
                except InputError as reason:
                    left[names[layer]] = str(reason)
        if forward.edited:
            ours = _put(ours, forward.owner, as_module(forward.owner, forward.graph))
    differences = [_difference(model, ours, batch, training) for training in (False, True)]
    in_order = {name: converted[name] for name in chosen if name in converted}
    return Conversion(ours, in_order, left, *differences)


class _Forward:
    """A module, what its forward does, and whether that graph may take the forward's place, or has to."""

    def __init__(self, owner: nn.Module, graph: fx.Graph, editable: bool) -> None:
        self.owner, self.graph, self.editable, self.edited = owner, graph, editable, False

    def has_own_place(self, node: fx.Node) -> bool:
        """Whether the step is the only one that calls its module."""
        return node.op == "call_module" and sum(other.target == node.target for other in self.graph.nodes) == 1

    def drop(self, node: fx.Node) -> None:
        """Take a norm or an activation out."""
        if self.has_own_place(node):
            self.owner.set_submodule(str(node.target), nn.Identity())
        else:
            node.replace_all_uses_with(node.args[0])  # type: ignore[arg-type]
            self.graph.erase_node(node)
            self.edited = True


def _forwards(model: nn.Module, batch: Any) -> Iterator[_Forward]:
    """The forwards that may call layers: of Sequentials, and of classes that are not torch's."""
    unseen = []
    for module in _outside_units(model):
        if type(module).forward is nn.Sequential.forward:
            yield _Forward(module, in_a_row(module), False)
        elif not type(module).__module__.startswith("torch.nn."):
            graph = traced(module)
            if graph is not None:
                yield _Forward(module, graph, True)
            else:
                unseen.append(module)
    for owner, graph in observed(model, unseen, lambda: _run(model, batch)).items():
        yield _Forward(owner, graph, False)


def _replaced(
    forward: _Forward, layer: nn.Module, steps: list[fx.Node], shapes: Shapes, gates: str, bypass: str
) -> str:
    """Put a unit in the layer's place, and say what of. Raises InputError with the reason where there can be none."""
    if len(steps) > 1:
        raise InputError(f"called {len(steps)} times in one forward of {type(forward.owner).__name__}")
    (step,) = steps
    if any(node.op == "get_attr" and str(node.target).startswith(f"{step.target}.") for node in forward.graph.nodes):
        raise InputError("its weights are read besides")
    taken, given = shapes[layer]
    group = group_of(step, forward.owner, len(given))
    if not forward.editable:
        group = group.until(lambda member: not forward.has_own_place(member.node))
    if not group.members:
        raise InputError(_nothing_behind(step, forward.owner))
    formula = group.formula(layer)
    unit = unit_around(layer, group, gates, bypass)
    check_shapes(unit, taken, given)
    forward.owner.set_submodule(str(step.target), unit)
    for member in group.members:
        forward.drop(member.node)
    return formula


def _nothing_behind(step: fx.Node, owner: nn.Module) -> str:
    reading = readers(step)
    if len(reading) != 1:
        return f"{len(reading)} steps read its output"
    (reader,) = reading
    if reader.op == "call_module":
        return f"{type(owner.get_submodule(str(reader.target))).__name__} is behind it, no norm or activation of a unit's"
    behind = f"the end of {type(owner).__name__}'s forward" if reader.op == "output" else operation(reader)
    return f"{behind} is behind it, no norm or activation"


def _chosen(model: nn.Module, only: Choice) -> dict[str, nn.Module]:
    """The layers by name, those in units left out."""
    layers = {name: module for name, module in model.named_modules() if is_layer(module)}
    outside = set(_outside_units(model))
    fits = only if callable(only) else lambda name, layer: fnmatchcase(name, only)
    chosen = {name: layer for name, layer in layers.items() if layer in outside and fits(name, layer)}
    if not chosen:
        raise InputError(
            f"only={only!r} chooses none of the {len(layers)} linear and convolution layers; their names: "
            f"{', '.join(list(layers)[:10]) or 'none'}{', ...' if len(layers) > 10 else ''}"
        )
    return chosen


def _outside_units(model: nn.Module) -> list[nn.Module]:
    inside = {part for unit in model.modules() if isinstance(unit, MultiGatedUnit) for part in unit.modules()}
    return [module for module in model.modules() if module not in inside]


def _shapes(model: nn.Module, layers: Collection[nn.Module], batch: Any) -> Shapes:
    """What each layer took and gave last as the model ran on the batch; layers that are not called are not in it."""
    shapes: dict[nn.Module, tuple[torch.Size, torch.Size]] = {}

    def listen(layer: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
        if arguments:
            shapes[layer] = arguments[0].shape, output.shape

    with ExitStack() as hooks:
        for layer in layers:
            hooks.callback(layer.register_forward_hook(listen).remove)
        _run(model, batch)
    return shapes


def _not_followed(layer: nn.Module, shapes: Shapes) -> str:
    return "no forward that can be looked into calls it" if layer in shapes else "the model does not call it on the batch"


def _put(model: nn.Module, old: nn.Module, new: nn.Module) -> nn.Module:
    """The model with a module wherever another was."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if child is old:
                setattr(parent, name, new)
    return new if model is old else model


def _run(model: nn.Module, batch: Any, training: bool = False) -> list[Tensor]:
    """The tensors that the model gives for the batch, in evaluation mode, or by a copy in training mode."""
    running = _training(model) if training else model
    with ExitStack() as modes, torch.no_grad():
        if not training:
            modes.enter_context(evaluating(model))
        try:
            if isinstance(batch, Mapping):
                outputs = tensors(running(**batch))
            else:
                outputs = tensors(running(*batch) if isinstance(batch, tuple | list) else running(batch))
        except Exception as error:  # whatever a model of someone's own raises
            mode = "training" if training else "evaluation"
            raise InputError(f"{type(model).__name__} does not run on the batch in {mode} mode: {error}") from error
    if not outputs:
        raise InputError(f"{type(model).__name__} gives no tensor for the batch; wrap it in a module that does")
    return outputs


def _training(model: nn.Module) -> nn.Module:
    """A copy in training mode, but for dropout: what it draws differs with the order of numbers in memory."""
    running = copy.deepcopy(model).train()
    for module in running.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.eval()
    return running


def _difference(model: nn.Module, ours: nn.Module, batch: Any, training: bool) -> float:
    """The largest absolute difference of the two models' outputs; of the same random numbers."""
    answers = []
    for either in (model, ours):
        with torch.random.fork_rng():
            answers.append(_run(either, batch, training))
    pairs = zip(*answers, strict=True)
    return max(((a.double() - b.double()).abs().max().item() for a, b in pairs if a.numel()), default=0.0)
