"""Gates decided, one after the other, and what comes of it: the rule and the result of both halves."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from mgu.diagnosis import Diagnosis
from mgu.history import Decision
from mgu.wiring import Chain, Gate, gates
from mgu.wiring import harden as harden_chain

#: Latency is measured on at most so many samples, in so many rounds.
TIMED, ROUNDS = 64, 10
#: A warning names at most so many units.
NAMED = 5

Network = TypeVar("Network")
Measured = TypeVar("Measured")


class Unit(Protocol):
    """What runs a chain, whichever it has at the moment."""

    chain: Chain


@dataclass(frozen=True, repr=False)
class Hardened(Generic[Network]):
    """A plain network, the decisions that made it, and how it compares with the soft one on the same batches.

    Losses and accuracies (fractions, None where labels are not classes) are means over the batches;
    ``largest_difference`` is the largest absolute difference of the two networks' outputs. Latencies are seconds for
    ``latency_batch`` samples of the first batch, measured in turn. ``tolerance`` is the accuracy that may be lost.
    """

    model: Network
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

    def __repr__(self) -> str:
        soft, hard = (
            f"loss {loss:.4f}" if accuracy is None else f"accuracy {100 * accuracy:.2f} %"
            for loss, accuracy in ((self.soft_loss, self.soft_acc), (self.hard_loss, self.hard_acc))
        )
        warned = ", with a warning" if self.warning else ""
        return f"<Hardened by {len(self.decisions)} decisions: soft {soft}, hard {hard}{warned}>"

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


def decide_gates(
    units: Mapping[str, Unit], diagnosis: Diagnosis, measure: Callable[[], float], as_opened: Collection[str] = ()
) -> tuple[Decision, ...]:
    """Decide every gate of the units, by name, for good; the decisions in the order in which they were made.

    The most certain gate of the diagnosis comes first. Each takes the side with which ``measure()``, the network's mean
    loss, is lower, the decisions before it in force; of equals, and where the gate is named in ``as_opened``, the one
    that was more open. A loss that is not finite is the highest. Gates that a decision leaves without a reader need
    none.
    """
    before, decisions = measure(), []
    found = [(unit.name, gate) for unit in diagnosis.units for gate in unit.gates]
    for name, report in sorted(found, key=lambda entry: -entry[1].certainty):
        unit = units[name]
        gate = next((gate for gate in gates(unit.chain) if gate.name == report.name), None)
        if gate is None:
            continue
        losses = [loss if math.isfinite(loss) else math.inf for loss in on_each_side(unit, gate, measure)]
        # A side decided before bears the name of what it passes on; the report has the side's own.
        sides = (report.open, report.closed)
        preferred = sides.index(report.opened_for)
        by_loss = min((0, 1), key=lambda i: (round(losses[i], 9), i != preferred))
        chosen = preferred if gate.name in as_opened else by_loss
        unit.chain = harden_chain(unit.chain, {gate.name: gate.inputs[chosen]})
        decisions.append(Decision(name, gate.name, sides[chosen], report.certainty, losses[chosen] - before))
        before = losses[chosen]
    return tuple(decisions)


def on_each_side(unit: Unit, gate: Gate, measure: Callable[[], Measured]) -> tuple[Measured, Measured]:
    """What ``measure()`` gives with the unit's gate open for good, and closed for good."""
    with decided(unit, {gate.name: gate.open}):
        opened = measure()
    with decided(unit, {gate.name: gate.closed}):
        closed = measure()
    return opened, closed


@contextmanager
def decided(unit: Unit, decision: Mapping[str, str]) -> Iterator[None]:
    """Switch gates of a unit to one side each for the time of the ``with`` block; ``decision`` is as in
    ``mgu.wiring.harden``, which raises what this raises."""
    before = unit.chain
    unit.chain = harden_chain(before, decision)
    try:
        yield
    finally:
        unit.chain = before
