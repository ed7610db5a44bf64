"""A run of an MGU network goes on beside, as the plain network that its gates have chosen early."""

import copy
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

from mgu.history import Epoch, Hardening
from mgu.torch.harden import Hardened, harden
from mgu.torch.network import count_weights
from mgu.training.run import Run, Snapshot
from mgu.training.samples import autocast

#: So many validation samples are what gates are decided on.
DECIDED_ON = 256


def harden_and_train(soft: Run, snapshot: Snapshot, on_epoch: Callable[[Epoch], None]) -> tuple[nn.Module, Hardening]:
    """Harden the network as it was at a snapshot of its run, and train what is left for the rest of the epochs.

    The result has the soft epochs before, the deciding and the training on its clock. The learning rate goes on where
    the snapshot was; the optimizer begins anew. The soft network is as before.
    """
    was = copy.deepcopy(soft.network)
    was.load_state_dict(snapshot.weights)
    decided: list[Hardened] = []

    def build() -> nn.Module:
        with autocast(soft.device, soft.recipe.precision):
            decided.append(harden(was, soft.validation.first(DECIDED_ON).batches()))
        torch.manual_seed(soft.seed)
        return decided[0].model

    splits = (soft.train_samples, soft.validation, soft.test)
    run = Run(build, lambda: splits, soft.recipe, soft.device, soft.seed, snapshot)
    result = run.solve(on_epoch)
    (hardened,) = decided
    return run.network, Hardening(
        after_epoch=snapshot.epoch,
        model_size=count_weights(run.network),
        decisions=hardened.decisions,
        largest_difference=hardened.largest_difference,
        latency_batch=hardened.latency_batch,
        soft_latency_s=hardened.soft_latency_s,
        latency_s=hardened.hard_latency_s,
        warning=hardened.warning,
        result=replace(result, latency_s=hardened.hard_latency_s),
    )
