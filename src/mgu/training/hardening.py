"""A run of an MGU network goes on beside, as the plain network that its gates have chosen early."""

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from mgu.history import Decision, Epoch, Hardening
from mgu.training.learner import Learner
from mgu.training.run import ROUNDS, Keeping, Progress, Run, Snapshot
from mgu.training.samples import Samples

#: So many validation samples are what gates are decided on.
DECIDED_ON = 256
#: Whether a layer is needed cannot be seen from the loss of a network that has hardly been trained: its gate says so.
AS_OPENED = ("skip",)


def harden_and_train(
    soft: Run,
    snapshot: Snapshot,
    on_epoch: Callable[[Epoch], None],
    resumed: Progress | None = None,
    keeping: Keeping | None = None,
) -> tuple[Learner, Hardening]:
    """Harden the network as it was at a snapshot of its run, and train what is left for the rest of the epochs.

    Each gate takes the side of the lower loss, but for the one that skips the layer, which takes the side it opens for.
    The result has the soft epochs before, the deciding and the training on its clock. The learning rate goes on where
    the snapshot was; the optimizer begins anew. The soft network is as before. ``resumed`` and ``keeping`` are as
    for ``Run``; the gates are then decided again, with the same result.
    """
    task = soft.task
    assert snapshot.weights is not None
    was = soft.learner.copied(snapshot.weights)
    decided_on = soft.validation.spread(DECIDED_ON)
    decided: list[tuple[Learner, tuple[Decision, ...]]] = []
    passes = [1]  # over the samples: the one that tells how the gates open, and one a loss

    def loss(outputs: Tensor, y: Tensor) -> Tensor:
        passes[0] += 1
        return task.loss(outputs, y)

    def build(samples: Samples) -> Learner:
        learner, decisions = was.hardened(decided_on, loss, AS_OPENED, snapshot.epoch)
        decided.append((learner.copied(learner.weights()), decisions))
        return learner

    splits = (soft.train_samples, soft.validation, soft.test)
    run = Run(build, lambda: splits, soft.setting, snapshot, resumed, keeping)
    result = run.solve(on_epoch)
    if result.run_flops:  # known, and so is that of the network with all ways open, whose shorter ways were tried
        result = replace(result, run_flops=result.run_flops + was.forward_flops(decided_on) * passes[0])
    compared = was.compared(*decided[0], decided_on, task.loss)
    timed = soft.validation.first(soft.recipe.batch_size)
    soft_latency_s, latency_s = soft.learner.latencies_s(run.learner.network, timed, ROUNDS)
    return run.learner, Hardening(
        after_epoch=snapshot.epoch,
        model_size=run.learner.size,
        decisions=compared.decisions,
        largest_difference=compared.largest_difference,
        latency_batch=len(timed),
        soft_latency_s=soft_latency_s,
        latency_s=latency_s,
        warning=compared.warning,
        result=result,
        soft_usage=snapshot.usage,
    )
