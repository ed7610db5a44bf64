"""From a model of torch's layers to one with units in the places of its layers, norms and activations.

Where a forward's steps are seen and its modules suffice, a unit takes the layer's place and ``nn.Identity`` those of
the norm and the activation: the model's classes, and what else is in them, stay. Only a forward whose activation is a
function, or a module that it calls more than once, becomes a ``torch.fx.GraphModule`` of its own, without those steps.
Forwards are traced by torch.fx one by one, each with its children as single steps, so that one which cannot be traced
is no hindrance to the others; what the modules in such a one read of each other is seen while it runs on the batch.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import fx, nn

from mgu.errors import InputError
from mgu.torch.around import check_apart, check_shapes, unit_around
from mgu.torch.besides import Seen, constants, watching
from mgu.torch.bypass import BYPASSES
from mgu.torch.forwards import Forward, forwards, outside_units
from mgu.torch.fused import hooked
from mgu.torch.gates import GATES
from mgu.torch.graph import keep, put
from mgu.torch.groups import group_of, is_layer, is_other_layer, layer_steps, operation, readers
from mgu.torch.running import Shapes, check_module, copied, difference, rounding, shapes_of

Choice = str | Callable[[str, nn.Module], bool]


@dataclass(frozen=True)
class Conversion:
    """A converted model and what became of each layer that was chosen, by the layers' names in the model. Layers of
    other kinds are in ``left`` where a pattern of names chose them.

    ``converted`` has the groups, such as ReLU(BN(Conv2d)); ``left`` the reasons. The differences are the largest
    absolute ones between the outputs of the two models on the batch, in evaluation and in training mode, the latter
    without dropout.
    """

    model: nn.Module
    converted: Mapping[str, str]
    left: Mapping[str, str]
    largest_difference: float
    training_difference: float

    def __repr__(self) -> str:
        counts = f"{len(self.converted)} units, {len(self.left)} layers left"
        return (
            f"<Conversion of {type(self.model).__name__}: {counts}, largest difference {self.largest_difference:.4g}>"
        )

    def text(self) -> str:
        """A line for each layer, and the differences."""
        return "\n".join(
            [
                *(f"{name}: {group}" for name, group in self.converted.items()),
                *(f"{name}: left, {reason}" for name, reason in self.left.items()),
                f"units: {len(self.converted)}, layers left: {len(self.left)}",
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

    is that side wholly (1 or 0), with a slope of 0.018. The price: a gate that goes on in that direction ends at 1.019
    or -0.019, a little beyond. ``sharpen`` takes this away, ``harden`` decides as ever, and ``explain`` tells of the
    sigmoids. Gates that the group says nothing of start at one half. What the gates are closed for starts fresh: the
    other norms, and the bypass where the layer changes its input's shape.

    ``batch`` is what the model takes: a tensor, a tuple of arguments, or a mapping of keyword arguments, of two samples
    or more. ``only`` chooses layers by a pattern of names, such as "layer1.*", or by a function of name and layer;
    ``gates`` and ``bypass`` are those of the units. Raises InputError where no layer is chosen, for an unknown kind of
    gates or bypass, for what is no module or no choice, where the model is scripted, does not take the batch or gives
    no tensor, and where the converted one does not or gives other outputs in evaluation than by rounding.

    Source: the start as the same function, Chen, Goodfellow & Shlens 2016, "Net2Net"; the gates' values, see
    ``MultiGatedUnit.stretch``.
    """
    check_module(model)
    _check_kinds(gates, bypass)
    ours = copied(model)
    chosen, others = _chosen(ours, only), _others(ours, only)
    with watching(outside_units(ours)) as seen:
        shapes = shapes_of(ours, chosen.values(), batch)
    found = forwards(ours, batch, seen)
    calls = [(forward, *call) for forward in found for call in layer_steps(forward.graph, forward.owner)]
    names = {layer: name for name, layer in chosen.items()}
    converted: dict[str, str] = {}
    left = {name: _not_followed(layer, shapes, seen) for name, layer in chosen.items()}
    for forward, layer, steps in calls:
        if layer in names and layer in shapes:
            try:
                converted[names[layer]] = _replaced(forward, layer, steps, shapes, gates, bypass)
                del left[names[layer]]
            except InputError as reason:
                left[names[layer]] = str(reason)
    for forward in found:
        if forward.edited:
            ours = put(ours, forward.owner, forward.rewritten())
    differences = [difference(model, ours, batch, training) for training in (False, True)]
    _check_same(differences[0], rounding(model, batch))
    in_order = {name: converted[name] for name in chosen if name in converted}
    return Conversion(ours, in_order, left | others, *differences)


