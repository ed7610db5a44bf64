"""A plain network as data: its layers and, step by step, what is done with them."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any

from mgu.errors import InputError
from mgu.torch.vocabulary import FUNCTIONS, LAYERS, METHODS, OPERATORS, is_name

#: The name of what the network takes.
INPUT = "x"
#: What says how a layer's window moves over positions, in numbers that are not larger.
WINDOW, MOST_WINDOW = ("kernel_size", "stride", "padding", "dilation"), 2**16


@dataclass(frozen=True)
class Layer:
    """A layer of torch.nn: its name there, and its constructor's arguments by name."""

    kind: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Value:
    """An argument that stands for the value of that name."""

    value: str


@dataclass(frozen=True)
class Step:
    """``name = target(*args, **kwargs)``, the target being a layer, operator, function or method by name, as ``op``
    says. Arguments are values, finite numbers, booleans, None, and tuples of them."""

    name: str
    op: str
    target: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def reads(self) -> tuple[str, ...]:
        """The names of the values that it reads, in order, each once."""
        found = (value.value for value in _flat((*self.args, *self.kwargs.values())) if isinstance(value, Value))
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class Network:
    """Layers by name, the steps in order, and the name of the value that is the answer."""

    layers: Mapping[str, Layer]
    steps: tuple[Step, ...]
    output: str

    def to_json(self) -> dict[str, Any]:
        """All of it as plain JSON data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> "Network":
        """Read what ``to_json`` gave. Raises InputError for anything else, and for what is not in the tables."""
        try:
            layers = {name: Layer(layer["kind"], _named(layer["settings"])) for name, layer in data["layers"].items()}
            steps = tuple(
                Step(step["name"], step["op"], step["target"], _value(step["args"]), _named(step["kwargs"]))
                for step in data["steps"]
            )
            return cls(layers, steps, data["output"]).checked()
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(f"this does not describe a network: {type(error).__name__} {error}") from error

    def checked(self) -> "Network":
        """Itself. Raises InputError for names that are none, for what is not in the tables, and for values that do not
        exist yet where they are read."""
        for name, layer in self.layers.items():
            _check_layer(name, layer)
        targets = {"layer": self.layers, "operator": OPERATORS, "function": FUNCTIONS, "method": METHODS}
        known = {INPUT}
        for step in self.steps:
            _check_step(step, targets, known)
            known.add(step.name)
        unread = self.layers.keys() - {step.target for step in self.steps if step.op == "layer"}
        _require(not unread, f"no step calls {', '.join(sorted(unread))}")
        _require(self.output in known, f"the output {self.output!r} is none of the values")
        return self


def _check_layer(name: str, layer: Layer) -> None:
    _require(is_name(name), f"{name!r} cannot name a layer")
    _require(layer.kind in LAYERS, f"unknown layer {layer.kind!r}; allowed: {', '.join(LAYERS)}")
    _require(
        set(layer.settings) == set(LAYERS[layer.kind]),
        f"{name}: {layer.kind} has the settings {', '.join(LAYERS[layer.kind])}; {', '.join(layer.settings)} arrived",
    )
    for setting in _flat(tuple(layer.settings.values())):
        plain = isinstance(setting, str) or _is_constant(setting)
        _require(plain, f"{name}: {setting!r} is no setting; finite numbers, words, booleans and None are")
    for setting in WINDOW:
        value = layer.settings.get(setting)
        fits = all(isinstance(n, str | None) or abs(n) <= MOST_WINDOW for n in _flat(value))
        _require(fits, f"{name}: its {setting} is {str(value)[:40]}; at most {MOST_WINDOW:,} is allowed")


def _check_step(step: Step, targets: Mapping[str, Collection[str]], known: Collection[str]) -> None:
    _require(is_name(step.name) and step.name not in known, f"{step.name!r} cannot name a value here")
    _require(step.op in targets, f"unknown kind of step {step.op!r}; allowed: {', '.join(targets)}")
    allowed = targets[step.op]
    _require(step.target in allowed, f"unknown {step.op} {step.target!r}; allowed: {', '.join(sorted(allowed))}")
    _require(isinstance(step.args, tuple) and step.args, f"{step.name}: its arguments are {step.args!r}")
    _require(all(is_name(key) for key in step.kwargs), f"{step.name}: {list(step.kwargs)} are no keywords")
    for argument in _flat((*step.args, *step.kwargs.values())):
        plain = isinstance(argument, Value) or _is_constant(argument)
        _require(plain, f"{step.name}: {argument!r} is no argument; finite numbers, booleans, None and values are")
    missing = [name for name in step.reads() if name not in known]
    _require(not missing, f"{step.name} reads {missing}, not there yet")


def _named(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _value(item) for name, item in data.items()}


def _value(data: Any) -> Any:
    """JSON's lists as tuples, and {"value": name} as a Value."""
    if isinstance(data, list | tuple):
        return tuple(_value(item) for item in data)
    return Value(data["value"]) if isinstance(data, dict) else data


def _flat(argument: Any) -> Iterator[Any]:
    if isinstance(argument, tuple):
        for item in argument:
            yield from _flat(item)
    else:
        yield argument


def _is_constant(argument: object) -> bool:
    return argument is None or isinstance(argument, int) or (isinstance(argument, float) and isfinite(argument))


def _require(condition: object, message: str) -> None:
    if not condition:
        raise InputError(message)
