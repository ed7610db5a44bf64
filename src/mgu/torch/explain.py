"""The self-diagnosis of a network: what the gates of its units do on a sample of inputs."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mgu.diagnosis import SATURATED_WITHIN, Diagnosis, GateReport, UnitReport
from mgu.errors import InputError
from mgu.hardening import on_each_side
from mgu.torch.gates import ChannelGates
from mgu.torch.unit import MultiGatedUnit
from mgu.wiring import Gate, gates

#: A sample of inputs: x, or (x, labels) with which losses are worked out too.
Batch = Tensor | tuple[Tensor, Tensor]

BINS = 20


def explain(
    model: nn.Module, batches: Iterable[Batch], loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy
) -> Diagnosis:
    """Run the model on the batches in evaluation mode and report each gate of each MultiGatedUnit in it.

    Each batch is x, or a tuple of x and labels; with labels, each gate is also switched to one side for good, one gate
    at a time, and the model's mean ``loss`` is reported: a gate's size alone does not say what it matters. The model's
    mode and weights are as before afterwards. Raises InputError where the model has no unit, or there is no batch.

    Source: paper, section 6.2.
    """
    units = _units(model)
    samples = [batch if isinstance(batch, tuple | list) else (batch, None) for batch in batches]
    if not units:
        raise InputError(f"{type(model).__name__} has no MultiGatedUnit to explain")
    if not samples:
        raise InputError("no batch was given to explain the network on; give at least one")
    labelled = all(labels is not None for _, labels in samples)
    with evaluating(model), torch.no_grad():
        values, shapes = _gate_values(model, units, [x for x, _ in samples])

        def measure() -> float | None:
            return mean_loss(model, samples, loss) if labelled else None

        reports = []
        for name, unit in units.items():
            found = tuple(
                _report(gate, values[name][gate.name], *on_each_side(unit, gate, measure)) for gate in gates(unit.chain)
            )
            reports.append(UnitReport(name, shapes[name], found, unit.chain))
        return Diagnosis(tuple(reports), measure())


def gate_means(model: nn.Module, x: Tensor) -> dict[str, dict[str, float]]:
    """The mean of each gate's values on inputs x (samples, ...) in evaluation mode, by unit and gate.

    It costs at most one forward pass, and none where no gate depends on the input. The model is as before afterwards.
    """
    units = _units(model)
    means: dict[str, Tensor] = {}

    def listen(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], tuple[Tensor, ...]], None]:
        sharpness = units[name].sharpness

        def hook(gates: nn.Module, arguments: tuple[Tensor, ...], logits: tuple[Tensor, ...]) -> None:
            means[name] = torch.stack([torch.sigmoid(sharpness * values).float().mean() for values in logits])

        return hook

    with evaluating(model), torch.no_grad(), ExitStack() as hooks:
        for name, unit in units.items():
            hooks.callback(unit.gates.register_forward_hook(listen(name)).remove)
        if all(isinstance(unit.gates, ChannelGates) for unit in units.values()):
            for unit in units.values():
                unit.gates(x)
        else:
            model(x)
    return {name: dict(zip(units[name].gate_names, found.tolist(), strict=True)) for name, found in means.items()}


def gate_count(model: nn.Module, x: Tensor) -> int:
    """How many values all gates of the units have on inputs x; the model is run as it is, with x on "meta" too."""
    counts: list[int] = []

    def hook(unit: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        assert isinstance(unit, MultiGatedUnit)
        counts.extend(logits.numel() for logits in unit.gate_logits(*arguments).values())

    with ExitStack() as hooks:
        for unit in _units(model).values():
            hooks.callback(unit.register_forward_pre_hook(hook).remove)
        model(x)
    return sum(counts)


def gate_values_on(model: nn.Module, inputs: Iterable[Tensor]) -> dict[str, dict[str, Tensor]]:
    """Every value of every gate on batches of inputs, flat, by unit and gate; the model is run as it is."""
    return _gate_values(model, _units(model), inputs)[0]


def _units(model: nn.Module) -> dict[str, MultiGatedUnit]:
    return {name: module for name, module in model.named_modules() if isinstance(module, MultiGatedUnit)}


def _gate_values(
    model: nn.Module, units: Mapping[str, MultiGatedUnit], inputs: Iterable[Tensor]
) -> tuple[dict[str, dict[str, Tensor]], dict[str, tuple[int, ...]]]:
    """Every value of every gate, flat, by unit and gate; and the shape of each unit's inputs without the batch."""
    seen: dict[str, dict[str, list[Tensor]]] = {name: {} for name in units}
    shapes: dict[str, tuple[int, ...]] = {}

    def listen(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(unit: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            (x,) = arguments
            shapes[name] = tuple(x.shape[1:])
            for gate, logits in units[name].gate_logits(x).items():
                seen[name].setdefault(gate, []).append(torch.sigmoid(logits).float().flatten().cpu())

        return hook

    with ExitStack() as hooks:
        for name, unit in units.items():
            hooks.callback(unit.register_forward_pre_hook(listen(name)).remove)
        for x in inputs:
            model(x)
    return {name: {gate: torch.cat(parts) for gate, parts in by_gate.items()} for name, by_gate in seen.items()}, shapes


def mean_loss(
    model: nn.Module, samples: Iterable[tuple[Tensor, Tensor | None]], loss: Callable[[Tensor, Tensor], Tensor]
) -> float:
    """The mean loss over the labelled samples of all batches; ``loss`` is a batch's mean."""
    total, count = 0.0, 0
    for x, labels in samples:
        if labels is not None:
            total += loss(model(x), labels).item() * len(labels)
            count += len(labels)
    return total / count


def _report(gate: Gate, values: Tensor, loss_open: float | None, loss_closed: float | None) -> GateReport:
    near = torch.minimum(values, 1 - values) <= SATURATED_WITHIN
    return GateReport(
        name=gate.name,
        open=gate.open,
        closed=gate.closed,
        mean=values.mean().item(),
        median=float(np.median(values.numpy())),
        minimum=values.min().item(),
        maximum=values.max().item(),
        certainty=(2 * values - 1).abs().mean().item(),
        saturated=near.float().mean().item(),
        histogram=tuple(int(n) for n in torch.histc(values, BINS, 0, 1)),
        loss_open=loss_open,
        loss_closed=loss_closed,
    )


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, and afterwards each module in the mode that it was in."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
