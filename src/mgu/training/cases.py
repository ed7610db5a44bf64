"""One answer a group of samples, such as the images of one case."""

import math

import torch
from torch import Tensor

from mgu.history import Answers
from mgu.training.samples import Samples
from mgu.training.tasks import Classification, Task


def case_answers(task: Task, outputs: Tensor, samples: Samples) -> Answers | None:
    """One answer a group, by the mean of its samples' probabilities; its truth is that of its first sample.

    ``outputs`` are the network's logits for the samples, (samples, classes). None for samples without groups, and for a
    task without classes.
    """
    if samples.groups is None or not isinstance(task, Classification):
        return None
    sizes = [size for size in torch.bincount(samples.groups).tolist() if size]
    members = torch.split(samples.groups.argsort(stable=True), sizes)
    pooled = torch.stack([log_mean_probability(outputs[rows]) for rows in members])
    return task.answers(pooled, torch.stack([samples.y[rows[0]] for rows in members]))


def log_mean_probability(logits: Tensor) -> Tensor:
    """log(mean over i of softmax(logits_i)), from (samples, classes) to (classes,) float64.

    Worked out in logarithms: a probability may be below the smallest number that is not 0.
    """
    return torch.log_softmax(logits.double(), dim=1).logsumexp(dim=0) - math.log(len(logits))
