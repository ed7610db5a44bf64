"""Metrics against scikit-learn's on the answers themselves, and against counts by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, log_loss, precision_score, recall_score

from mgu.history import Answers
from mgu.metrics import metrics
from mgu.training.tasks import Classification


@given(st.integers(2, 5), st.integers(1, 40), st.integers(0, 2**31))
def test_from_the_confusion_matrix_as_from_the_answers(classes, samples, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(samples, classes, generator=generator)
    y = torch.randint(classes, (samples,), generator=generator)
    answers = Classification(classes).answers(logits, y)
    found = metrics(answers)
    taken = logits.argmax(dim=1)
    every = {"labels": range(classes), "zero_division": 0}
    assert found.accuracy == pytest.approx(accuracy_score(y, taken))
    assert np.array_equal(answers.confusion, confusion_matrix(y, taken, labels=range(classes)))
    assert answers.log_loss == pytest.approx(log_loss(y, logits.double().softmax(dim=1), labels=range(classes)))
    for name, score in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
        assert getattr(found.macro, name) == pytest.approx(score(y, taken, average="macro", zero_division=0))
        by_class = [getattr(entry, name) for entry in found.by_class]
        assert by_class == pytest.approx(score(y, taken, average=None, **every).tolist())
    assert [entry.support for entry in found.by_class] == np.bincount(y, minlength=classes).tolist()


def test_a_matrix_by_hand():
    """Of 6 cats 4 were taken for cats, of 4 dogs 3 for dogs, and nobody was a horse or taken for one."""
    found = metrics(Answers(((4, 2, 0), (1, 3, 0), (0, 0, 0)), 0.5))
    assert found.accuracy == 0.7
    assert (found.by_class[0].precision, found.by_class[0].recall) == (4 / 5, 4 / 6)
    assert (found.by_class[1].precision, found.by_class[1].recall) == (3 / 5, 3 / 4)
    assert (found.by_class[2].precision, found.by_class[2].f1, found.by_class[2].support) == (0, 0, 0)
    assert found.macro.precision == pytest.approx((4 / 5 + 3 / 5) / 2)
    assert found.macro.support == 10


def test_a_class_that_the_split_lacks_spoils_no_perfect_answers():
    found = metrics(Answers(((4, 0, 0), (0, 0, 0), (0, 0, 3)), 0.0))
    assert (found.macro.precision, found.macro.recall, found.macro.f1) == (1, 1, 1)
    assert found.by_class[1].support == 0


def test_a_class_that_was_only_answered_counts():
    """Nobody was a horse, and one cat was taken for one."""
    found = metrics(Answers(((3, 0, 1), (0, 4, 0), (0, 0, 0)), 0.5))
    truth, taken = [0] * 4 + [1] * 4, [0, 0, 0, 2, 1, 1, 1, 1]
    assert found.macro.f1 == pytest.approx(f1_score(truth, taken, average="macro"))
    assert found.macro.f1 == pytest.approx((6 / 7 + 1 + 0) / 3)
