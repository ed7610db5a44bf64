"""Going through shuffled samples epoch by epoch, from anywhere in one."""

from collections.abc import Callable

import torch
from torch import Tensor

from mgu.training.learner import Weights
from mgu.training.samples import Shuffled


def nothing() -> None:
    """What is done between two steps where nothing is asked for."""


class Epochs:
    """Epochs of batches, each in an order of its own, and what a step gives summed up over an epoch; ``zero`` is the
    sum of none. Left between two steps, another one of the same batches goes on from its ``state``."""

    def __init__(self, batches: Shuffled, zero: Tensor) -> None:
        self.batches, self.zero = batches, zero
        self._begin()

    def gone_through(self, step: Callable[[Tensor, Tensor], Tensor], between: Callable[[], None]) -> Tensor:
        """Take the steps of an epoch, or of what is left of it, each with its samples' x and y. ``between`` two steps
        more may be done. The sum of what they gave."""
        samples = self.batches.samples
        self.order = self.batches.order.get_state()
        rows = self.batches.rows()
        for part in rows[self.done :]:
            self.sums += step(samples.x[part], samples.y[part])
            self.done += 1
            if self.done < len(rows):
                between()
        sums = self.sums
        self._begin()
        return sums

    def state(self) -> dict[str, Tensor]:
        """Where it is: how the order of the epoch is drawn, the steps behind, and their sum."""
        order = self.order if self.done else self.batches.order.get_state()
        return {"order": order, "done": torch.tensor(self.done), "sums": self.sums}

    def resume(self, state: Weights) -> None:
        """Go on from such a state."""
        self.batches.order.set_state(state["order"])
        self.done, self.sums = int(state["done"]), state["sums"].to(self.zero.device)

    def _begin(self) -> None:
        self.done, self.sums = 0, self.zero.clone()
