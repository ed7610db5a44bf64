"""From a trained MGU network to a plain one: every gate decided, and what is still read kept, as standard layers."""

import copy
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mgu.errors import InputError
from mgu.hardening import ROUNDS, TIMED, Hardened, decide_gates
from mgu.history import Decision
from mgu.torch.explain import evaluating, explain, mean_loss
from mgu.torch.follow import tensors
from mgu.torch.graph import put
from mgu.torch.latency import compare_latency
from mgu.torch.plain_block import plain_block
from mgu.torch.running import largest_difference
from mgu.torch.unit import MultiGatedUnit

Loss = Callable[[Tensor, Tensor], Tensor]


def harden(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    loss: Loss = F.cross_entropy,
    *,
    tolerance: float = 0.01,
) -> Hardened[nn.Module]:
    """Decide every gate of a trained model and return a new plain one; the model itself is as before.

    The gates are decided one after the other, over all units, the most certain first: the side with the lower mean
    ``loss`` on the batches, the decisions before it in force, is taken, and of equals the one that was more open. Gates
    that a decision leaves without a reader need none. Each unit becomes a ``torch.fx.GraphModule`` of torch's layers,
    which needs no mgu to run; operations that nobody reads any more, the bypass too, are gone. A processor of one's own
    stays the module that it is. Where more accuracy than ``tolerance`` is lost, the answer's ``warning`` says so.

    Each batch is a tuple of x and labels; ``loss`` takes what the model gives, which may be a mapping or a tuple, and
    labels. Raises InputError where the model has no unit, or there is no labelled batch.
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
    units = {report.name: _unit(hard, report.name) for report in diagnosis.units}
    with torch.no_grad():
        decisions = decide_gates(units, diagnosis, lambda: mean_loss(hard, samples, loss), as_opened)
    for report in diagnosis.units:
        unit = units[report.name]
        hard = put(hard, unit, plain_block(unit, len(report.input_shape) + 1))
    return hard, decisions


def _unit(model: nn.Module, name: str) -> MultiGatedUnit:
    unit = model.get_submodule(name)
    assert isinstance(unit, MultiGatedUnit)
    return unit


def compare(
    soft: nn.Module,
    hard: nn.Module,
    decisions: tuple[Decision, ...],
    samples: Sequence[tuple[Tensor, Tensor]],
    loss: Loss = F.cross_entropy,
    tolerance: float = 0.01,
) -> Hardened[nn.Module]:
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
            largest_difference=max(largest_difference(a, b) for a, b, _ in outputs),
            latency_batch=len(timed),
            soft_latency_s=latency["soft"],
            hard_latency_s=latency["hard"],
            tolerance=tolerance,
        )


def _accuracy(answers: list[tuple[Any, Tensor]]) -> float | None:
    """The fraction of answers that name their label; None where labels are no classes, or outputs not one tensor."""
    found = [(tensors(output), labels) for output, labels in answers]
    if any(len(output) != 1 or labels.is_floating_point() for output, labels in found):
        return None
    correct = sum(int((output.argmax(dim=1) == labels).sum()) for (output,), labels in found)
    return correct / sum(len(labels) for _, labels in found)
