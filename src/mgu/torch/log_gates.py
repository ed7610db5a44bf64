"""The gates of a network in the logs of one's own training loop."""

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from mgu.errors import InputError
from mgu.torch.explain import BINS, evaluating, gate_values_on

_EDGES = np.linspace(0, 1, BINS + 1)


class Writer(Protocol):
    """What is used of ``torch.utils.tensorboard.SummaryWriter``."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None: ...

    def add_histogram(self, tag: str, values: Any, global_step: int, bins: Any) -> None: ...


def log_gates(writer: Writer, model: nn.Module, step: int, x: Tensor) -> None:
    """Write the mean of each gate of each MultiGatedUnit in the model, and a histogram of its values from 0 to 1.

    The tags are "gates/unit.gate", as in ``mgu.keras.GateHistory``, and "gate_values/unit.gate". ``x`` is a sample of
    inputs (samples, ...), on which the model is run once in evaluation mode; some hundred will do. ``writer`` is
    torch's SummaryWriter, or has its ``add_scalar`` and ``add_histogram``; ``step`` is the epoch or the step. The model
    is as before afterwards. Raises InputError where it has no unit.
    """
    with evaluating(model), torch.no_grad():
        values = gate_values_on(model, [x])
    if not values:
        raise InputError(f"{type(model).__name__} has no MultiGatedUnit whose gates could be logged")
    for unit, by_gate in values.items():
        for gate, found in by_gate.items():
            name = ".".join(filter(None, (unit, gate)))
            writer.add_scalar(f"gates/{name}", found.mean().item(), step)
            writer.add_histogram(f"gate_values/{name}", found.numpy(), step, bins=_EDGES)
