"""From a module to a network as data and its weights, by following one value through its forward."""

import copy
from collections.abc import Mapping
from typing import Any

from torch import Tensor, fx, nn

from mgu.errors import InputError
from mgu.torch.explain import evaluating
from mgu.torch.plain import INPUT, Layer, Network, Step, Value
from mgu.torch.vocabulary import FUNCTIONS, LAYERS, OPERATORS, as_name, is_layer, settings

_OPERATOR_NAMES = {function: name for name, (function, _) in OPERATORS.items()}
_FUNCTION_NAMES = {function: name for name, function in FUNCTIONS.items()}


class _LayerTracer(fx.Tracer):
    """Looks into modules of one's own, but not into torch's layers or mgu's."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return super().is_leaf_module(m, module_qualified_name) or type(m).__module__.startswith("mgu.")


def trace(model: nn.Module) -> tuple[Network, dict[str, Tensor]]:
    """The model as a network of torch's layers in a row, and its weights on the CPU by their names in it.

    The model takes one tensor and gives one; in evaluation mode, what it does must not depend on the numbers in it.
    Raises InputError for a layer, function or argument that is not in the tables of ``mgu.torch.vocabulary``.
    """
    tracer = _LayerTracer()
    model = nn.Sequential(model) if tracer.is_leaf_module(model, "") else model
    with evaluating(model):
        graph = _traced(tracer, model)
    modules = dict(model.named_modules())
    taken, taken_values = set[str](), {INPUT}
    layers: dict[str, str] = {}
    values: dict[fx.Node, Value] = {}
    steps: list[Step] = []
    for node in graph.nodes:
        if node.op == "placeholder":
            _need_one_input(values, node)
            values[node] = Value(INPUT)
        elif node.op == "output":
            output = node.args[0]
        else:
            if node.op == "call_module" and node.target not in layers:
                _need_layer(node.target, modules[node.target])
                layers[node.target] = as_name(_path(node.target), taken)
            op, target, args = _step(node, layers)
            name = as_name(layers[node.target] if op == "layer" else node.name, taken_values)
            kwargs = {key: _argument(value, values) for key, value in node.kwargs.items()}
            steps.append(Step(name, op, target, _argument(args, values), kwargs))
            values[node] = Value(name)
    if not isinstance(output, fx.Node):
        raise InputError("a network that gives one tensor can be saved; this one gives several, or a number")
    made = {name: Layer(type(modules[path]).__name__, settings(modules[path])) for path, name in layers.items()}
    weights = {
        f"{name}.{key}": weight.detach().cpu().contiguous().clone()
        for path, name in layers.items()
        for key, weight in modules[path].state_dict().items()
    }
    return Network(made, tuple(steps), values[output].value).checked(), weights


def _traced(tracer: fx.Tracer, model: nn.Module) -> fx.Graph:
    try:
        graph = tracer.trace(model)
    except Exception as error:  # torch's own and whatever a forward of one's own raises for a stand-in
        raise InputError(
            f"{type(model).__name__} cannot be followed layer by layer: {error}. Write its forward without conditions "
            "on what arrives"
        ) from error
    graph.eliminate_dead_code(is_impure_node=lambda node: node.op in ("placeholder", "output"))
    return graph


def _path(target: str) -> str:
    """A name for the layer at a path: "0.linear" is layer_0_linear."""
    return f"layer_{target}" if target[0].isdigit() else target


def _step(node: fx.Node, layers: Mapping[str, str]) -> tuple[str, str, tuple[Any, ...]]:
    """What a node does, as the kind of a step, its target and its arguments."""
    target, args = node.target, tuple(node.args)
    if node.op == "call_module":
        return "layer", layers[str(target)], args
    if node.op == "call_method":
        return "method", str(target), args
    if target is getattr and args[1] == "shape":
        return "method", "size", args[:1]
    for op, names in (("operator", _OPERATOR_NAMES), ("function", _FUNCTION_NAMES)):
        if node.op == "call_function" and target in names:
            return op, names[target], args
    raise InputError(
        f"{node.name} is {getattr(target, '__name__', target)}, which cannot be saved; allowed: torch.nn's layers, "
        f"{', '.join((*OPERATORS, *FUNCTIONS))}"
    )


def _argument(argument: Any, values: Mapping[fx.Node, Value]) -> Any:
    if isinstance(argument, tuple | list):
        return tuple(_argument(item, values) for item in argument)
    return values[argument] if isinstance(argument, fx.Node) else argument


def _need_layer(path: str, module: nn.Module) -> None:
    if not is_layer(module):
        raise InputError(
            f"{path!r} is a {type(module).__name__}, which cannot be saved; harden the network first, or write the "
            f"layer with these: {', '.join(LAYERS)}"
        )
    if module._forward_hooks or module._forward_pre_hooks:
        raise InputError(f"{path!r} has hooks, which cannot be saved; remove them")


def _need_one_input(values: Mapping[fx.Node, Value], node: fx.Node) -> None:
    if values:
        raise InputError(f"a network that takes one tensor can be saved; this one takes {node.name} besides")


def on_cpu(model: nn.Module) -> nn.Module:
    """A copy of the model on the CPU in evaluation mode."""
    return copy.deepcopy(model).cpu().eval()
