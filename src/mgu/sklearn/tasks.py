"""What a network is trained to answer where samples have weights: their targets are (target, weight)."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from mgu.history import Answers, Errors
from mgu.training.tasks import Classification, Regression


@dataclass(frozen=True)
class WeightedClassification(Classification):
    """One logit a class; y is (samples, 2), the class and the weight. The score, which says when to stop, is the
    negative loss: on a few held-out rows it is less coarse than the accuracy."""

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """mean(weight * cross-entropy)."""
        target, weight = y.unbind(1)
        return (weight * F.cross_entropy(outputs, target.long(), reduction="none")).mean()

    def scored(self, outputs: Tensor, y: Tensor) -> Tensor:
        return -self.loss(outputs, y) * len(y)

    def answers(self, outputs: Tensor, y: Tensor) -> Answers:
        return super().answers(outputs, y[:, 0].long())


@dataclass(frozen=True)
class WeightedRegression(Regression):
    """One output, the standardised target; y is (samples, 2), the target and the weight. The score is the negative
    loss."""

    def loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """mean(weight * squared error)."""
        target, weight = y.unbind(1)
        return (weight * (outputs.squeeze(1) - target).square()).mean()

    def scored(self, outputs: Tensor, y: Tensor) -> Tensor:
        return -self.loss(outputs, y) * len(y)

    def score(self, scored: float, y: Tensor) -> float:
        return scored / len(y)

    def answers(self, outputs: Tensor, y: Tensor) -> Errors:
        return super().answers(outputs, y[:, 0])


WeightedTask = WeightedClassification | WeightedRegression


def labels(y: Tensor, weight: Tensor) -> Tensor:
    """(samples, 2) float32 from targets and weights (samples,)."""
    return torch.stack([y, weight], dim=1).float()
