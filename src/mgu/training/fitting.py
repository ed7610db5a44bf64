"""Fit one network on one data set: built, trained, evaluated, and hardened where it is an MGU network."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from mgu.data import DataSet
from mgu.history import Epoch, Result
from mgu.measure import Meter
from mgu.spaces import Architecture
from mgu.torch.network import build_network
from mgu.training.denormals import flush_denormals
from mgu.training.hardening import harden_and_train
from mgu.training.recipe import Recipe
from mgu.training.run import Run, Setting
from mgu.training.samples import Samples, on_device
from mgu.training.tasks import Task, task_of


@dataclass(frozen=True)
class Fitted:
    """A trained network, in evaluation mode and with the weights of its best epoch, how the run went, what for, the
    validation samples as the network takes them, and the plain network that it hardened to, None where it was not
    hardened."""

    network: nn.Module
    result: Result
    task: Task
    validation: Samples
    hardened: nn.Module | None = None


def fit(
    architecture: Architecture,
    data: DataSet,
    recipe: Recipe,
    *,
    seed: int = 0,
    device: str = "cpu",
    unit: Mapping[str, Any] | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    meter: Meter | None = None,
) -> Fitted:
    """Build the network of an architecture and train it; ``unit`` are MultiGatedUnit's options.

    The same seed gives the same weights, order of samples and dropout, and so, on one machine and number of threads,
    the same result. No clock counts the time in ``on_epoch``, or that of recording the gates' means for the history.
    From here on the process takes denormal numbers for 0 (``flush_denormals``). A loss that is not finite ends the run
    with status "diverged". The test split is read once, at the end. Raises InputError where the architecture does not
    fit the data.

    An MGU network is trained to its end, and the recipe says after which epoch it is hardened beside. What that gives
    has a result of its own, with the epochs up to there, the hardening and its own training on its clock, and in its
    operations and its usage; a usage needs a ``meter`` whose ``with`` block the call is in.
    """
    target = torch.device(device)
    flush_denormals()
    _ = data.mean, data.std  # worked out once a data set and shared by all trials, so on no trial's clock
    is_mgu = architecture.cell is None
    task = task_of(data)

    def build() -> nn.Module:
        torch.manual_seed(seed)
        network = build_network(architecture, data.input_shape, task.outputs, **(unit or {}))
        layout = torch.channels_last if len(data.input_shape) == 3 else torch.contiguous_format
        return network.to(target).to(memory_format=layout)  # type: ignore[no-any-return, call-overload]

    with torch.backends.cudnn.flags(enabled=True, deterministic=True, benchmark=False):
        run = Run(build, lambda: on_device(data, target), Setting(task, recipe, target, seed, meter))
        result = run.solve(on_epoch, recipe.soft_epochs if is_mgu else 0)
        if not run.snapshot or run.snapshot.epoch == recipe.epochs:
            return Fitted(run.network, result, task, run.validation)
        try:
            hardened, hardening = harden_and_train(run, run.snapshot, on_epoch)
        except Exception as error:  # the trained network must not be lost with it
            message = f"not hardened: {type(error).__name__}: {error}"
            return Fitted(run.network, replace(result, message=message), task, run.validation)
    return Fitted(run.network, replace(result, hardening=hardening), task, run.validation, hardened)
