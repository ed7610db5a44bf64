"""The floating-point operations of a run."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mgu.errors import InputError
from mgu.history import Flops
from mgu.torch.flops import forward_flops, step_flops
from mgu.training.samples import Samples, Shuffled


@dataclass(frozen=True)
class Operations:
    """Those of a training step on a whole batch, of an epoch with its validation, and of the test."""

    step: Flops
    epoch: Flops
    test: Flops


def count_operations(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Callable[[Tensor, Tensor], Tensor],
    batches: Shuffled,
    validation: Samples,
    test: Samples,
) -> Operations | None:
    """Count them; None where the network has an operation of which nothing is known."""
    x, y = batches.samples.x, batches.samples.y
    try:
        steps = {size: step_flops(network, x[:size], y[:size], optimizer, loss) for size in set(batches.sizes)}
        evaluations = [forward_flops(network, split.without_numbers) for split in (validation, test)]
    except InputError:
        return None
    epoch = sum((steps[size] for size in batches.sizes), evaluations[0])
    return Operations(steps[max(steps)], epoch, evaluations[1])
