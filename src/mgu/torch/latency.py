"""How long a network takes for a batch: measured in turn where networks are compared."""

from collections.abc import Mapping
from contextlib import ExitStack
from statistics import median

import torch
from torch import Tensor, nn

from mgu.errors import InputError
from mgu.measure import Clock
from mgu.torch.explain import evaluating

#: Calls of each network that are not counted: the first ones fill caches.
WARM_UP = 3


def latency(model: nn.Module, x: Tensor, rounds: int = 30) -> float:
    """Seconds that the model takes for the batch ``x``: the median of the rounds, in evaluation mode, no gradients.

    Raises InputError for less than one round. Two such figures from different moments do not compare; see
    ``compare_latency``.
    """
    return compare_latency({"model": model}, x, rounds)["model"]


def compare_latency(models: Mapping[str, nn.Module], x: Tensor, rounds: int = 30) -> dict[str, float]:
    """Median seconds that each model takes for the batch ``x``, by name, in evaluation mode and without gradients.

    In every round each is called once, one after the other, so that whatever else the machine does meets them all
    alike: the ratio of two of the figures is what can be trusted. Models and ``x`` are on one device, which is waited
    for. Each module's mode is as before afterwards. Raises InputError for less than one round, and where there is no
    model.
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
        taken = [{name: timed(model) for name, model in models.items()} for _ in range(WARM_UP + rounds)]
    return {name: median(seconds[name] for seconds in taken[WARM_UP:]) for name in models}
