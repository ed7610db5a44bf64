"""How long a Keras network takes for a batch: measured in turn where networks are compared."""

from collections.abc import Mapping
from statistics import median
from time import perf_counter
from typing import Any

import keras

from mgu.errors import InputError

#: Calls of each network that are not counted: the first one compiles, the others fill caches.
WARM_UP = 3


def compare_latency(models: Mapping[str, keras.Model], x: Any, rounds: int = 30) -> dict[str, float]:
    """Median seconds that each model takes for the batch ``x``, by name, by ``predict_on_batch``: in evaluation mode,
    and compiled as Keras compiles it for the backend.

    In every round each is called once, one after the other, so that whatever else the machine does meets them all
    alike: the ratio of two of the figures is what can be trusted. Raises InputError for less than one round, and where
    there is no model.
    """
    if rounds < 1 or not models:
        raise InputError(f"{rounds} rounds of {len(models)} networks cannot be measured; at least one of each can")

    def timed(model: keras.Model) -> float:
        begun = perf_counter()
        model.predict_on_batch(x)  # it waits for the answers, which are arrays
        return perf_counter() - begun

    taken = [{name: timed(model) for name, model in models.items()} for _ in range(WARM_UP + rounds)]
    return {name: median(seconds[name] for seconds in taken[WARM_UP:]) for name in models}
