"""What a network is trained to answer: how its outputs are judged, in training and at the end."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from mgu.history import Answers


class Task(Protocol):
    """What a network's outputs (samples, outputs) are for. A score is a sum over samples, ``scored``, as a share."""

    @property
    def outputs(self) -> int:
        """How many outputs a network needs."""

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The mean loss, which training lowers."""

    def scored(self, outputs: Tensor, y: Tensor) -> Tensor:
        """What the samples add to the score's sum."""

    def score(self, scored: float, y: Tensor) -> float:
        """The score of a split with answers ``y``: the higher the better, 1 at most."""

    def answers(self, outputs: Tensor, y: Tensor) -> Answers:
        """All that is kept of the outputs on the test split."""


@dataclass(frozen=True)
class Classification:
    """One logit a class; the score is the accuracy."""

    outputs: int

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(outputs, y)

    def scored(self, outputs: Tensor, y: Tensor) -> Tensor:
        return (outputs.argmax(dim=1) == y).sum()

    def score(self, scored: float, y: Tensor) -> float:
        return scored / len(y)

    def answers(self, outputs: Tensor, y: Tensor) -> Answers:
        counts = torch.bincount(y * self.outputs + outputs.argmax(dim=1), minlength=self.outputs**2)
        confusion = tuple(tuple(row) for row in counts.view(self.outputs, -1).tolist())
        return Answers(confusion, F.cross_entropy(outputs.double(), y).item())
