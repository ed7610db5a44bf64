"""How long a network takes for a batch: measured in turn where networks are compared."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor, nn

from mgu.errors import InputError
from mgu.measure import Clock
from mgu.torch.explain import evaluating

#: Calls of each network that are not counted: the first ones fill caches.
WARM_UP = 3


@dataclass(frozen=True)
class Latencies:
    """Median seconds a batch, by network; all were measured in turn in one run."""

    seconds: Mapping[str, float]

    def ratio(self, name: str, to: str) -> float:
        """How many times as long ``name`` takes as ``to``."""
        return self.seconds[name] / self.seconds[to]


def latency(model: nn.Module, x: Tensor, rounds: int = 30) -> float:
    """Seconds that the model takes for the batch ``x``: the median of the rounds, in evaluation mode, no gradients.

    Raises InputError for less than one round. Two such figures from different moments do not compare; see
    ``compare_latency``.
    """
    return compare_latency({"model": model}, x, rounds).seconds["model"]


def compare_latency(models: Mapping[str, nn.Module], x: Tensor, rounds: int = 30) -> Latencies:
    """What each model takes for the batch ``x``: in every round each is called once, one after the other, so that
    whatever else the machine does meets them all alike.

    Models and ``x`` are on one device, which is waited for. Each module's mode is as before afterwards. Raises
    InputError for less than one round, and where there is no model.
    """
    if rounds < 1 or not models:
        raise InputError(f"{rounds} rounds of {len(models)} networks cannot be measured; at least one of each can")
    clock = Clock(x.device)

    def timed(model: nn.Module) -> float:
        begun = clock.now()
        model(x)
        return clock.now() - begun

    with ExitStack() as modes, torch.no_grad():
        for model in models.values():
            modes.enter_context(evaluating(model))
        for _ in range(WARM_UP):
            for model in models.values():
                model(x)
        taken = [{name: timed(model) for name, model in models.items()} for _ in range(rounds)]
    return Latencies({name: median(round_[name] for round_ in taken) for name in models})
