"""The self-diagnosis of a Keras network: what the gates of its units do on a sample of inputs."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from keras import layers, ops

from mgu.diagnosis import SATURATED_WITHIN, Diagnosis, GateReport, UnitReport
from mgu.errors import InputError
from mgu.hardening import on_each_side
from mgu.keras.gates import ChannelGates
from mgu.keras.samples import Array, Loss, as_array, loss_of, mean_loss, sample_of
from mgu.keras.unit import MultiGatedUnit
from mgu.wiring import Gate, gates

#: What is told of a unit that is called: its name, the shape of its input, and its gates' logits.
Heard: TypeAlias = Callable[[str, tuple[int, ...], Mapping[str, Any]], None]

BINS = 20


def explain(model: layers.Layer, batches: Iterable[Any], loss: Loss | None = None) -> Diagnosis:
    """Run the model on the batches in evaluation mode and report each gate of each MultiGatedUnit in it.

    Each batch is x, or a tuple of x and labels, which for a network of several inputs is ([a, b], labels or None). With
    labels, each gate is also switched to one side for good, one gate at a time, and the model's mean
    ``loss(labels, outputs)`` is reported: a gate's size alone does not say what it matters. Without a ``loss`` it is
    the one that the model was compiled with. Operations run one by one, whatever the model was compiled to. The model
    is as before afterwards.

    Raises InputError where the model has no unit, where there is no batch, and for labels without a loss.

    Source: paper, section 6.2.
    """
    samples = [sample_of(batch) for batch in batches]
    found = units(model)
    if not found:
        raise InputError(f"{type(model).__name__} has no MultiGatedUnit to explain")
    if not samples:
        raise InputError("no batch was given to explain the network on; give at least one")
    values, shapes = _gate_values(model, found, [x for x, _ in samples])
    measured = loss_of(model, loss) if all(labels is not None for _, labels in samples) else None

    def measure() -> float | None:
        return mean_loss(model, samples, measured) if measured else None

    reports = []
    for name, unit in found.items():
        own = tuple(
            _report(gate, values[name][gate.name], *on_each_side(unit, gate, measure)) for gate in gates(unit.chain)
        )
        reports.append(UnitReport(name, shapes[name], own, unit.chain))
    return Diagnosis(tuple(reports), measure())


def gate_means(model: layers.Layer, x: Any) -> dict[str, dict[str, float]]:
    """The mean of each gate's values on inputs x (samples, ...) in evaluation mode, by unit and gate.

    It costs at most one forward pass, and none where no gate depends on the input. The model is as before afterwards.
    """
    means: dict[str, dict[str, float]] = {}

    def heard(name: str, shape: tuple[int, ...], logits: Mapping[str, Any]) -> None:
        means[name] = {gate: float(_values(value).mean()) for gate, value in logits.items()}

    found = units(model)
    if all(unit.built and isinstance(unit.gates, ChannelGates) for unit in found.values()):
        for name, unit in found.items():
            heard(name, (), unit.gate_logits(x))
    else:
        with _listening(found, heard):
            model(x, training=False)
    return means


def units(model: layers.Layer) -> dict[str, MultiGatedUnit]:
    """The units in a layer or model by their names, those of the models that they are in before them: "stem.first".

    Raises InputError where two units have the same name.
    """
    found: dict[str, MultiGatedUnit] = {}
    for name, unit in _named_units(model, ""):
        if unit in found.values():  # it is in two models
            continue
        if name in found:
            raise InputError(f"two units are named {name!r}; give each a name of its own")
        found[name] = unit
    return found


def _named_units(layer: layers.Layer, path: str) -> Iterator[tuple[str, MultiGatedUnit]]:
    if isinstance(layer, MultiGatedUnit):
        yield path.removesuffix("."), layer
        return
    for inner in layer._flatten_layers(include_self=False, recursive=False):
        yield from _named_units(inner, f"{path}{inner.name}.")


@contextmanager
def _listening(found: Mapping[str, MultiGatedUnit], heard: Heard) -> Iterator[None]:
    """Have ``heard`` told of each call of the units."""
    for name, unit in found.items():
        unit.gate_logits = partial(_told, unit.gate_logits, partial(heard, name))  # type: ignore[method-assign]
    try:
        yield
    finally:
        for unit in found.values():
            del unit.gate_logits


def _told(gate_logits: Callable[..., dict[str, Any]], heard: Callable[..., None], x: Any, *rest: Any) -> dict[str, Any]:
    logits = gate_logits(x, *rest)
    heard(tuple(x.shape), logits)
    return logits


def _gate_values(
    model: layers.Layer, found: Mapping[str, MultiGatedUnit], inputs: Iterable[Any]
) -> tuple[dict[str, dict[str, Array]], dict[str, tuple[int, ...]]]:
    """Every value of every gate, flat, by unit and gate; and the shape of each unit's inputs without the batch, the
    channels of a convolution first."""
    seen: dict[str, dict[str, list[Array]]] = {name: {} for name in found}
    shapes: dict[str, tuple[int, ...]] = {}

    def heard(name: str, shape: tuple[int, ...], logits: Mapping[str, Any]) -> None:
        wrapped = found[name].wrapped
        moved = wrapped.convolves and wrapped.channel_axis == -1
        shapes[name] = (shape[-1], *shape[1:-1]) if moved else shape[1:]
        for gate, value in logits.items():
            seen[name].setdefault(gate, []).append(_values(value))

    with _listening(found, heard):
        for x in inputs:
            model(x, training=False)
    return {
        name: {gate: np.concatenate(parts) for gate, parts in by_gate.items()} for name, by_gate in seen.items()
    }, shapes


def _values(logits: Any) -> Array:
    return as_array(ops.cast(ops.sigmoid(logits), "float32")).ravel()


def _report(gate: Gate, values: Array, loss_open: float | None, loss_closed: float | None) -> GateReport:
    return GateReport(
        name=gate.name,
        open=gate.open,
        closed=gate.closed,
        mean=float(values.mean()),
        median=float(np.median(values)),
        minimum=float(values.min()),
        maximum=float(values.max()),
        certainty=float(np.abs(2 * values - 1).mean()),
        saturated=float((np.minimum(values, 1 - values) <= SATURATED_WITHIN).mean()),
        histogram=tuple(int(n) for n in np.histogram(values, BINS, (0, 1))[0]),
        loss_open=loss_open,
        loss_closed=loss_closed,
    )
