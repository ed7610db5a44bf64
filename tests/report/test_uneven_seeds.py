"""One seed for every cell, three for MGU and for the cells that were the best three: nothing is compared but what the
two sides share, and the report says who has how many seeds."""

from dataclasses import replace

import pytest

from mgu.history import Epoch
from mgu.report import conclusion, cost_words, spending_words
from mgu.report.page import write_report
from mgu.report.search_costs import search_costs
from mgu.report.spending import spending
from mgu.report.tables import summarise

#: Validation by seed. After seed 0 the first three are the best; their means are below what P4 has at its one seed.
PLAIN = {"P1": (0.93, 0.89, 0.88), "P2": (0.92, 0.89, 0.88), "P3": (0.91, 0.88, 0.87), "P4": (0.905,), "P5": (0.5,)}
SOFT, HARD = (0.94, 0.90, 0.95), (0.935, 0.91, 0.96)


def epochs(*known):
    return tuple(Epoch(i, 1.0, score, 1.0, score, elapsed) for i, (score, elapsed) in enumerate(known, 1))


@pytest.fixture
def study(record, hardened, view, with_usage):
    """A cell takes 10, 20, 30, 40 and 50 s, more by 1 s a seed, and as many Wh; MGU 60 s and, hardened, 35 s."""
    records = []
    for place, (name, scores) in enumerate(PLAIN.items(), 1):
        for seed, val in enumerate(scores):
            tts = 10 * place + seed
            own = record(name, val, seed=seed, tts=tts, test=val, history=epochs((val, tts - 1)))
            records.append(with_usage(own, tts))
    for seed, (val, hard) in enumerate(zip(SOFT, HARD, strict=True)):
        soft = record("M1", val, seed=seed, cell=None, tts=60 + seed, history=epochs((0.5, 8), (val, 50)))
        own = hardened(soft, hard, tts=35 + 2 * seed, history=epochs((hard, 20 + seed)))
        records.append(with_usage(own, 60 + 10 * seed))
    return view(*records, space={"layouts": [1], "cells": [1, 2, 3, 4, 5]}, data={"name": "small"})


def test_the_best_plain_model_is_one_of_those_with_the_most_seeds(study):
    summary = summarise(study)
    assert [row.model_name for row in summary.rows][:4] == ["M1 hardened", "M1", "P4", "P1"]
    assert (summary.best_plain.model_name, summary.candidates, summary.ties) == ("P1", 3, 1)
    assert "the best plain model of the 3 with the most seeds, P1, 90.00 ± 2.65 %" in conclusion.answer(summary)


def test_margins_are_over_the_seeds_that_both_have_and_costs_over_those_that_all_have(study):
    summary = summarise(study)
    assert dict(summary.hardened.val_margin.by_seed) == pytest.approx({0: 0.5, 1: 2, 2: 8})
    assert (summary.grid_cost.seeds, summary.grid_total_s) == ((0,), 150)
    assert summary.speed_up_hardened == pytest.approx(150 / 35)
    assert "MGU took 35.0 s, the grid of 5 models 150 s at seed 0: a speed-up of 4.29." in conclusion.answer(summary)


def test_the_target_and_the_replays_are_of_the_seed_that_every_cell_has(study):
    costs = search_costs(study, ["grid", "halving"])
    assert (costs.target, costs.seeds, costs.target_seeds) == (pytest.approx(93), (0,), (0,))
    facts = cost_words.facts(costs)
    assert facts["Target"] == "93.00 % validation accuracy (P1, seed 0)"
    grid = costs.row("grid")
    assert (grid.replays, grid.cost_s.median, grid.to_target_s.median, grid.reached) == (1, 150, 9, 1)
    assert (costs.row("P1").replays, costs.row("M1 hardened").to_target_s.median) == (1, 20)


def test_beside_the_target_stands_at_how_many_of_all_its_seeds_mgu_met_it(study):
    costs = search_costs(study, ["grid", "halving"])
    said = list(cost_words.facts(costs).items())
    assert said[1:3] == [
        ("M1 hardened, at all of its seeds", "target met in 2 of 3 (seeds 0, 1, 2), after 21.0 s on average"),
        ("M1, at all of its seeds", "target met in 2 of 3 (seeds 0, 1, 2), after 50.0 s on average"),
    ]
    assert cost_words.verdict(costs).endswith("All this is of seed 0: no other has every cell.")


def test_of_an_mgu_model_that_never_met_it_no_time_is_said(study):
    hardly = [
        replace(r, result=replace(r.result, history=r.result.history[:1], best_epoch=1, hardening=None))
        if r.trial.is_mgu
        else r
        for r in study.records
    ]
    facts = cost_words.facts(search_costs(replace(study, records=tuple(hardly)), ["grid"]))
    assert facts["M1, at all of its seeds"] == "target met in 0 of 3 (seeds 0, 1, 2)"


def test_the_break_even_is_of_the_seed_that_every_cell_has(study):
    hard, soft = search_costs(study, ["grid"]).against
    assert (hard.break_even, soft.break_even) == pytest.approx((35 / 30, 60 / 30))
    assert dict(hard.cost_s.by_seed) == pytest.approx({0: 25, 1: 26, 2: 27})


def test_what_the_grid_and_mgu_took_is_of_the_seed_that_every_cell_has(study):
    summary = summarise(study)
    said = spending_words.facts(spending(study, summary), summary)
    assert said["Operations"] == (
        "18.0 kFLOP for the whole grid of 5, 3.60 kFLOP for M1 hardened: 5.00 times as much (seed 0)"
    )
    assert said["Energy, measured (cpu)"].startswith("150 Wh for the whole grid of 5, 30.0 Wh for M1 hardened: 5.00")


def test_one_line_says_which_models_have_how_many_seeds(study, whole_study, tmp_path):
    assert conclusion.facts(summarise(study))["Seeds"] == "1 for P4, P5; 3 for the other 4"
    assert "Seeds" not in conclusion.facts(summarise(whole_study))
    write_report(study, tmp_path, ["grid"])
    for name in ("report.md", "report.html"):
        assert "1 for P4, P5; 3 for the other 4" in (tmp_path / name).read_text()


def test_a_best_plain_model_that_missed_the_shared_seed_sets_no_target(study, record):
    missed = [
        record(r.trial.model_name, status="diverged") if r.trial.kind == "plain" and r.trial.seed == 0 else r
        for r in study.records
    ]
    costs = search_costs(replace(study, records=tuple(missed)), ["grid"])
    assert costs.target is None
    assert costs.rows[0].missing == "the best plain model finished no seed that every cell has"
