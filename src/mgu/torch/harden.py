"""From a trained MGU network to a plain one: every gate decided, and what is still read kept, as standard layers."""

import copy
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mgu.diagnosis import Diagnosis
from mgu.errors import InputError
from mgu.history import Decision
from mgu.torch.explain import decided, evaluating, explain, mean_loss
from mgu.torch.latency import compare_latency
from mgu.torch.plain_block import plain_block
from mgu.torch.unit import MultiGatedUnit
from mgu.wiring import gates
from mgu.wiring import harden as harden_chain

Loss = Callable[[Tensor, Tensor], Tensor]
#: Latency is measured on at most so many samples, in so many rounds.
TIMED, ROUNDS = 64, 10
#: A warning names at most so many units.
NAMED = 5


@dataclass(frozen=True)
class Hardened:
    """A plain network, the decisions that made it, and how it compares with the soft one on the same batches.

    Losses and accuracies (fractions, None where labels are not classes) are means over the batches;
    ``largest_difference`` is the largest absolute difference of the two networks' outputs. Latencies are seconds for
    ``latency_batch`` samples of the first batch, measured in turn. ``tolerance`` is the accuracy that may be lost.
    """

    model: nn.Module
    decisions: tuple[Decision, ...]
    soft_loss: float
    hard_loss: float
    soft_acc: float | None
    hard_acc: float | None
    largest_difference: float
    latency_batch: int
    soft_latency_s: float
    hard_latency_s: float
    tolerance: float

    @property
    def warning(self) -> str:
        """That hardening loses more accuracy than ``tolerance``, and in which units the loss rose most; else empty."""
        if not math.isfinite(self.hard_loss):
            return "the hardened network's loss is not finite; leave the network soft, or train it on before hardening"
        if self.soft_acc is None or self.hard_acc is None or self.soft_acc - self.hard_acc <= self.tolerance + 1e-9:
            return ""
        risen: dict[str, float] = {}
        for decision in self.decisions:
            risen[decision.unit] = risen.get(decision.unit, 0.0) + max(0.0, decision.loss_change)
        worst = sorted((unit for unit, loss in risen.items() if loss > 0), key=lambda unit: -risen[unit])[:NAMED]
        named = ", ".join(f"{unit or 'the unit'} ({risen[unit]:+.4f})" for unit in worst) or "none alone"
        return (
            f"hardening loses {100 * (self.soft_acc - self.hard_acc):.2f} points of accuracy, more than "
            f"{100 * self.tolerance:.2f}; units whose decisions raised the loss most: {named}. Fine-tune the plain "
            "network, sharpen the soft one before, or leave it soft"
        )

    def text(self) -> str:
        """The decisions, one a line, the two networks side by side, and the warning, if there is one."""
        lines = [
            f"{d.unit}: {d.gate} -> {d.side} (certainty {d.certainty:.2f}, loss {d.loss_change:+.4f})"
            for d in self.decisions
        ]
        figures = (
            ("soft", self.soft_acc, self.soft_loss, self.soft_latency_s),
            ("hard", self.hard_acc, self.hard_loss, self.hard_latency_s),
        )
        for name, accuracy, loss, latency_s in figures:
            lines.append(
                f"{name}: "
                + (f"accuracy {100 * accuracy:.2f} %, " if accuracy is not None else "")
                + f"loss {loss:.4f}, {1000 * latency_s:.3g} ms a batch of {self.latency_batch}"
            )
        lines.append(f"largest output difference: {self.largest_difference:.4g}")
        return "\n".join([*lines, f"warning: {self.warning}"] if self.warning else lines)


def harden(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    loss: Loss = F.cross_entropy,
    *,
    tolerance: float = 0.01,
) -> Hardened:
    """Decide every gate of a trained model and return a new plain one; the model itself is as before.

    The gates are decided one after the other, over all units, the most certain first: the side with the lower mean
    ``loss`` on the batches, the decisions before it in force, is taken, and of equals the one that was more open. Gates
    that a decision leaves without a reader need none. Each unit becomes a ``torch.fx.GraphModule`` of torch's layers,
    which needs no mgu to run; operations that nobody reads any more, the bypass too, are gone. A processor of one's own
    stays the module that it is. Where more accuracy than ``tolerance`` is lost, the answer's ``warning`` says so.

    Each batch is a tuple of x and labels. Raises InputError where the model has no unit, or there is no labelled batch.
    """
    samples = list(batches)
    return compare(model, *decide(model, samples, loss), samples, loss, tolerance)


def decide(
    model: nn.Module,
    samples: Sequence[tuple[Tensor, Tensor]],
    loss: Loss = F.cross_entropy,
    as_opened: Collection[str] = (),
) -> tuple[nn.Module, tuple[Decision, ...]]:
    """What ``harden`` does before it compares: the plain network, and the decisions.

    Gates named in ``as_opened`` take the side that they are more open for, whatever the loss.
    """
    if not samples or not all(isinstance(batch, tuple | list) and len(batch) == 2 for batch in samples):
        raise InputError("hardening needs batches of (x, labels) to decide the gates by; give at least one")
    diagnosis = explain(model, [x for x, _ in samples])
    hard = copy.deepcopy(model).eval()
    with torch.no_grad():
        decisions = _decide(hard, diagnosis, lambda: mean_loss(hard, samples, loss), as_opened)
    for report in diagnosis.units:
        hard = _replaced(hard, report.name, plain_block(_unit(hard, report.name), len(report.input_shape) + 1))
    return hard, decisions


def _decide(
    model: nn.Module, diagnosis: Diagnosis, measure: Callable[[], float], as_opened: Collection[str]
) -> tuple[Decision, ...]:
    """Decide every gate in the model's units for good."""
    before, decisions = measure(), []
    found = [(unit.name, gate) for unit in diagnosis.units for gate in unit.gates]
    for name, report in sorted(found, key=lambda entry: -entry[1].certainty):
        unit = _unit(model, name)
        gate = next((gate for gate in gates(unit.chain) if gate.name == report.name), None)
        if gate is None:
            continue
        found_losses = (_loss_with(unit, {gate.name: side}, measure) for side in gate.inputs)
        losses = [found if math.isfinite(found) else math.inf for found in found_losses]
        # A side decided before bears the name of what it passes on; the report has the side's own.
        sides = (report.open, report.closed)
        preferred = sides.index(report.opened_for)
        by_loss = min((0, 1), key=lambda i: (round(losses[i], 9), i != preferred))
        chosen = preferred if gate.name in as_opened else by_loss
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


def compare(
    soft: nn.Module,
    hard: nn.Module,
    decisions: tuple[Decision, ...],
    samples: Sequence[tuple[Tensor, Tensor]],
    loss: Loss = F.cross_entropy,
    tolerance: float = 0.01,
) -> Hardened:
    """The two networks of ``decide`` side by side on the samples."""
    timed = samples[0][0][:TIMED]
    latency = compare_latency({"soft": soft, "hard": hard}, timed, ROUNDS)
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
            latency_batch=len(timed),
            soft_latency_s=latency["soft"],
            hard_latency_s=latency["hard"],
            tolerance=tolerance,
        )


def _accuracy(answers: list[tuple[Tensor, Tensor]]) -> float | None:
    if any(labels.is_floating_point() for _, labels in answers):
        return None
    correct = sum(int((output.argmax(dim=1) == labels).sum()) for output, labels in answers)
    return correct / sum(len(labels) for _, labels in answers)
