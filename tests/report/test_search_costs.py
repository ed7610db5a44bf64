"""Search costs of a study by hand, what is said of them, and where they stand."""

import csv
import math
import re
from dataclasses import replace

import pytest
from rich.console import Console

from mgu.history import Epoch, Result
from mgu.report import cost_words
from mgu.report.cost_table import COLUMNS, cost_rows
from mgu.report.page import write_report
from mgu.report.score import ACCURACY
from mgu.report.search_costs import search_costs
from mgu.report.tables import summarise
from mgu.report.terminal import print_summary
from mgu.rivals import STRATEGIES
from mgu.rivals import strategies as registry
from mgu.study.trial import Estimator, Record, Trial

CHEAP = ("grid", "parallel", "oracle", "random", "halving")


@pytest.fixture
def study(record, view, hardened):
    """Two seeds. The best plain model is P1, at 0.9 and 0.8: the target is 85 %."""

    def epochs(*known):
        return tuple(Epoch(i, 1.0, score, 1.0, score, elapsed) for i, (score, elapsed) in enumerate(known, 1))

    p1 = [epochs((0.6, 10), (0.9, 20)), epochs((0.7, 12), (0.8, 24))]
    p2 = [epochs((0.5, 5), (0.55, 10)), epochs((0.86, 5), (0.6, 10))]
    soft = [epochs((0.6, 8), (0.7, 16)), epochs((0.6, 8), (0.88, 16))]
    records = []
    for seed in (0, 1):
        records.append(record("P1", (0.9, 0.8)[seed], seed=seed, tts=(22, 25)[seed], test=0.8, history=p1[seed]))
        options = {"cell": "bn_pre", "lost": (0, 3)[seed], "history": p2[seed], "test": 0.7}
        records.append(record("P2", (0.55, 0.86)[seed], seed=seed, tts=11, **options))
        mgu = record("M1", (0.7, 0.88)[seed], seed=seed, cell=None, tts=17, test=0.85, history=soft[seed])
        own = epochs(((0.86, 0.7)[seed], 14 + 2 * seed))  # after soft epochs, which at seed 1 were at the target
        records.append(hardened(mgu, (0.86, 0.7)[seed], tts=15 + 2 * seed, test=0.9, history=own, after=2))
    return view(*records, space={"layouts": [1], "cells": [1, 2]}, data={"name": "small"})


def spread(row, name):
    found = getattr(row, name)
    return found.median, found.low, found.high


def test_the_target_is_the_best_plain_models_mean_at_each_seed(study):
    costs = search_costs(study, CHEAP)
    assert (costs.target, costs.seeds, costs.plain) == (pytest.approx(85), (0, 1), "P1")
    assert (costs.mgu, costs.hardened, costs.missing) == ("M1", "M1 hardened", "")


@pytest.mark.parametrize(
    ("name", "cost", "to_target", "reached", "val"),
    [
        ("P1", (23.5, 22.75, 24.25), (math.inf, math.inf, math.inf), 0.5, 85),
        ("P2", (12.5, 11.75, 13.25), (math.inf, math.inf, math.inf), 0.5, 70.5),
        ("M1", (17, 17, 17), (math.inf, math.inf, math.inf), 0.5, 79),
        ("M1 hardened", (16, 15.5, 16.5), (math.inf, math.inf, math.inf), 0.5, 78),
        ("grid", (36, 34.5, 37.5), (26.5, 23.25, 29.75), 1, 88),
        ("parallel", (23.5, 22.75, 24.25), (14, 11, 17), 1, 88),
        ("oracle", (18, 16, 20), (14, 11, 17), 1, 88),
        ("halving", (26.5, 26, 27), (22.5, 20, 25), 1, 88),  # at seed 1 after 8 s or 20 s, as the order is
    ],
)
def test_a_row_by_hand(study, name, cost, to_target, reached, val):
    row = search_costs(study, CHEAP).row(name)
    assert spread(row, "cost_s") == pytest.approx(cost)
    assert spread(row, "to_target_s") == pytest.approx(to_target)
    assert (row.reached, row.replays) == (reached, 2000 if name == "halving" else 2)
    assert row.val_score.median == pytest.approx(val)


