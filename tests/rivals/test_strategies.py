"""What searches pay: by hand on four cells, by brute force over all orders, and properties of random studies."""

import math
import subprocess
import sys
from itertools import permutations
from statistics import fmean

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgu.rivals import STRATEGIES
from mgu.rivals import strategies as registry
from mgu.rivals.exhaustive import expected_reached_s, grid, oracle, parallel, random_order, shuffled
from mgu.rivals.replay import Stretch, paid
from mgu.rivals.with_optuna import asha, hyperband, tpe
from samples import make_run

TARGET = 0.8
#: Weak, at the target in its second epoch, diverged at a score above it, and at the target at once but late.
WEAK = make_run("weak", [0.5, 0.6], [10, 20], 21, norm="ln")
GOOD = make_run("good", [0.7, 0.9], [4, 8], 9, norm="bn_pre", lost=2)
GONE = make_run("gone", [0.85], [3], 5, norm="bn_post", finished=False)
LATE = make_run("late", [0.8, 0.7], [30, 60], 61, norm="no_norm")
CELLS = (WEAK, GOOD, GONE, LATE)


def seen(outcome):
    return outcome.cost_s, outcome.reached_s, outcome.pick and outcome.pick.name


def test_the_serial_grid_by_hand():
    assert seen(grid(CELLS, TARGET, 0)) == (21 + 11 + 5 + 61, 21 + 2 + 8, "good")


def test_all_cells_at_once_by_hand():
    assert seen(parallel(CELLS, TARGET, 0)) == (61, 10, "good")


def test_the_oracle_by_hand():
    assert seen(oracle(CELLS, TARGET, 0)) == (11, 10, "good")
    equal = make_run("equal", [0.9], [6], 7, losses=[2.0])
    assert seen(oracle((*CELLS, equal), TARGET, 0)) == (7, 6, "equal")


def test_random_order_stops_with_the_cell_that_meets_the_target():
    for seed in range(20):
        cost, reached = 0.0, math.inf
        for run in shuffled(CELLS, seed):
            if run in (GOOD, LATE):
                reached = cost + {"good": 10, "late": 30}[run.name]
                cost += run.total_s
                break
            cost += run.total_s
        assert seen(random_order(CELLS, TARGET, seed))[:2] == (cost, reached)


@pytest.mark.parametrize("cells", [CELLS, (GOOD, LATE), (WEAK, GONE, GOOD), (GOOD,)])
def test_the_expectation_is_the_mean_over_all_orders(cells):
    orders = [grid(order, TARGET, 0).reached_s for order in permutations(cells)]
    assert expected_reached_s(cells, TARGET) == pytest.approx(fmean(orders))


def test_a_target_that_nobody_meets_is_never_reached_and_all_is_paid():
    for search in (grid, parallel, oracle, random_order):
        assert search(CELLS, 0.95, 0).reached_s == math.inf
    assert random_order(CELLS, 0.95, 3).cost_s == 98
    assert expected_reached_s(CELLS, 0.95) == math.inf


def test_no_cell_finished():
    for name, strategy in STRATEGIES.items():
        outcome = strategy.replay((GONE, make_run("failed", [], [], 4, finished=False)), 0.1, 0)
        assert (outcome.reached_s, outcome.pick) == (math.inf, None), name
        assert outcome.cost_s <= 9


def test_a_stretch_that_goes_on_pays_what_is_left_and_may_meet_the_target():
    stretches = [Stretch(GOOD, 0, 1), Stretch(WEAK, 0, 1), Stretch(GOOD, 1, 3)]
    assert seen(paid(stretches, TARGET)) == (6 + 10 + 5, 6 + 10 + 4, "good")
    assert paid(stretches[:2], TARGET).pick is None


def test_a_rounded_mean_is_met_by_the_score_that_it_is_of():
    score = 0.9833333333333333
    assert make_run("r", [score], [1], 2).reached_s(math.nextafter(score, 1)) == 1


