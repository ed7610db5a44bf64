"""From a network as data to a module: only what the tables hold is built, and weights must fit exactly."""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from mgu.errors import InputError
from mgu.torch.graph import PlainModule
from mgu.torch.plain import INPUT, Layer, Network, Value
from mgu.torch.trying import tried
from mgu.torch.vocabulary import DTYPES, FUNCTIONS, OPERATORS

#: By how much two ways to run one network may differ, relative to the largest absolute value that it gives.
TOLERANCE = 1e-5


def build(network: Network, weights: Mapping[str, Tensor], input_shape: tuple[int, ...]) -> fx.GraphModule:
    """The network as a module in evaluation mode, with these weights by name, such as ``layer_1_linear.weight``.

    It is first run without memory for its weights or for its inputs of (2, *input_shape). Raises InputError for
    settings that a layer does not take, for layers that do not fit one another or the input, and for weights that are
    missing, left over, of another shape, or of several number formats.
    """
    module = _tried(network, dtype_of(weights), input_shape)
    attempt("the weights are others", module.load_state_dict, dict(weights), strict=True, assign=True)
    return module


def weights_size(network: Network, dtype: str, input_shape: tuple[int, ...]) -> int:
    """How many bytes the weights of a network take in a format of ``DTYPES``, by its name. Raises InputError as
    ``build`` does, and for another name."""
    if dtype not in tuple(DTYPES):  # it may be of any kind
        raise InputError(f"its weights are {str(dtype)[:40]!r}; one of {', '.join(DTYPES)} is needed")
    return sum(weight.nbytes for weight in _tried(network, DTYPES[dtype], input_shape).state_dict().values())


def as_shape(input_shape: Sequence[int]) -> tuple[int, ...]:
    """An input shape without the batch. Raises InputError for what is not whole numbers above 0."""
    try:
        shape = tuple(operator.index(length) for length in input_shape)
        if min(shape, default=1) > 0:
            return shape
    except TypeError:
        pass
    raise InputError(f"an input shape is (channels, *positions) in whole numbers above 0; {input_shape!r} arrived")


def dtype_of(weights: Mapping[str, Tensor]) -> torch.dtype:
    """The one number format of the weights; integers are counters. Raises InputError where there are several."""
    found = {weight.dtype for weight in weights.values() if weight.dtype != torch.int64} or {torch.float32}
    if len(found) > 1 or not found <= set(DTYPES.values()):
        raise InputError(f"the weights are {', '.join(sorted(map(str, found)))}; one of {', '.join(DTYPES)} is needed")
    return found.pop()


def agree(what: str, answer: Tensor, expected: Tensor) -> None:
    """Raise InputError where two outputs differ by more than ``TOLERANCE`` times the largest expected one."""
    difference = (answer.double() - expected.double()).abs().max().item()
    largest = expected.double().abs().max().item()
    if not difference <= TOLERANCE * largest:
        raise InputError(
            f"{what} differs from the network by {difference:.3g}, where its outputs are up to {largest:.3g}; "
            f"{TOLERANCE:g} of that is allowed"
        )


def check_classes(classes: object, answer: Tensor) -> None:
    """Raise InputError for class labels that are not one word or number for each output of (batch, outputs)."""
    labels = isinstance(classes, list | tuple) and all(isinstance(label, str | int | float) for label in classes)
    if not labels or answer.shape[1:] != (len(classes),):  # type: ignore[arg-type]
        raise InputError(
            f"the network gives (batch, {', '.join(map(str, answer.shape[1:]))}); the classes are {classes!r}"
        )


def attempt(what: str, action: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What the action returns, without gradients; whatever torch raises becomes an InputError."""
    try:
        with torch.no_grad():
            return action(*args, **kwargs)
    except Exception as error:
        raise InputError(f"{what}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    """What an error says first; torch has a stack of calls behind it, and fx the network's code."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return " ".join(lines[: 2 if lines[0].endswith(":") else 1])[:500]


def _tried(network: Network, dtype: torch.dtype, input_shape: tuple[int, ...]) -> fx.GraphModule:
    """The network without memory for its weights, once two samples have gone through."""
    with torch.device("meta"):
        module: fx.GraphModule = attempt("the network cannot be built", _module, network, dtype)
        x = attempt("the input shape", torch.empty, (2, *input_shape), dtype=dtype)
        attempt("the network does not run", tried, module, x)
    return module


def _module(network: Network, dtype: torch.dtype) -> fx.GraphModule:
    layers = {name: _made(name, layer).to(dtype) for name, layer in network.layers.items()}
    return PlainModule(layers, _graph(network), class_name="PlainNetwork").eval()


def _made(name: str, layer: Layer) -> nn.Module:
    module: nn.Module = attempt(f"{name} cannot be made", getattr(nn, layer.kind), **layer.settings)
    return module


def _graph(network: Network) -> fx.Graph:
    graph = fx.Graph()
    values = {INPUT: graph.placeholder(INPUT)}
    for step in network.steps:
        args, kwargs = _resolved(step.args, values), _resolved(step.kwargs, values)
        values[step.name] = _OPS[step.op](graph, step.target)(args, kwargs)
    graph.output(values[network.output])
    return graph


#: How a step of each kind becomes a node of a graph.
_OPS: Mapping[str, Callable[[fx.Graph, str], Callable[..., fx.Node]]] = {
    "layer": lambda graph, name: lambda args, kwargs: graph.call_module(name, args, kwargs),
    "operator": lambda graph, name: lambda args, kwargs: graph.call_function(OPERATORS[name][0], args, kwargs),
    "function": lambda graph, name: lambda args, kwargs: graph.call_function(FUNCTIONS[name], args, kwargs),
    "method": lambda graph, name: lambda args, kwargs: graph.call_method(name, args, kwargs),
}


def _resolved(argument: Any, values: Mapping[str, fx.Node]) -> Any:
    if isinstance(argument, Value):
        return values[argument.value]
    if isinstance(argument, tuple):
        return tuple(_resolved(item, values) for item in argument)
    if isinstance(argument, dict):
        return {key: _resolved(item, values) for key, item in argument.items()}
    return argument