def test_random_order_by_hand(study):
    row = search_costs(study, CHEAP).row("random")
    assert row.replays == 2000
    first = (20 + (20 + 11)) / 2, (8 + (25 + 8)) / 2  # at each seed one of the two cells meets the target
    assert row.expected_s == pytest.approx(sum(first) / 2)
    assert row.reached == 1


def test_differences_to_the_best_plain_model_and_break_even(study):
    hard, soft = search_costs(study, CHEAP).against
    assert (soft.name, hard.name) == ("M1", "M1 hardened")
    assert dict(hard.val_score.by_seed) == pytest.approx({0: -4, 1: -10})
    assert hard.val_score.interval == pytest.approx((-10, -4))
    assert dict(hard.test_score.by_seed) == pytest.approx({0: 10, 1: 10})
    assert dict(hard.cost_s.by_seed) == pytest.approx({0: -7, 1: -8})
    assert hard.break_even == pytest.approx(16 / 18)  # the cells cost 22, 11, 25 and 14
    assert soft.break_even == pytest.approx(17 / 18)


def test_a_hardened_network_that_is_not_there_is_a_miss_at_full_cost(study):
    without = [replace(r, result=replace(r.result, hardening=None)) if r.trial.seed else r for r in study.records]
    row = search_costs(replace(study, records=tuple(without)), CHEAP).row("M1 hardened")
    assert (row.replays, row.reached) == (2, 0.5)
    assert row.cost_s.median == (15 + 17) / 2


def test_soft_epochs_are_on_the_clock_of_the_hardened_network_and_meet_no_target_for_it(study):
    (soft,) = (r for r in study.records if r.trial.is_mgu and r.trial.seed == 1)
    assert soft.result.hardening.result.history[1].val_score > 0.85
    seeds = {model.name: model for model in search_costs(study, CHEAP).every_seed}
    assert (seeds["M1"].met, seeds["M1"].to_target_s) == (1, 16)
    assert (seeds["M1 hardened"].met, seeds["M1 hardened"].to_target_s) == (1, 14)


@pytest.mark.parametrize("seeds", [(0, 1), (0,)])
def test_trained_rivals_change_no_cost(study, record, history, seeds):
    """Theirs are cheaper and better than all cells; TPE and the others would find them."""
    estimator = Trial("HGB", Estimator("hist_gradient_boosting"), 0, 0, "boosting")
    more = [record("S1", 0.99, seed=s, cell="sn", rival="switchable", tts=1, history=history(0.99)) for s in seeds]
    more += [Record(replace(estimator, seed=s), "finished", 1, Result("finished", 0.5, val_score=0.98)) for s in seeds]
    alone, beside = (search_costs(replace(study, records=(*study.records, *rows)), STRATEGIES) for rows in ((), more))
    rivals = [row for row in beside.rows if row.name in ("S1", "HGB")]
    assert [(row.cost_s.median, row.replays) for row in rivals] == [(1, len(seeds)), (0.5, len(seeds))]
    assert replace(beside, rows=tuple(row for row in beside.rows if row not in rivals)) == alone


def test_the_verdict(study):
    costs = search_costs(study, CHEAP)
    assert cost_words.verdict(costs) == (
        "Synchronous successive halving reached the target in 22.5 s (median), and MGU hardened in the median did not. "
        "MGU hardened met the target in 1 of 2 seeds, synchronous successive halving in 2,000 of 2,000 replays; until "
        "they end they take 16.0 s and 26.5 s, and pick 78.00 % and 88.00 % validation accuracy (medians). "
        "MGU hardened ends 7.00 points below the target."
    )


@pytest.mark.parametrize(
    ("own", "rival", "said"),
    [
        (10, 25, "MGU reached the target at less cost than h: 10.0 s against 25.0 s (medians), 0.40 times as much"),
        (25, 10, "MGU reached the target at more cost than h: 25.0 s against 10.0 s (medians), 2.50 times as much"),
        (10, math.inf, "MGU reached the target in 10.0 s (median), and h in the median did not"),
        (math.inf, 10, "H reached the target in 10.0 s (median), and MGU in the median did not"),
        (math.inf, math.inf, "Neither MGU nor h reached the target in the median"),
    ],
)
def test_who_reached_it(own, rival, said):
    assert cost_words._reached("MGU", own, "h", rival) == said


