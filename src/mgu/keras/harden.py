"""From a trained MGU network to a plain one: every gate decided, and what is still read kept, as Keras's layers."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from mgu.errors import InputError
from mgu.hardening import ROUNDS, TIMED, Hardened, decide_gates
from mgu.history import Decision
from mgu.keras.explain import explain, units
from mgu.keras.latency import compare_latency
from mgu.keras.plain import check_graph, plain_model
from mgu.keras.samples import Array, Loss, Sample, as_array, loss_of, mean_loss, sample_of
from mgu.keras.unit import MultiGatedUnit


def harden(
    model: keras.Model, batches: Iterable[tuple[Any, Any]], loss: Loss | None = None, *, tolerance: float = 0.01
) -> Hardened[keras.Model]:
    """Decide every gate of a trained model and return a new plain one; the model itself is as before.

    The gates are decided one after the other, over all units, the most certain first: the side with the lower mean
    ``loss(labels, outputs)`` on the batches, the decisions before it in force, is taken, and of equals the one that was
    more open. Gates that a decision leaves without a reader need none. Without a ``loss`` it is the one that the model
    was compiled with. Where more accuracy than ``tolerance`` is lost, the answer's ``warning`` says so.

    Each unit, and each plain cell, becomes a functional model of its name, of Keras's own layers, so that a file of the
    whole needs no mgu to be loaded; what nobody reads any more, the bypass too, is gone, and a layer of one's own stays
    what it is. The plain network is not compiled: ``compile`` and ``fit`` fine-tune it. Its batch norms are Keras's,
    whose running variance then moves to the biased one, (n - 1) / n of ours for the n values of a channel in a batch;
    until then it is the same.

    The model is functional or Sequential, nested as one likes. Each batch is a tuple of x and labels: whole numbers, or
    one-hot with one axis more, where they are classes. Raises InputError where there is no unit or no labelled batch,
    for labels without a loss, for a model of another kind, and for a layer that cannot be copied.
    """
    samples = list(batches)
    return compare(model, *decide(model, samples, loss), samples, loss, tolerance)


def decide(
    model: keras.Model,
    samples: Sequence[tuple[Any, Any]],
    loss: Loss | None = None,
    as_opened: Collection[str] = (),
) -> tuple[keras.Model, tuple[Decision, ...]]:
    """What ``harden`` does before it compares: the plain network, and the decisions.

    Gates named in ``as_opened`` take the side that they are more open for, whatever the loss.
    """
    labelled = _labelled(samples)
    diagnosis = explain(model, [x for x, _ in labelled])
    check_graph(model)
    found, measured = units(model), loss_of(model, loss)
    with _as_before(found):
        decisions = decide_gates(found, diagnosis, lambda: mean_loss(model, labelled, measured), as_opened)
        return plain_model(model), decisions


def compare(
    soft: keras.Model,
    hard: keras.Model,
    decisions: tuple[Decision, ...],
    samples: Sequence[tuple[Any, Any]],
    loss: Loss | None = None,
    tolerance: float = 0.01,
) -> Hardened[keras.Model]:
    """The two networks of ``decide`` side by side on the samples."""
    labelled, measured = _labelled(samples), loss_of(soft, loss)
    timed = keras.tree.map_structure(lambda x: as_array(x)[:TIMED], labelled[0][0])
    latency = compare_latency({"soft": soft, "hard": hard}, timed, ROUNDS)
    answers = [(_answers(soft, x), _answers(hard, x), labels) for x, labels in labelled]
    return Hardened(
        model=hard,
        decisions=decisions,
        soft_loss=mean_loss(soft, labelled, measured),
        hard_loss=mean_loss(hard, labelled, measured),
        soft_acc=_accuracy([(a, labels) for a, _, labels in answers]),
        hard_acc=_accuracy([(b, labels) for _, b, labels in answers]),
        largest_difference=max(float(np.abs(a - b).max()) for a, b, _ in answers),
        latency_batch=min(TIMED, len(labelled[0][1])),
        soft_latency_s=latency["soft"],
        hard_latency_s=latency["hard"],
        tolerance=tolerance,
    )


@contextmanager
def _as_before(found: Mapping[str, MultiGatedUnit]) -> Iterator[None]:
    """Give the units the chains back that they have now."""
    chains = {name: unit.chain for name, unit in found.items()}
    try:
        yield
    finally:
        for name, unit in found.items():
            unit.chain = chains[name]


def _labelled(samples: Sequence[tuple[Any, Any]]) -> list[Sample]:
    found = [sample_of(batch) for batch in samples]
    if not found or any(labels is None for _, labels in found):
        raise InputError("hardening needs batches of (x, labels) to decide the gates by; give at least one")
    return found


def _answers(model: keras.Model, x: Any) -> Array:
    return as_array(model(x, training=False))


def _accuracy(answers: Sequence[tuple[Array, Array]]) -> float | None:
    found = [(output.argmax(axis=-1), _classes(labels, output)) for output, labels in answers]
    if any(classes is None for _, classes in found):
        return None
    return float(np.mean(np.concatenate([(taken == classes).ravel() for taken, classes in found])))


def _classes(labels: Array, output: Array) -> Array | None:
    """The true class of each answer, output (..., classes); None where the labels are none."""
    if output.shape[-1] < 2:
        return None
    if labels.shape == output.shape:
        one_hot = np.isin(labels, (0, 1)).all() and (labels.sum(axis=-1) == 1).all()
        return labels.argmax(axis=-1) if one_hot else None
    whole = np.issubdtype(labels.dtype, np.integer) and labels.size == output[..., 0].size
    return labels.reshape(output.shape[:-1]) if whole else None
