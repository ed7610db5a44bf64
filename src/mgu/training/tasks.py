"""What a network is trained to answer: how its outputs are judged, in training and at the end."""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from mgu.data import DataSet
from mgu.history import Answers, Errors


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

    def answers(self, outputs: Tensor, y: Tensor) -> Answers | Errors:
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


@dataclass(frozen=True)
class Regression:
    """One output, the standardised target; the score is R². ``std`` is that of the target, in its unit.

    Where all targets are equal R² is 0 / 0 or infinite: as in scikit-learn's ``r2_score`` the score is then 1 without
    errors, else 0. ``load_data`` refuses such splits.
    """

    std: float
    outputs: int = 1

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        return F.mse_loss(outputs.squeeze(1), y)

    def scored(self, outputs: Tensor, y: Tensor) -> Tensor:
        return -(outputs.squeeze(1) - y).square().sum()

    def score(self, scored: float, y: Tensor) -> float:
        if not math.isfinite(scored):
            return -math.inf
        wide = y.double()  # in 64 bits the mean of equal numbers is that number, and small squares are not lost
        squares = (wide - wide.mean()).square().sum().item()
        return 1 + scored / squares if squares else float(scored == 0)

    def answers(self, outputs: Tensor, y: Tensor) -> Errors:
        wide = outputs.double()  # in 32 bits the squares of large quantities are infinite
        errors = (wide.squeeze(1) - y) * self.std
        r2 = self.score(self.scored(wide, y).item(), y)
        return Errors(r2, errors.abs().mean().item(), errors.square().mean().sqrt().item())


def task_of(data: DataSet) -> Task:
    """What networks are to do with the data."""
    return Classification(len(data.classes)) if data.classes else Regression(data.target_std)
