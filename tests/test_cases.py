"""One answer a case: the mean of its images' probabilities, by hand, by pandas and scikit-learn, and in a whole run."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss

from cervigrams import write_cases
from mgu.data import DataSet, load_data
from mgu.metrics import metrics
from mgu.spaces import load_space
from mgu.training import Recipe, fit
from mgu.training.cases import case_answers
from mgu.training.samples import Samples, on_device, predict
from mgu.training.tasks import Classification


def probabilities(logits: torch.Tensor) -> np.ndarray:
    exp = np.exp(logits.double().numpy())
    return exp / exp.sum(axis=1, keepdims=True)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=12), st.integers(2, 4), st.integers(0, 2**31))
def test_as_pandas_and_scikit_learn_have_it(sizes, classes, seed):
    generator = torch.Generator().manual_seed(seed)
    groups = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    groups = groups[torch.randperm(len(groups), generator=generator)]
    truth = torch.randint(classes, (len(sizes),), generator=generator)
    logits = 3 * torch.randn(len(groups), classes, generator=generator)
    answers = case_answers(Classification(classes), logits, Samples(logits, truth[groups], groups))
    means = pd.DataFrame(probabilities(logits)).groupby(groups.numpy()).mean().to_numpy()
    labels = range(classes)
    assert np.array_equal(answers.confusion, confusion_matrix(truth, means.argmax(1), labels=labels))
    assert answers.log_loss == pytest.approx(log_loss(truth, means, labels=labels))
    assert metrics(answers).accuracy == pytest.approx(accuracy_score(truth, means.argmax(1)))


def test_two_cases_by_hand():
    """Of case 0, class 0, two of three images are taken for class 1, but just so, and the third is certain: means 0.59
    and 0.41. The one image of case 1, class 0, is taken for class 1."""
    chances = torch.tensor([[0.45, 0.55], [0.2, 0.8], [0.97, 0.03], [0.35, 0.65]])
    samples = Samples(chances, torch.tensor([0, 0, 0, 0]), torch.tensor([0, 1, 0, 0]))
    answers = case_answers(Classification(2), chances.log(), samples)
    assert answers.confusion == ((1, 1), (0, 0))
    assert answers.log_loss == pytest.approx(-(np.log(1.77 / 3) + np.log(0.2)) / 2)
    assert metrics(answers).accuracy == 0.5


def test_a_probability_too_small_for_a_number():
    logits = torch.tensor([[0.0, 2000.0], [0.0, 2000.0]])
    samples = Samples(logits, torch.tensor([0, 0]), torch.tensor([0, 0]))
    assert case_answers(Classification(2), logits, samples).log_loss == pytest.approx(2000)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> DataSet:
    folder = write_cases(tmp_path_factory.mktemp("cervigrams") / "cases", 24, 16)
    return load_data(str(folder), keep={"stage": "acetic_acid"}, image_size=(16, 16))


def test_a_run_on_cases_keeps_an_answer_for_each(data):
    model = load_space("digits").models()["DIG_MGU_001"]
    fitted = fit(model, data, Recipe(epochs=2, batch_size=8, harden_after=0.5))
    samples = on_device(data, torch.device("cpu"))[2]
    means = pd.DataFrame(probabilities(predict(fitted.network, samples))).groupby(data.test.groups).mean()
    truth = pd.Series(data.test.y).groupby(data.test.groups).first()
    own = confusion_matrix(truth, means.to_numpy().argmax(1), labels=range(4))
    assert np.array_equal(fitted.result.test_case_answers.confusion, own)
    assert sum(map(sum, fitted.result.test_case_answers.confusion)) == 5
    assert sum(map(sum, fitted.result.hardening.result.test_case_answers.confusion)) == 5
    assert sum(map(sum, fitted.result.test_answers.confusion)) == 25


def test_without_groups_there_are_none(data):
    alone = replace(data, test=replace(data.test, groups=None))
    result = fit(load_space("digits").models()["DIG_007"], alone, Recipe(epochs=1)).result
    assert result.test_case_answers is None
    assert result.test_answers is not None
