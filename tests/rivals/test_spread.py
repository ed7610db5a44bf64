"""Medians, quartiles and intervals against numpy and scipy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap as scipy_bootstrap

from mgu.rivals.spread import Paired, Spread, bootstrap

FIGURES = st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=20)


@given(FIGURES)
def test_quartiles_are_numpys(figures):
    spread = Spread.of(figures)
    assert [spread.low, spread.median, spread.high] == pytest.approx(list(np.quantile(figures, [0.25, 0.5, 0.75])))


def test_a_quantile_that_lies_towards_infinity_is_infinite():
    inf = math.inf
    assert Spread.of([inf, 1.0, 2.0]) == Spread(2.0, 1.5, inf)
    assert Spread.of([inf, inf, 2.0]) == Spread(inf, inf, inf)
    assert Spread.of([1.0, 1.0, 1.0, inf, 1.0]) == Spread(1.0, 1.0, 1.0)
    assert Spread.of([]) is None


@pytest.mark.parametrize("figures", [[1.0, 2.0, 4.0, 8.0, 16.0], [0.3, 0.15, -0.2], list(range(20))])
def test_the_interval_is_scipys(figures):
    known = scipy_bootstrap((figures,), np.mean, n_resamples=20_000, method="percentile", rng=1).confidence_interval
    width = known.high - known.low
    assert bootstrap(figures) == pytest.approx((known.low, known.high), abs=0.03 * width)


def test_the_interval_of_two_is_their_range_and_one_has_none():
    assert bootstrap([1.0, 3.0]) == (1.0, 3.0)
    assert bootstrap([1.0]) is None
    assert Paired.of([(0, 1.0)]) == Paired(((0, 1.0),), Spread(1.0, 1.0, 1.0), 1.0, None)
    assert Paired.of([]) is None


@given(FIGURES.filter(lambda figures: len(figures) > 1))
def test_the_interval_lies_within_the_range(figures):
    low, high = bootstrap(figures, resamples=99)
    slack = 1e-9 * max(map(abs, figures))
    assert min(figures) - slack <= low <= high <= max(figures) + slack