def test_no_verdict_without_halving_or_mgu(study):
    assert cost_words.verdict(search_costs(study, ["grid"])) == ""
    plain = replace(study, records=tuple(r for r in study.records if not r.trial.is_mgu))
    assert cost_words.verdict(search_costs(plain, CHEAP)) == ""


def test_one_seed_has_no_interval_and_says_so(study):
    one = replace(study, records=tuple(r for r in study.records if r.trial.seed == 0))
    facts = cost_words.facts(search_costs(one, CHEAP))
    assert facts["M1 hardened minus P1"].startswith("validation -4.00 (one seed: no interval) points")
    assert facts["Target"] == "90.00 % validation accuracy (P1, seed 0)"


def test_a_grid_that_is_not_whole_has_no_search_costs(study, record, view):
    left_out = replace(study, settings={"space": {"layouts": [1], "cells": [1, 2, 3]}})
    cases = {
        "6 of 7 trials ended": replace(study, records=(*study.records, record("P3", status="pending"))),
        "2 of the grid's 3 plain models were run": left_out,
        "no plain model finished": view(record("P1", status="failed")),
        "no seed was run on every plain model": view(record("M1", 0.9, cell=None)),
    }
    for reason, case in cases.items():
        costs = search_costs(case, CHEAP)
        assert [(row.missing, row.cost_s) for row in costs.rows] == [(reason, None)] * len(CHEAP), reason
        assert cost_words.facts(costs) == {"Search costs": f"not available: {reason}"}
        assert cost_words.verdict(costs) == ""
        assert all(row["missing"] == reason for row in cost_rows(costs))


def test_without_optuna_its_rows_say_what_to_install(study, monkeypatch):
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    costs = search_costs(study, STRATEGIES)
    texts = {row.name: [column.text(row) for column in cost_words.columns(ACCURACY)] for row in cost_words.shown(costs)}
    assert texts["tpe"] == ["tpe", "not available: pip install mgu[optuna]", "-", "-", "-", "-", "-"]
    assert "not available" not in texts["halving"][1]
    assert cost_words.lines(costs)["Search costs, asha"] == "not available: pip install mgu[optuna]"


def test_the_table_shows_mgu_the_best_plain_model_and_the_searches_asked_for(study):
    costs = search_costs(study, ["oracle", "grid"])
    assert [row.name for row in cost_words.shown(costs)] == ["M1 hardened", "M1", "P1", "oracle", "grid"]


def test_csv_has_every_model_and_search(study, tmp_path):
    write_report(study, tmp_path, CHEAP)
    rows = list(csv.DictReader((tmp_path / "search_costs.csv").read_text().splitlines()))
    assert tuple(rows[0]) == COLUMNS
    assert [row["name"] for row in rows] == ["P1", "P2", "M1", "M1 hardened", *CHEAP]
    by_name = {row["name"]: row for row in rows}
    assert (by_name["grid"]["cost_s"], by_name["grid"]["cost_s_low"], by_name["grid"]["kind"]) == (
        "36.0",
        "34.5",
        "search",
    )
    assert (by_name["P1"]["to_target_s"], by_name["P1"]["reached"]) == ("inf", "0.5")


def test_both_pages_and_the_terminal_say_it(study, tmp_path, capsys):
    write_report(study, tmp_path, ["halving", "grid"])
    verdict = "Synchronous successive halving reached the target in 22.5 s (median), and MGU hardened in the median"
    for name in ("report.md", "report.html"):
        text = (tmp_path / name).read_text()
        assert verdict in text
        names = ("The models, best first", "Search costs", "Training histories")
        assert sorted(names, key=text.rindex) == list(names)
        assert len(re.findall("[>|] ?every cell, one after the other", text)) == 1
    print_summary(summarise(study), Console(width=20), search_costs(study, ["halving", "grid"]))
    out = capsys.readouterr().out
    assert f"Against successive halving: {verdict}" in out
    assert "Search costs, grid: 36.0 s (34.5 s to 37.5 s) until it ends; to the target 26.5 s" in out


def test_without_rivals_nothing_is_said_and_no_old_costs_are_left(study, tmp_path):
    write_report(study, tmp_path, ["grid"])
    assert (tmp_path / "search_costs.csv").exists()
    write_report(study, tmp_path)
    assert not (tmp_path / "search_costs.csv").exists()
    assert "Search costs" not in (tmp_path / "report.md").read_text() + (tmp_path / "report.html").read_text()