def _replaced(forward: Forward, layer: nn.Module, steps: list[fx.Node], shapes: Shapes, gates: str, bypass: str) -> str:
    """Put a unit in the layer's place, with what others read of that, and say what of. Raises InputError with the
    reason where there can be none."""
    read = constants(layer, forward.seen.reads[layer])
    if forward.calls[layer] > 1:
        raise InputError(_called_often(forward, len(steps), forward.calls[layer]))
    (step,) = steps
    if len(step.args) != 1 or step.kwargs:
        raise InputError("it is called with more than its input")
    taken, given = shapes[layer]
    behind = group_of(step, forward.owner, len(given))
    group = behind.until(lambda member: not forward.may_drop(member.node))
    if not group.members:
        raise InputError(_nothing_behind(step, forward, taken=bool(behind.members)))
    if not forward.always(group, len(given)):
        raise InputError(f"{type(forward.owner).__name__}'s forward does not do the same behind it in each call")
    formula = group.formula(layer)
    unit = unit_around(layer, group, gates, bypass)
    check_shapes(unit, taken, given)
    check_apart(unit, read)
    keep(unit, read)
    forward.put(step, unit)
    for node in dict.fromkeys(member.node for member in group.members):
        forward.drop(node)
    return formula


def _check_same(difference: float, allowed: float) -> None:
    if difference > allowed:
        raise InputError(
            f"the outputs of the converted model and of the model differ by {difference:.4g} on the batch, more than "
            f"by rounding, {allowed:.4g}: something behind a layer does not always do the same; leave it out with only="
        )


def _called_often(forward: Forward, here: int, calls: int) -> str:
    place = f"one forward of {type(forward.owner).__name__}" if here == calls else "several forwards"
    return f"called {calls} times in {place}"


def _nothing_behind(step: fx.Node, forward: Forward, taken: bool) -> str:
    """Why there is no group; ``taken`` says whether a unit would take what is behind the layer."""
    reading = readers(step)
    if len(reading) != 1:
        return f"{len(reading)} steps read its output"
    (reader,) = reading
    owner = type(forward.owner).__name__
    if reader.op == "output":
        return f"the end of {owner}'s forward is behind it, no norm or activation that a unit takes"
    behind = operation(reader)
    if reader.op == "call_module":
        module = forward.module(reader)
        behind = type(module).__name__
        if reason := _refused(module, forward):
            return f"{reason[0]}{behind} behind it {reason[1]}"
    if taken:
        return f"{behind} is behind it, and {owner}'s forward cannot be rewritten without that step"
    return f"{behind} is behind it, no norm or activation that a unit takes"


def _refused(module: nn.Module, forward: Forward) -> tuple[str, str] | None:
    """The reason for which a norm or an activation stays, in words before and after its name; None where another."""
    if hooked(module):
        return "", "has hooks"
    if names := forward.seen.reads[module]:
        return f"the {', '.join(sorted(names))} of ", "is read besides"
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        if module.running_mean is None:
            return "", "keeps no running statistics, as a unit's does"
        if module.momentum is None:
            return "", "has no momentum, as a unit's has"
    return None


def _check_kinds(gates: str, bypass: str) -> None:
    for what, kind, kinds in (("gates", gates, GATES), ("bypass", bypass, BYPASSES)):
        if kind not in kinds:
            raise InputError(f"unknown {what} {kind!r}; allowed: {', '.join(kinds)}")


def _chosen(model: nn.Module, only: Choice) -> dict[str, nn.Module]:
    """The layers by name, those in units left out."""
    if not (callable(only) or isinstance(only, str)):
        raise InputError(
            f"only is {only!r}, a {type(only).__name__}; allowed: a pattern of names, such as 'layer1.*', or a "
            "function of name and layer"
        )
    layers = {name: module for name, module in model.named_modules() if is_layer(module)}
    outside = set(outside_units(model))
    fits = only if callable(only) else lambda name, layer: fnmatchcase(name, only)
    chosen = {name: layer for name, layer in layers.items() if layer in outside and fits(name, layer)}
    if not chosen:
        raise InputError(
            f"only={only!r} chooses none of the {len(layers)} linear and convolution layers; their names: "
            f"{', '.join(list(layers)[:10]) or 'none'}{', ...' if len(layers) > 10 else ''}"
        )
    return chosen


def _others(model: nn.Module, only: Choice) -> dict[str, str]:
    """Why layers of other kinds stay, by name. A function that chooses is asked for linear and convolution layers
    alone, whose attributes it may read."""
    if not isinstance(only, str):
        return {}
    outside = set(outside_units(model))
    return {
        name: f"{type(module).__name__} is no layer that a unit takes: those are linear and convolution layers"
        for name, module in model.named_modules()
        if module in outside and is_other_layer(module) and fnmatchcase(name, only)
    }


def _not_followed(layer: nn.Module, shapes: Shapes, seen: Seen) -> str:
    if layer in shapes:
        return "no forward that can be looked into calls it"
    if "forward" in seen.reads[layer]:
        return "its forward is called directly, past its hooks"
    return "its input is given by name" if layer in seen.called else "the model does not call it on the batch"
