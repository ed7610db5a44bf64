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
    names = _layer_names(graph, modules)
    values = _values(graph, names)
    steps = tuple(_step(node, names, values) for node in graph.nodes if node.op not in ("placeholder", "output"))
    layers = {name: Layer(type(modules[path]).__name__, settings(modules[path])) for path, name in names.items()}
    weights = {
        f"{name}.{key}": weight.detach().cpu().contiguous().clone()
        for path, name in names.items()
        for key, weight in modules[path].state_dict().items()
    }
    return Network(layers, steps, _output(graph, values)).checked(), weights


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


def _layer_names(graph: fx.Graph, modules: Mapping[str, nn.Module]) -> dict[str, str]:
    """A name for each layer that is called, by its path in the model: "0.linear" is layer_0_linear."""
    taken = set[str]()
    names = {}
    for path in dict.fromkeys(str(node.target) for node in graph.nodes if node.op == "call_module"):
        _need_layer(path, modules[path])
        names[path] = as_name(f"layer_{path}" if path[0].isdigit() else path, taken)
    return names


def _values(graph: fx.Graph, names: Mapping[str, str]) -> dict[fx.Node, Value]:
    """A name for the value of each node: x for the input, a layer's name for what it gives."""
    first, *others = graph.nodes
    if first.op != "placeholder" or any(node.op == "placeholder" for node in others):
        raise InputError("a network that takes one tensor can be saved; this one takes none, or several")
    taken = {INPUT}
    values = {first: Value(INPUT)}
    for node in others:
        values[node] = Value(as_name(names.get(str(node.target), node.name), taken))
    return values


def _output(graph: fx.Graph, values: Mapping[fx.Node, Value]) -> str:
    (answer,) = graph.output_node().args
    if not isinstance(answer, fx.Node):
        raise InputError("a network that gives one tensor can be saved; this one gives several, or a number")
    return values[answer].value


def _step(node: fx.Node, names: Mapping[str, str], values: Mapping[fx.Node, Value]) -> Step:
    op, target = _target(node, names)
    args = node.args[:1] if node.target is getattr else node.args
    kwargs = {key: _argument(value, values) for key, value in node.kwargs.items()}
    return Step(values[node].value, op, target, _argument(args, values), kwargs)


def _target(node: fx.Node, names: Mapping[str, str]) -> tuple[str, str]:
    """What a node does, as the kind of a step and its target."""
    target: Any = node.target
    if node.op == "call_module":
        return "layer", names[target]
    if node.op == "call_method":
        return "method", target
    if target is getattr and node.args[1] == "shape":
        return "method", "size"
    if node.op == "call_function" and target in _OPERATOR_NAMES:
        return "operator", _OPERATOR_NAMES[target]
    if node.op == "call_function" and target in _FUNCTION_NAMES:
        return "function", _FUNCTION_NAMES[target]
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


def on_cpu(model: nn.Module) -> nn.Module:
    """A copy of the model on the CPU in evaluation mode."""
    return copy.deepcopy(model).cpu().eval()
