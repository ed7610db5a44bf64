"""The groups of layer, norm and activation in a forward's graph."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any, Self

from torch import Tensor, fx, nn

from mgu.torch.adopt import FUNCTIONS, adopted_norm, adopted_pair, fresh_activation, is_activation
from mgu.torch.explain import evaluating
from mgu.torch.fused import hooked
from mgu.torch.layers import ConvNd
from mgu.torch.norms import BatchNorm, LayerNorm

#: What reads no more than a value's shape, which a unit keeps.
_SHAPES = ("size", "dim", "getattr")


@dataclass(frozen=True)
class Member:
    """A norm or an activation of a group: its step in the graph, and what it is in the unit."""

    node: fx.Node
    module: nn.Module

    @property
    def is_norm(self) -> bool:
        return isinstance(self.module, BatchNorm | LayerNorm)


@dataclass(frozen=True)
class Group:
    """A layer's step in a graph and what directly follows it, in order: at most one norm and one activation."""

    layer: fx.Node
    members: tuple[Member, ...]

    @property
    def norm(self) -> nn.Module | None:
        return next((member.module for member in self.members if member.is_norm), None)

    @property
    def activation(self) -> nn.Module:
        return next((member.module for member in self.members if not member.is_norm), nn.Identity())

    @property
    def order(self) -> str:
        """The norm of the plain cell that the group is, by its name in ``mgu.wiring.NORMS``."""
        if self.norm is None:
            return "no_norm"
        if isinstance(self.norm, LayerNorm):
            return "ln"
        return "bn_pre" if self.members[0].is_norm else "bn_post"

    @property
    def norm_first(self) -> bool:
        return len(self.members) == 2 and self.members[0].is_norm

    def until(self, ends: Callable[[Member], bool]) -> Self:
        """The group without its first member of which ``ends`` holds, and what is behind that."""
        return replace(self, members=tuple(takewhile(lambda member: not ends(member), self.members)))

    def is_in(self, graph: fx.Graph, owner: nn.Module, rank: int) -> bool:
        """Whether another graph of the owner's calls has the group's modules as it has them, or none of them."""
        names = [self.layer.target, *dict.fromkeys(member.node.target for member in self.members)]
        steps = [node for node in graph.find_nodes(op="call_module") if node.target in names]
        if not steps:
            return True
        if sorted(names, key=str) != sorted((step.target for step in steps), key=str):
            return False
        (layer,) = [step for step in steps if step.target == self.layer.target]
        if len(layer.args) != 1 or layer.kwargs:
            return False
        there = group_of(layer, owner, rank).members[: len(self.members)]
        return [member.node.target for member in there] == [member.node.target for member in self.members]

    def formula(self, layer: nn.Module) -> str:
        """The group in words, such as ReLU(BN(Conv2d))."""
        words = type(layer).__name__
        for member in self.members:
            name = {BatchNorm: "BN", LayerNorm: "LN"}.get(type(member.module), type(member.module).__name__)
            words = f"{name}({words})"
        return words


def is_layer(module: nn.Module) -> bool:
    """Whether a unit may be made of the layer."""
    return isinstance(module, nn.Linear | ConvNd) and not getattr(module, "transposed", False)


def is_other_layer(module: nn.Module) -> bool:
    """Whether it is a layer of torch's that a unit cannot be made of: transposed, recurrent, bilinear or attention."""
    others = nn.RNNBase | nn.RNNCellBase | nn.Bilinear | nn.MultiheadAttention
    return isinstance(module, others) or (isinstance(module, ConvNd) and not is_layer(module))


def layer_steps(graph: fx.Graph, owner: nn.Module) -> list[tuple[nn.Module, list[fx.Node]]]:
    """Each layer that is called, in order, with the steps that call it."""
    steps: dict[nn.Module, list[fx.Node]] = {}
    for node in graph.nodes:
        if node.op == "call_module" and is_layer(layer := owner.get_submodule(node.target)):
            steps.setdefault(layer, []).append(node)
    return list(steps.items())


def group_of(layer: fx.Node, owner: nn.Module, rank: int) -> Group:
    """What follows the layer, whose outputs have ``rank`` axes; without members where nothing does that a unit has."""
    module: Any = owner.get_submodule(str(layer.target))
    own_axis = -1 if isinstance(module, nn.Linear) else 1
    with evaluating(module):  # in training, reading some weights, such as spectral norm's, changes them
        weight = module.weight
    members: list[Member] = []
    for node, axis in _behind(layer, owner, own_axis, rank):
        if node.op == "call_module" and hooked(owner.get_submodule(str(node.target))):
            break  # whoever listens to it would hear no more
        found = _activation(node, owner) or _norm(node, owner, weight, axis, rank, own_axis)
        kinds = [member.is_norm for member in (*members, *found)]
        if not found or len(kinds) > len(set(kinds)):
            break
        members += found
    return Group(layer, tuple(members))


def readers(node: fx.Node) -> list[fx.Node]:
    """The steps that read what a step gives, those that read its shape alone left out."""
    return [user for user in node.users if operation(user) not in _SHAPES]


def operation(node: fx.Node) -> str:
    """The name of the function or method of a step; that of the place of a module, or of the output."""
    return str(getattr(node.target, "__name__", node.target))


def _behind(layer: fx.Node, owner: nn.Module, axis: int, rank: int) -> Iterator[tuple[fx.Node, int]]:
    """The steps behind the layer as long as each is the only reader of what is before it, and the channels' axis there.

    Identities are passed over, and so is moving the channels to the last axis and back."""
    node = layer
    while len(following := readers(node)) == 1 and following[0].args and following[0].args[0] is node:
        (node,) = following
        moved = _moved(node, axis, rank)
        if moved is not None:
            axis = moved
        elif not (node.op == "call_module" and type(owner.get_submodule(str(node.target))) is nn.Identity):
            yield node, axis


def _moved(node: fx.Node, axis: int, rank: int) -> int | None:
    """The axis of the channels behind a step that does no more than to move them, else None."""
    arguments: tuple[Any, ...] = node.args[1:]
    if operation(node) == "permute":
        dims = tuple(arguments[0] if isinstance(arguments[0], tuple | list) else arguments) if arguments else ()
        moves = {1: (0, *range(2, rank), 1), -1: (0, rank - 1, *range(1, rank - 1))}
    elif operation(node) == "movedim":
        dims, moves = arguments, {1: (1, -1), -1: (-1, 1)}
    else:
        return None
    return -axis if dims == moves[axis] else None


def _norm(node: fx.Node, owner: nn.Module, weight: Tensor, axis: int, rank: int, own_axis: int) -> list[Member]:
    """The norm that the step is, with the activation behind it where that is in it, else nothing."""
    if node.op != "call_module" or len(node.args) != 1 or node.kwargs:
        return []
    module = owner.get_submodule(str(node.target))
    norm = adopted_norm(module, weight, axis, rank, own_axis)
    pair = [norm] if norm is not None else adopted_pair(module, weight, axis, rank, own_axis) or []
    return [Member(node, part) for part in pair]


def _activation(node: fx.Node, owner: nn.Module) -> list[Member]:
    """The activation that the step is, else nothing."""
    if node.op == "call_module" and len(node.args) == 1 and not node.kwargs:
        module = owner.get_submodule(str(node.target))
        return [Member(node, fresh_activation(module))] if is_activation(module) else []
    if node.op == "call_module" or operation(node) not in FUNCTIONS:
        return []
    settings: Mapping[str, Any] = node.kwargs
    return [Member(node, fresh_activation(FUNCTIONS[operation(node)](*node.args[1:], **settings)))]
