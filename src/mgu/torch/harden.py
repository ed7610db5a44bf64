"""From a trained MGU network to a plain one: every gate decided, and what is still read kept, as standard layers."""

import copy
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from mgu.diagnosis import Diagnosis
from mgu.errors import InputError
from mgu.history import Decision
from mgu.torch.explain import decided, evaluating, explain, mean_loss
from mgu.torch.norms import BatchNorm, LayerNorm
from mgu.torch.unit import MultiGatedUnit
from mgu.wiring import Op, evaluate, gates
from mgu.wiring import harden as harden_chain

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Hardened:
    """A plain network, the decisions that made it, and how it compares with the soft one on the same batches.

    Losses and accuracies (fractions, None where labels are not classes) are means over the batches;
    ``largest_difference`` is the largest absolute difference of the two networks' outputs.
    """

    model: nn.Module
    decisions: tuple[Decision, ...]
    soft_loss: float
    hard_loss: float
    soft_acc: float | None
    hard_acc: float | None
    largest_difference: float

    def text(self) -> str:
        """The decisions, one a line, and the two networks side by side."""
        lines = [
            f"{d.unit}: {d.gate} -> {d.side} (certainty {d.certainty:.2f}, loss {d.loss_change:+.4f})"
            for d in self.decisions
        ]
        figures = (("soft", self.soft_acc, self.soft_loss), ("hard", self.hard_acc, self.hard_loss))
        for name, accuracy, loss in figures:
            lines.append(
                f"{name}: "
                + (f"accuracy {100 * accuracy:.2f} %, " if accuracy is not None else "")
                + f"loss {loss:.4f}"
            )
        return "\n".join([*lines, f"largest output difference: {self.largest_difference:.4g}"])


def harden(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], loss: Loss = F.cross_entropy) -> Hardened:
    """Decide every gate of a trained model and return a new plain one; the model itself is as before.

    The gates are decided one after the other, over all units, the most certain first: the side with the lower mean
    ``loss`` on the batches, the decisions before it in force, is taken, and of equals the one that was more open. Gates
    that a decision leaves without a reader need none. Each unit becomes a ``torch.fx.GraphModule`` of torch's layers,
    which needs no mgu to run; operations that nobody reads any more, the bypass too, are gone.

    Each batch is a tuple of x and labels. Raises InputError where the model has no unit, or there is no labelled batch.
    """
    samples = list(batches)
    if not samples or not all(isinstance(batch, tuple | list) and len(batch) == 2 for batch in samples):
        raise InputError("hardening needs batches of (x, labels) to decide the gates by; give at least one")
    diagnosis = explain(model, [x for x, _ in samples])
    hard = copy.deepcopy(model).eval()
    with torch.no_grad():
        decisions = _decide(hard, diagnosis, lambda: mean_loss(hard, samples, loss))
    for report in diagnosis.units:
        hard = _replaced(hard, report.name, plain_block(_unit(hard, report.name), len(report.input_shape) + 1))
    return _compare(model, hard, samples, loss, decisions)


def plain_block(unit: MultiGatedUnit, rank: int) -> fx.GraphModule:
    """The unit's chain, which has no gate left, as a graph of torch's own layers for inputs of ``rank`` axes."""
    graph, root = fx.Graph(), nn.Module()

    def apply(op: Op, *inputs: fx.Node) -> fx.Node:
        module = unit.operations[op.name]
        if op.kind == "add":
            return graph.call_function(operator.add, inputs)
        return _EMIT.get(type(module), _call)(graph, root, op.name, module, rank, inputs[0])

    graph.output(evaluate(unit.chain, graph.placeholder("x"), apply, _undecided))
    return fx.GraphModule(root, graph, class_name="PlainUnit").train(unit.training)


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


def _layer_norm(graph: fx.Graph, root: nn.Module, name: str, module: LayerNorm, rank: int, x: fx.Node) -> fx.Node:
    norm = nn.LayerNorm(module.channels, module.eps).to(module.weight)
    norm.load_state_dict(module.state_dict())
    if module.channel_axis == -1:
        return _call(graph, root, name, norm, rank, x)
    normed = _call(graph, root, name, norm, rank, graph.call_method("movedim", (x, 1, -1)))
    return graph.call_method("movedim", (normed, -1, 1))


#: How the operations that are not torch's own layers already are written with them.
_EMIT: Mapping[type[nn.Module], Callable[..., fx.Node]] = {
    BatchNorm: _batch_norm,
    LayerNorm: _layer_norm,
    nn.Sequential: _sequential,
}


def _decide(model: nn.Module, diagnosis: Diagnosis, measure: Callable[[], float]) -> tuple[Decision, ...]:
    """Decide every gate in the model's units for good."""
    before, decisions = measure(), []
    found = [(unit.name, gate) for unit in diagnosis.units for gate in unit.gates]
    for name, report in sorted(found, key=lambda entry: -entry[1].certainty):
        unit = _unit(model, name)
        gate = next((gate for gate in gates(unit.chain) if gate.name == report.name), None)
        if gate is None:
            continue
        losses = [_loss_with(unit, {gate.name: side}, measure) for side in gate.inputs]
        # A side decided before bears the name of what it passes on; the report has the side's own.
        sides = (report.open, report.closed)
        chosen = min((0, 1), key=lambda i: (round(losses[i], 9), sides[i] != report.opened_for))
        unit.chain = harden_chain(unit.chain, {gate.name: gate.inputs[chosen]})
        decisions.append(Decision(name, gate.name, sides[chosen], report.certainty, losses[chosen] - before))
        before = losses[chosen]
    return tuple(decisions)


def _loss_with(unit: MultiGatedUnit, decision: Mapping[str, str], measure: Callable[[], float]) -> float:
    with decided(unit, decision):
        return measure()


def _unit(model: nn.Module, name: str) -> MultiGatedUnit:
    unit = model.get_submodule(name)
    assert isinstance(unit, MultiGatedUnit)
    return unit


def _replaced(model: nn.Module, name: str, module: nn.Module) -> nn.Module:
    """The model with that submodule replaced; "" is the model itself."""
    if not name:
        return module
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)
    return model


def _compare(
    soft: nn.Module, hard: nn.Module, samples: list[tuple[Tensor, Tensor]], loss: Loss, decisions: tuple[Decision, ...]
) -> Hardened:
    with evaluating(soft), torch.no_grad():
        outputs = [(soft(x), hard(x), labels) for x, labels in samples]
        return Hardened(
            model=hard,
            decisions=decisions,
            soft_loss=mean_loss(soft, samples, loss),
            hard_loss=mean_loss(hard, samples, loss),
            soft_acc=_accuracy([(a, labels) for a, _, labels in outputs]),
            hard_acc=_accuracy([(b, labels) for _, b, labels in outputs]),
            largest_difference=max((a - b).abs().max().item() for a, b, _ in outputs),
        )


def _accuracy(answers: list[tuple[Tensor, Tensor]]) -> float | None:
    if any(labels.is_floating_point() for _, labels in answers):
        return None
    correct = sum(int((output.argmax(dim=1) == labels).sum()) for output, labels in answers)
    return correct / sum(len(labels) for _, labels in answers)
