"""How scores and other figures are said."""

import math
import re
from statistics import stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgu.report.figures import MeanSd, mean_sd, number, quantity
from mgu.report.score import ACCURACY, R2, SCORES, score_of
from mgu.study.trial import StudyView

BOTH = pytest.mark.parametrize("score", [ACCURACY, R2], ids=["accuracy", "r2"])


def test_r2_is_a_plain_number():
    assert R2.full(MeanSd(0.48123, 0.0093)) == "0.4812 ± 0.0093"
    assert R2.full(0.48123) == R2.number(0.48123) == "0.4812"
    assert [R2.signed(difference) for difference in (0.18, -0.0421, -0.00001)] == ["+0.1800", "-0.0421", "+0.0000"]
    assert (R2.difference(-0.042), ACCURACY.difference(-4.2)) == ("0.0420", "4.20 points")
    assert (R2.header("val"), ACCURACY.header("val")) == ("val_r2", "val_acc, %")
    assert (R2.column("val"), ACCURACY.column("val")) == ("val_r2", "val_acc")
    assert (R2.axis, ACCURACY.axis) == ("validation R²", "validation accuracy, %")
    assert (R2.grain(250, "sample"), ACCURACY.grain(250, "sample")) == ("", "one sample is 0.40 points")
    assert (R2.shown(0.48), ACCURACY.shown(0.48), R2.shown(None)) == (0.48, 48, None)
    assert (R2.cut, ACCURACY.cut) == ("What is below -0.2 is not shown.", "")


@BOTH
@given(st.floats(-900, 900))
def test_a_level_difference_is_one_that_is_not_seen(score, difference):
    seen = float(score.signed(difference))
    assert seen == pytest.approx(difference, abs=0.5000001 * 10**-score.digits)
    assert score.is_level(difference) == (abs(difference) < 0.5 * 10**-score.digits)
    assert not score.signed(difference).startswith("-0") or seen


@BOTH
@pytest.mark.parametrize(("figure", "text"), [(-1.25e8, "-1.25e+08"), (-math.inf, "-inf"), (-1234.5, "-1.23e+03")])
def test_what_diverged_is_short(score, figure, text):
    assert score.number(figure) == score.signed(figure) == text
    assert score.mean_sd(MeanSd.of([figure])) == text


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=5))
def test_mean_and_standard_deviation(figures):
    found = MeanSd.of(figures)
    assert found.mean == pytest.approx(math.fsum(figures) / len(figures))
    assert found.sd == (pytest.approx(stdev(figures)) if len(figures) > 1 else None)


def test_an_infinite_figure_has_no_standard_deviation():
    assert MeanSd.of([0.5, -math.inf]) == MeanSd(-math.inf, None)
    assert mean_sd(MeanSd.of([0.5, -math.inf])) == "-inf"
    assert MeanSd.of([]) is None


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (MeanSd(54.3211, 1.2), "54.32 ± 1.20"),
        (MeanSd(45_210.4, 310.2), "45,210 ± 310"),
        (MeanSd(1.234e-7, 2e-9), "1.234e-07 ± 2.000e-09"),
        (MeanSd(0.01234567, None), "0.01235"),
        (MeanSd(0.0, None), "0"),
        (MeanSd(math.inf, None), "inf"),
        (None, "-"),
    ],
)
def test_quantities_of_any_size(figure, text):
    assert quantity(figure) == text


@given(st.floats(1e-12, 1e12))
def test_a_quantity_keeps_four_digits(value):
    assert float(quantity(MeanSd(value, None)).replace(",", "")) == pytest.approx(value, rel=5.1e-4)


def test_a_number_that_is_not_known():
    assert number(None) == "-"
    assert re.fullmatch(r"0\.1235", number(0.12345678, 4))


@pytest.mark.parametrize(
    ("settings", "score"),
    [
        ({}, ACCURACY),
        ({"data": "a string"}, ACCURACY),
        ({"data": {"task": "classification"}}, ACCURACY),
        ({"data": {"task": "regression"}}, R2),
    ],
)
def test_the_task_says_what_the_score_is(settings, score):
    view = StudyView(settings, {})
    assert score_of(view) is SCORES[view.task] is score