@pytest.mark.parametrize("seed", range(5))
def test_asha_is_optunas_rule_on_the_cells_in_order(seed):
    """A cell goes on from a rung where it is among the best third that were there, or the best of fewer than three."""
    scores = [[0.1 * ((7 * i + 3 * e) % 10) + 0.001 * i for e in range(10)] for i in range(9)]
    cells = [make_run(f"r{i}", row, range(1, 11), 10.5) for i, row in enumerate(scores)]
    rungs = {1: [], 3: [], 9: []}
    cost = 0.0
    for run in shuffled(cells, seed):
        for stage, there in rungs.items():
            value = run.epochs[stage - 1].val_score
            there.append(value)
            if value < sorted(there)[-max(1, len(there) // 3)]:
                cost += stage
                break
        else:
            cost += 10.5
    assert asha(cells, TARGET, seed).cost_s == pytest.approx(cost)


@pytest.mark.parametrize("seed", range(5))
def test_tpe_trains_half_of_the_cells_and_none_twice(seed):
    norms = ("bn_pre", "bn_post", "ln", "no_norm", "rms_norm", "group_norm", "instance_norm")
    cells = [make_run(norm, [0.1 * i], [2**i], 2**i, norm=norm) for i, norm in enumerate(norms)]
    cost = tpe(cells, TARGET, seed).cost_s  # a sum of different powers of two
    assert int(cost).bit_count() == 4


def test_hyperband_draws_by_seed_and_gives_the_same_again():
    cells = [make_run(f"r{i}", [0.1, 0.2, 0.3 + i / 100], [i + 1, i + 2, i + 3], i + 4) for i in range(6)]
    costs = [hyperband(cells, TARGET, seed).cost_s for seed in range(10)]
    assert costs == [hyperband(cells, TARGET, seed).cost_s for seed in range(10)]
    assert len(set(costs)) > 1


def test_optuna_is_as_talkative_afterwards_as_before(capfd):
    before = optuna.logging.get_verbosity()
    tpe(CELLS, TARGET, 0)
    assert optuna.logging.get_verbosity() == before
    assert capfd.readouterr() == ("", "")


@st.composite
def studies(draw):
    norms = draw(st.permutations(["bn_pre", "bn_post", "ln", "no_norm", "rms_norm"]))
    runs = []
    for norm in norms[: draw(st.integers(1, 5))]:
        scores = draw(st.lists(st.sampled_from([0.1, 0.4, 0.5, 0.8, 0.9]), min_size=1, max_size=6))
        steps = draw(st.lists(st.integers(1, 9), min_size=len(scores), max_size=len(scores)))
        seconds = [sum(steps[: i + 1]) for i in range(len(steps))]
        options = {"lost": draw(st.integers(0, 3)), "finished": draw(st.booleans()), "norm": norm}
        runs.append(make_run(norm, scores, seconds, seconds[-1] + draw(st.integers(0, 4)), **options))
    return runs


@settings(max_examples=40)
@given(studies(), st.sampled_from([0.05, 0.5, 0.8, 0.9, 0.95]), st.integers(0, 1000))
def test_none_costs_more_than_the_grid_and_none_less_than_the_oracle_for_as_much(runs, target, seed):
    total, bound = grid(runs, target, seed).cost_s, oracle(runs, target, seed)
    for name, strategy in STRATEGIES.items():
        outcome = strategy.replay(runs, target, seed)
        assert outcome.cost_s <= total, name
        assert bound.reached_s <= outcome.reached_s, name
        assert outcome.reached_s == math.inf or outcome.reached_s <= outcome.cost_s, name
        if outcome.pick and outcome.pick.val_score == bound.pick.val_score:
            assert bound.cost_s <= outcome.cost_s, name


def test_without_optuna_three_say_what_to_install(monkeypatch):
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    missing = {name: strategy.missing for name, strategy in STRATEGIES.items() if strategy.missing}
    assert missing == dict.fromkeys(("asha", "hyperband", "tpe"), "pip install mgu[optuna]")


def test_optuna_is_imported_where_it_is_used():
    script = "import sys, mgu.rivals, mgu.report.search_costs; print('optuna' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
