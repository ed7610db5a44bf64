"""Synchronous successive halving against the paper's algorithm, written from it on a table of losses."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgu.rivals.halving import halving
from samples import make_run


def reference(losses, seconds):
    """Jamieson & Talwalkar, Algorithm 1, with the rungs and the factor of Hyperband's inner loop: arms x epochs.

    Returns which arm is left, and the seconds of all pulls: an arm's epochs cost it ``seconds`` each.
    """
    arms, resource, trained = list(range(len(losses))), 1, np.zeros(len(losses), int)
    horizon = losses.shape[1]
    while len(arms) > 1:
        pulls = min(resource, horizon)
        trained[arms] = pulls
        ranked = np.argsort([losses[arm, :pulls].min() for arm in arms], kind="stable")
        arms = [arms[i] for i in ranked[: max(1, math.floor(len(arms) / 3))]]
        resource *= 3
    trained[arms] = horizon
    return arms[0], float(trained @ seconds)


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 10_000))
def test_the_paper_s_algorithm(arms, horizon, seed):
    rng = np.random.default_rng(seed)
    losses = rng.permutation(arms * horizon).reshape(arms, horizon) / (arms * horizon)  # no two alike
    seconds = rng.integers(1, 10, arms)
    runs = [
        make_run(
            f"r{i}", list(1 - losses[i]), [int(seconds[i] * e) for e in range(1, horizon + 1)], seconds[i] * horizon
        )
        for i in range(arms)
    ]
    arm, cost_s = reference(losses, seconds)
    outcome = halving(runs, 2.0, seed)
    assert outcome.pick.name == f"r{arm}"
    assert outcome.cost_s == pytest.approx(cost_s)


def test_seven_cells_by_hand():
    """7 cells take an epoch each, the best 2 go on to 3 epochs, the better one to its end, with its test."""
    first = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    runs = [make_run(f"r{i}", [v, v, v + (0.3 if i == 5 else 0), v, v], range(1, 6), 5.5) for i, v in enumerate(first)]
    outcome = halving(runs, 0.9, 0)
    assert (outcome.pick.name, outcome.cost_s) == ("r5", 7 * 1 + 2 * 2 + 2.5)
    assert outcome.reached_s == 7 + 2 + 2  # on its second rung r6, which was better on the first, goes before it
    assert {halving(runs, 0.7, seed).reached_s for seed in range(50)} == {1, 2, 3, 4, 5, 6, 7}


def test_one_that_diverges_does_not_go_on():
    gone = make_run("gone", [0.9], [1], 2.5, finished=False)
    runs = [gone, *(make_run(f"r{i}", [0.1 * i] * 4, range(1, 5), 4.5) for i in range(6))]
    outcome = halving(runs, 0.95, 0)
    assert (outcome.pick.name, outcome.cost_s) == ("r5", 7 + 1.5 + 2 + 1.5)


def test_of_equally_accurate_cells_the_one_with_the_lower_loss_goes_on():
    runs = [make_run(f"r{i}", [0.5, 0.5], [1, 2], 3, losses=[loss, 1.0]) for i, loss in enumerate((3.0, 1.0, 2.0))]
    assert {halving(runs, 0.9, seed).pick.name for seed in range(10)} == {"r1"}


def test_a_cell_that_stopped_early_waits_at_its_end():
    short = make_run("short", [0.9], [1], 1.5)
    runs = [short, *(make_run(f"r{i}", [0.1 * i] * 9, range(1, 10), 9.5) for i in range(6))]
    outcome = halving(runs, 0.95, 0)
    assert (outcome.pick.name, outcome.cost_s) == ("short", 7 + 0.5 + 2)
