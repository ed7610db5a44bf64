"""A run of an MGU network goes on beside, as the plain network that its gates have chosen early."""

import copy
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from mgu.history import Decision, Epoch, Hardening
from mgu.torch.flops import forward_flops
from mgu.torch.harden import compare, decide
from mgu.torch.latency import compare_latency
from mgu.torch.network import count_weights
from mgu.training.run import ROUNDS, Run, Snapshot
from mgu.training.samples import autocast

#: So many validation samples are what gates are decided on.
DECIDED_ON = 256
#: Whether a layer is needed cannot be seen from the loss of a network that has hardly been trained: its gate says so.
AS_OPENED = ("skip",)


def harden_and_train(soft: Run, snapshot: Snapshot, on_epoch: Callable[[Epoch], None]) -> tuple[nn.Module, Hardening]:
    """Harden the network as it was at a snapshot of its run, and train what is left for the rest of the epochs.

    Each gate takes the side of the lower loss, but for the one that skips the layer, which takes the side it opens for.
    The result has the soft epochs before, the deciding and the training on its clock. The learning rate goes on where
    the snapshot was; the optimizer begins anew. The soft network is as before.
    """
    setting, recipe = soft.setting, soft.recipe
    was = copy.deepcopy(soft.network)
    was.load_state_dict(snapshot.weights)
    samples = list(soft.validation.spread(DECIDED_ON).batches(DECIDED_ON))
    decided: list[tuple[nn.Module, tuple[Decision, ...]]] = []
    passes = [1]  # over the samples: the one that tells how the gates open, and one a loss

    def loss(outputs: Tensor, y: Tensor) -> Tensor:
        passes[0] += 1
        return soft.task.loss(outputs, y)

    def build() -> nn.Module:
        with autocast(setting.device, recipe.precision):
            model, decisions = decide(was, samples, loss, AS_OPENED)
        decided.append((copy.deepcopy(model), decisions))
        torch.manual_seed(setting.seed)
        return model

    splits = (soft.train_samples, soft.validation, soft.test)
    run = Run(build, lambda: splits, setting, snapshot)
    result = run.solve(on_epoch)
    if result.run_flops:  # known, and so is that of the network with all ways open, whose shorter ways were tried
        result = replace(result, run_flops=result.run_flops + forward_flops(was, samples[0][0]) * passes[0])
    x = soft.validation.x[: recipe.batch_size]
    with autocast(setting.device, recipe.precision):
        compared = compare(was, *decided[0], samples, soft.task.loss)
        latency = compare_latency({"soft": soft.network, "hard": run.network}, x, ROUNDS)
    return run.network, Hardening(
        after_epoch=snapshot.epoch,
        model_size=count_weights(run.network),
        decisions=compared.decisions,
        largest_difference=compared.largest_difference,
        latency_batch=len(x),
        soft_latency_s=latency["soft"],
        latency_s=latency["hard"],
        warning=compared.warning,
        result=result,
        soft_usage=snapshot.usage,
    )
