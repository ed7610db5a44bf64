"""How long networks take for a batch, measured in turn."""

import statistics
import time
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mgu.torch.explain import evaluating


def compare_latency(models: Mapping[str, nn.Module], x: Tensor, rounds: int = 30) -> dict[str, float]:
    """Median seconds of a forward pass on ``x`` in evaluation mode, by name; the models are run in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(rounds + 3):
        for name, model in models.items():
            with evaluating(model), torch.no_grad():
                begun = time.perf_counter()
                model(x)
                seconds[name].append(time.perf_counter() - begun)
    return {name: statistics.median(times[3:]) for name, times in seconds.items()}
