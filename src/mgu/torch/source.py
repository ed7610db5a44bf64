"""From a network as data to readable Python source that needs torch and safetensors only."""

import inspect
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from torch import nn

from mgu.torch.plain import INPUT, Layer, Network, Step, Value
from mgu.torch.vocabulary import LAYERS, OPERATORS

_TEMPLATE = '''"""A plain PyTorch network; mgu wrote this file, and it needs only torch and safetensors.

    from model import load

    network = load()  # in evaluation mode, with the weights beside this file
    outputs = network(x)  # x of shape (batch, *INPUT_SHAPE) and of type torch.{dtype}
"""

import hashlib
from pathlib import Path

{imports}
INPUT_SHAPE = {input_shape}
CLASSES = {classes}
WEIGHTS = {weights}
SHA256 = {sha256}


class Network(nn.Module):
    def __init__(self):
        super().__init__()
{layers}

    def forward(self, {input}):
{steps}


def load(folder=Path(__file__).parent):
    """The network with the weights in the folder; raises ValueError where they are not those written with this file."""
    weights = (Path(folder) / WEIGHTS).read_bytes()
    if hashlib.sha256(weights).hexdigest() != SHA256:
        raise ValueError(f"{{Path(folder) / WEIGHTS}} does not hold the weights that were written with this file")
    network = Network()
    network.load_state_dict(safetensors.torch.load(weights), strict=True, assign=True)
    return network.eval()
'''


def source(
    network: Network,
    *,
    input_shape: Sequence[int],
    dtype: str,
    classes: Sequence[Any] | None,
    weights: str,
    sha256: str,
) -> str:
    """Python source that defines the network as a class ``Network`` and ``load(folder)``, which reads its weights.

    All that is not a name of ``mgu.torch.vocabulary`` is written as a literal, so that no text in it can be code.
    """
    imports = ["import safetensors.torch"]
    if any(step.target.startswith("torch.") for step in network.steps if step.op == "function"):
        imports.append("import torch")
    return _TEMPLATE.format(
        dtype=dtype,
        imports="\n".join([*imports, "from torch import nn", ""]),
        input_shape=repr(tuple(input_shape)),
        classes=repr(None if classes is None else tuple(classes)),
        weights=repr(weights),
        sha256=repr(sha256),
        layers=_indented(f"self.{name} = {_constructor(layer)}" for name, layer in network.layers.items()),
        input=INPUT,
        steps=_indented(_forward(network)),
    )


def _indented(lines: Iterator[str]) -> str:
    return "\n".join(f"        {line}" for line in lines)


def _constructor(layer: Layer) -> str:
    """The call that makes the layer; what a constructor does by itself is not written."""
    parameters = inspect.signature(getattr(nn, layer.kind)).parameters
    arguments = []
    for name in LAYERS[layer.kind]:
        value, default = layer.settings[name], parameters[name].default
        if default is inspect.Parameter.empty:
            arguments.append(repr(value) if name != "kernel_size" else f"{name}={value!r}")
        elif value != default and value != (default,) * len(value if isinstance(value, tuple) else ()):
            arguments.append(f"{name}={value!r}")
    return f"nn.{layer.kind}({', '.join(arguments)})"


def _forward(network: Network) -> Iterator[str]:
    """The steps line by line."""
    variables = _variables(network)
    for step in network.steps:
        written = [_written(argument, variables) for argument in step.args]
        written += [f"{key}={_written(argument, variables)}" for key, argument in step.kwargs.items()]
        yield f"{variables[step.name]} = {_call(step, written)}"
    yield f"return {variables[network.output]}"


def _variables(network: Network) -> dict[str, str]:
    """The variable of each value, by the value's name. An only reader takes the variable over; where values come
    together, the answer is ``x`` again if nobody reads what is in ``x`` any more."""
    readers = Counter([*(name for step in network.steps for name in step.reads()), network.output])
    left, held = readers.copy(), INPUT
    variables = {INPUT: INPUT}
    for step in network.steps:
        read = step.reads()
        left.subtract(read)
        if len(read) == 1 and readers[read[0]] == 1:
            variables[step.name] = variables[read[0]]
        else:
            variables[step.name] = INPUT if len(read) > 1 and left[held] == 0 else step.name
        held = step.name if variables[step.name] == INPUT else held
    return variables


def _call(step: Step, written: list[str]) -> str:
    if step.op == "operator":
        return OPERATORS[step.target][1].format(*written)
    if step.op == "method":
        return f"{written[0]}.{step.target}({', '.join(written[1:])})"
    return f"{'self.' if step.op == 'layer' else ''}{step.target}({', '.join(written)})"


def _written(argument: Any, variables: dict[str, str]) -> str:
    if isinstance(argument, Value):
        return variables[argument.value]
    if isinstance(argument, tuple):
        items = [_written(item, variables) for item in argument]
        return f"({', '.join(items)}{',' if len(items) == 1 else ''})"
    return repr(argument)
