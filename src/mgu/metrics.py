"""How good answers are, by scikit-learn's metrics."""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import precision_recall_fscore_support

from mgu.history import Answers


@dataclass(frozen=True)
class ClassMetrics:
    """Of one class, or their plain mean over the classes that any sample is of or was taken for ("macro", as
    scikit-learn averages): precision = TP / (TP + FP), recall = TP / (TP + FN), F1 their harmonic mean, each 0 where
    its denominator is 0; ``support`` counts the samples of the class."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Metrics:
    """All that a confusion matrix says: accuracy in 0..1, and the classes' metrics, in their order."""

    accuracy: float
    macro: ClassMetrics
    by_class: tuple[ClassMetrics, ...]


def metrics(answers: Answers) -> Metrics:
    """scikit-learn's metrics of the answers, from their confusion matrix."""
    counts = np.array(answers.confusion)
    truth, taken = np.indices(counts.shape).reshape(2, -1)
    weighted = {"sample_weight": counts.ravel(), "labels": range(len(counts)), "zero_division": 0}
    columns = precision_recall_fscore_support(truth, taken, **weighted)
    by_class = tuple(
        ClassMetrics(float(precision), float(recall), float(f1), int(support))
        for precision, recall, f1, support in zip(*columns, strict=True)
    )
    seen = counts.sum(axis=0) + counts.sum(axis=1) > 0  # a class that the split lacks is 0 / 0, no error of anyone's
    precision, recall, f1 = np.mean(np.array(columns[:3])[:, seen], axis=1).tolist()
    macro = ClassMetrics(precision, recall, f1, int(counts.sum()))
    return Metrics(float(np.trace(counts) / counts.sum()), macro, by_class)
