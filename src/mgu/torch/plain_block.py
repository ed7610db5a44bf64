"""A unit whose gates are all decided, written as a graph of torch's own layers."""

import copy
import operator
from collections.abc import Callable, Mapping

from torch import fx, nn

from mgu.errors import InputError
from mgu.torch.graph import PlainModule, keep, kept
from mgu.torch.norms import BatchNorm, LayerNorm
from mgu.torch.processors import GroupNorm, InstanceNorm, RMSNorm, SqueezeExcite
from mgu.torch.unit import MultiGatedUnit
from mgu.wiring import Op, evaluate


def plain_block(unit: MultiGatedUnit, rank: int) -> fx.GraphModule:
    """The unit's chain, which has no gate left, as a graph of torch's own layers for inputs of ``rank`` axes."""
    graph, root = fx.Graph(), nn.Module()

    def apply(op: Op, *inputs: fx.Node) -> fx.Node:
        module = unit.operations[op.name]
        if op.kind == "add":
            return graph.call_function(operator.add, inputs)
        return _EMIT.get(type(module), _call)(graph, root, op.name, module, rank, inputs[0])

    graph.output(evaluate(unit.chain, graph.placeholder("x"), apply, _undecided))
    block = PlainModule(root, graph, class_name="PlainUnit").train(unit.training)
    keep(block, kept(unit))
    return block


def _undecided(gate: object, opened: fx.Node, closed: fx.Node) -> fx.Node:
    raise InputError(f"{gate} is not decided; only a chain without gates is a plain block")


def _call(graph: fx.Graph, root: nn.Module, name: str, module: nn.Module, rank: int, x: fx.Node) -> fx.Node:
    root.add_module(name, copy.deepcopy(module))
    return graph.call_module(name, (x,))


def _sequential(graph: fx.Graph, root: nn.Module, name: str, module: nn.Module, rank: int, x: fx.Node) -> fx.Node:
    for i, step in enumerate(module.children()):
        x = _EMIT.get(type(step), _call)(graph, root, f"{name}_{i}", step, rank, x)
    return x


def _batch_norm(graph: fx.Graph, root: nn.Module, name: str, module: BatchNorm, rank: int, x: fx.Node) -> fx.Node:
    flat = module.channel_axis == -1
    kind = (
        nn.BatchNorm1d if flat else {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}[rank]
    )
    norm = kind(module.num_features, module.eps, module.momentum).to(module.weight)
    norm.load_state_dict(module.state_dict())
    if not flat or rank == 2:
        return _call(graph, root, name, norm, rank, x)
    rows = graph.call_method("flatten", (x, 0, -2))
    normed = _call(graph, root, name, norm, rank, rows)
    return graph.call_method("reshape", (normed, graph.call_method("size", (x,))))


def _last_axis_norm(
    graph: fx.Graph, root: nn.Module, name: str, module: LayerNorm | RMSNorm, rank: int, x: fx.Node
) -> fx.Node:
    kind = nn.LayerNorm if isinstance(module, LayerNorm) else nn.RMSNorm
    norm = kind(module.channels, module.eps).to(module.weight)
    norm.load_state_dict(module.state_dict())
    if module.channel_axis == -1:
        return _call(graph, root, name, norm, rank, x)
    normed = _call(graph, root, name, norm, rank, graph.call_method("movedim", (x, 1, -1)))
    return graph.call_method("movedim", (normed, -1, 1))


def _group_norm(graph: fx.Graph, root: nn.Module, name: str, module: GroupNorm, rank: int, x: fx.Node) -> fx.Node:
    norm = nn.GroupNorm(module.groups, module.channels, module.eps).to(module.weight)
    norm.load_state_dict(module.state_dict())
    if module.channel_axis == 1:
        return _call(graph, root, name, norm, rank, x)
    normed = _call(graph, root, name, norm, rank, graph.call_method("movedim", (x, -1, 1)))
    return graph.call_method("movedim", (normed, 1, -1))


def _squeeze_excite(
    graph: fx.Graph, root: nn.Module, name: str, module: SqueezeExcite, rank: int, x: fx.Node
) -> fx.Node:
    positions = range(2, rank) if module.channel_axis == 1 else range(1, rank - 1)
    value = graph.call_method("mean", (x, tuple(positions))) if positions else x
    steps = (("squeeze", module.squeeze), ("relu", nn.ReLU()), ("excite", module.excite), ("sigmoid", nn.Sigmoid()))
    for step, layer in steps:
        value = _call(graph, root, f"{name}_{step}", layer, rank, value)
    for axis in positions:
        value = graph.call_method("unsqueeze", (value, axis))
    return graph.call_function(operator.mul, (x, value))


#: How the operations that are not torch's own layers already are written with them.
_EMIT: Mapping[type[nn.Module], Callable[..., fx.Node]] = {
    BatchNorm: _batch_norm,
    LayerNorm: _last_axis_norm,
    RMSNorm: _last_axis_norm,
    GroupNorm: _group_norm,
    InstanceNorm: _group_norm,
    SqueezeExcite: _squeeze_excite,
    nn.Sequential: _sequential,
}
