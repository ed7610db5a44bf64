"""Every number of a report against a calculation by hand, by ``statistics`` or by pandas."""

from dataclasses import replace
from statistics import mean, stdev

import pandas as pd
import pytest

from mgu.report.conclusion import answer, facts, no_speed_up
from mgu.report.score import ACCURACY
from mgu.report.tables import summarise
from mgu.report.trial_cells import ANSWER_COLUMNS, COST_COLUMNS
from mgu.report.trial_table import columns, trial_rows


def names(summary):
    return [row.model_name for row in summary.rows]


def by_name(summary):
    return {row.model_name: row for row in summary.rows}


def test_rows_are_averaged_over_finished_seeds(whole_study):
    rows = by_name(summarise(whole_study))
    p1 = rows["P1"]
    assert (p1.val_score.mean, p1.val_score.sd) == pytest.approx((mean([90, 88]), stdev([90, 88])))
    assert (p1.train_score.mean, p1.test_score.mean) == pytest.approx((94, 88))
    assert p1.tts_s == 105
    assert (p1.layout, p1.norm, p1.residual, p1.model_size) == ("[4, 2, 2, inf, 2]", "ln", "0", 98_920)
    assert (p1.seeds, p1.trials, p1.status, p1.is_mgu, p1.rank) == (2, 2, "finished", False, 2)


def test_a_miss_has_a_cost_and_no_accuracy(whole_study):
    p2 = by_name(summarise(whole_study))["P2"]
    assert p2.val_score.mean == pytest.approx(80)
    assert p2.val_score.sd is None
    assert p2.tts_s == mean([30, 70])
    assert (p2.seeds, p2.trials, p2.status) == (1, 2, "1 finished, 1 diverged")


def test_what_a_diverged_trial_reached_does_not_count(record, view):
    summary = summarise(view(record("P1", 0.99, status="diverged"), record("P2", 0.5)))
    assert names(summary) == ["P2", "P1"]
    assert by_name(summary)["P1"].val_score is None
    assert summary.best_plain.model_name == "P2"


def test_costs_and_speed_up(whole_study):
    summary = summarise(whole_study)
    seed_0, seed_1 = 100 + 30 + 7, 110 + 70
    assert summary.grid_total_s == mean([seed_0, seed_1])
    assert summary.mgu_tts_s == mean([40, 60 + 4])
    assert summary.speed_up == pytest.approx(mean([seed_0, seed_1]) / 52)
    assert summary.grid_cost.seeds == (0, 1)
    assert (summary.grid_cost.compile_s, summary.mgu_cost.compile_s) == (2.5, 4.5)
    assert (summary.ended, summary.total, summary.complete) == (6, 6, True)


def test_margins_are_means_over_paired_seeds(whole_study):
    summary = summarise(whole_study)
    assert summary.best_plain.model_name == "P1"
    assert dict(summary.val_margin.by_seed) == pytest.approx({0: 2, 1: 1})
    assert dict(summary.test_margin.by_seed) == pytest.approx({0: 1, 1: -1})
    assert summary.margin == pytest.approx(1.5)
    assert summary.margin_test == pytest.approx(0)


def test_margin_leaves_out_seeds_that_only_one_finished(record, view):
    summary = summarise(
        view(
            record("P1", 0.90, seed=0),
            record("P1", 0.70, seed=1),
            record("M1", 0.85, seed=0, cell=None),
            record("M1", 0.99, seed=2, cell=None),
        )
    )
    assert dict(summary.val_margin.by_seed) == pytest.approx({0: -5})
    assert summary.margin == pytest.approx(-5)
    assert summary.margin_test is None


def test_no_margin_without_a_shared_seed(record, view):
    summary = summarise(view(record("P1", 0.9, seed=0), record("M1", 0.9, seed=1, cell=None)))
    assert summary.margin is None
    assert summary.val_margin.by_seed == ()


def test_the_published_mnist_table_gives_the_published_speed_up(record, view):
    tts = [407, 248, 197, 363, 154, 404, 360, 323, 298, 314, 332, 433, 325, 305, 300, 383, 494, 482, 597, 338, 349, 437,
           339, 430]  # fmt: skip
    plain = [record(f"MNI_{i:03d}", 0.99 - i / 1000, tts=s) for i, s in enumerate(tts, 1)]
    summary = summarise(view(*plain, record("MNI_MGU_001", 0.9932, cell=None, tts=876)))
    assert summary.grid_total_s == 8612
    assert summary.speed_up == pytest.approx(9.83, abs=0.005)
    assert summary.grid_cost.models == 24


@pytest.mark.parametrize("status", ["pending", "running"])
@pytest.mark.parametrize("open_cell", ["ln", None])
def test_a_partial_study_claims_no_speed_up(record, view, status, open_cell):
    ended = [record("P1", 0.9), record("M1", 0.95, cell=None, tts=10)]
    assert summarise(view(*ended)).speed_up == 10
    summary = summarise(view(*ended, record("X1", cell=open_cell, status=status)))
    assert summary.speed_up is None
    assert (summary.ended, summary.total, summary.complete) == (2, 3, False)
    assert summary.margin == pytest.approx(5)


def test_a_model_that_missed_a_seed_ranks_below_those_that_did_not(record, view):
    records = [record("P1", 0.98, seed=seed) for seed in range(3)]
    records += [record("M1", 0.99, seed=0, cell=None)]
    records += [record("M1", seed=seed, cell=None, status="diverged") for seed in (1, 2)]
    summary = summarise(view(*records))
    assert names(summary) == ["P1", "M1"]
    assert (summary.rows[1].missed, summary.rows[1].seeds) == (2, 1)
    assert "99.00 % validation accuracy in 1 of 3 seeds (1 finished, 2 diverged)" in answer(summary)
    assert facts(summary)["Diverged or failed"] == "M1 (1 finished, 2 diverged)"


def test_ties_are_broken_by_validation_loss_and_not_by_time(record, view, history):
    def study(first_tts, second_tts):
        return view(
            record("P1", 0.98, test=0.97, tts=first_tts, history=history(0.98, loss=0.5)),
            record("P2", 0.98, test=0.99, tts=second_tts, history=history(0.98, loss=0.4)),
            record("M1", 0.98, test=0.98, cell=None),
        )

    for times in ((1.0, 1.01), (1.01, 1.0)):
        summary = summarise(study(*times))
        assert (summary.best_plain.model_name, summary.ties) == ("P2", 2)
        assert summary.margin_test == pytest.approx(-1)
        assert "(of 2 equally good, the one with the lowest validation loss)" in answer(summary)


def test_a_speed_up_is_of_the_seeds_that_both_have(record, view):
    plain = record("P1", 0.9, seed=0, tts=10)
    mgu = [record("M1", 0.9, seed=seed, cell=None, tts=tts) for seed, tts in ((0, 20), (1, 2), (2, 2))]
    assert summarise(view(plain, *mgu)).speed_up == 0.5
    assert summarise(view(plain, *mgu[1:])).speed_up is None
    assert "no seed was run on the MGU model and every plain one" in no_speed_up(summarise(view(plain, *mgu[1:])))


def test_how_coarse_a_margin_is_is_said(record, view):
    data = {"name": "digits", "validation": 240, "test": 360}
    said = facts(summarise(view(record("P1", 0.9), record("M1", 0.95, cell=None), data=data)))
    assert "one sample is 0.42 points; one seed says nothing of the spread" in said["Validation margin"]


def test_a_grid_with_models_left_out_claims_no_speed_up(record, view):
    records = [record("P1", 0.9, tts=100), record("M1", 0.95, cell=None, tts=10)]
    left_out = summarise(view(*records, space={"layouts": ["a", "b"], "cells": ["ln"]}))
    whole = summarise(view(*records, space={"layouts": ["a"], "cells": ["ln"]}))
    assert (left_out.complete, left_out.speed_up) == (False, None)
    assert "1 of the grid's 2 plain models were run" in no_speed_up(left_out)
    assert (whole.complete, whole.speed_up) == (True, 10)


def test_grid_total_takes_only_seeds_that_every_plain_model_ended(record, view):
    records = [
        record("P1", 0.9, seed=0, tts=1),
        record("P2", 0.8, seed=0, tts=2),
        record("P1", 0.9, seed=1, tts=1000),
        record("P2", seed=1, status="running", lost=50),
    ]
    summary = summarise(view(*records))
    assert (summary.grid_total_s, summary.grid_cost.seeds) == (3, (0,))
    assert summarise(view(*records[2:])).grid_total_s is None


def test_unequal_seeds_claim_what_they_share(record, view):
    summary = summarise(
        view(
            record("P1", 0.9, seed=0, tts=10),
            record("P2", 0.8, seed=0, tts=20),
            record("P1", 0.9, seed=1, tts=500),
            record("M1", 0.9, seed=0, cell=None, tts=6),
            record("M1", 0.9, seed=5, cell=None, tts=4),
        )
    )
    assert summary.grid_total_s == 30
    assert summary.speed_up == 5  # on seed 0, which both have: 30 s to 6 s
    assert by_name(summary)["P1"].seeds == 2


def test_no_speed_up_without_a_seed_of_the_whole_grid(record, view):
    summary = summarise(
        view(record("P1", 0.9, seed=0), record("P2", 0.9, seed=1), record("M1", 0.9, seed=0, cell=None))
    )
    assert summary.complete
    assert summary.grid_total_s is None
    assert summary.speed_up is None


def test_the_best_mgu_model_is_compared_and_the_cost_of_all_is_told(record, view):
    summary = summarise(
        view(
            record("P1", 0.9, tts=120),
            record("M1", 0.6, cell=None, tts=50),
            record("M2", 0.95, cell=None, tts=10),
            record("M3", status="failed", cell=None, tts=0),
        )
    )
    assert names(summary) == ["M2", "P1", "M1", "M3"]
    assert summary.best_mgu.model_name == "M2"
    assert (summary.mgu_tts_s, summary.speed_up) == (10, 12)
    assert summary.speed_up_all_mgu == 2
    assert summary.all_mgu_cost.models == 3


def test_order_is_finished_then_ended_then_pending(record, view):
    summary = summarise(
        view(
            record("pending", status="pending"),
            record("failed", status="failed", tts=3),
            record("worse", 0.5),
            record("slow", 0.9, tts=20),
            record("quick", 0.9, tts=10),
            record("running", status="running"),
        )
    )
    assert names(summary) == ["quick", "slow", "worse", "failed", "pending", "running"]
    assert [row.rank for row in summary.rows] == [1, 2, 3, None, None, None]
    assert [row.tts_s for row in summary.rows[3:]] == [3, None, None]
    assert [row.status for row in summary.rows[3:]] == ["failed", "pending", "running"]


def test_all_failed(record, view):
    summary = summarise(
        view(record("P1", status="failed", tts=4), record("M1", status="failed", tts=2, cell=None, compiled=1))
    )
    assert (summary.best_plain, summary.best_mgu, summary.margin, summary.mgu_tts_s) == (None, None, None, None)
    assert summary.grid_total_s == 4
    assert summary.speed_up is None
    assert summary.speed_up_all_mgu is None


def test_empty_study(view):
    summary = summarise(view())
    assert summary.rows == ()
    assert (summary.ended, summary.total, summary.complete, summary.grid_total_s) == (0, 0, False, None)
    assert trial_rows(view()) == []


def test_trial_rows_have_the_columns_in_order(whole_study):
    rows = trial_rows(whole_study)
    assert [tuple(row) for row in rows] == [columns(ACCURACY)] * 6
    assert columns(ACCURACY)[:9] == (
        "model_name", "layout", "norm", "residual", "model_size", "tts_s", "train_acc", "val_acc", "test_acc",
    )  # fmt: skip
    assert columns(ACCURACY)[9:] == (
        "seed", "status", "train_s", "compile_s", "best_epoch", "epochs", "attempts", "lost_s", "message", "latency_s",
        "kind", *ANSWER_COLUMNS[ACCURACY], *COST_COLUMNS,
    )  # fmt: skip


def test_trial_rows_tell_what_is_known_of_each(whole_study):
    rows = trial_rows(whole_study)
    assert [(row["model_name"], row["seed"]) for row in rows] == [
        (name, seed) for name in ("M1", "P1", "P2") for seed in (0, 1)
    ]
    mgu, p1, diverged = rows[0], rows[2], rows[4]
    assert (mgu["norm"], mgu["residual"], mgu["val_acc"], mgu["test_acc"], mgu["train_acc"]) == (
        "N/A", "N/A", 92, 90, None,
    )  # fmt: skip
    assert (p1["tts_s"], p1["train_s"], p1["compile_s"], p1["best_epoch"], p1["epochs"]) == (100, 80, 5, 2, 2)
    assert (diverged["status"], diverged["val_acc"], diverged["lost_s"], diverged["attempts"]) == (
        "diverged", None, 7, 2,
    )  # fmt: skip
    assert (diverged["norm"], diverged["residual"], diverged["message"]) == ("bn_pre", "1", "loss is nan")


def test_trial_rows_put_what_has_not_ended_last(record, view):
    rows = trial_rows(
        view(
            record("best", seed=1, status="running", lost=12.3456),
            record("best", 0.9, seed=2),
            record("best", 0.9, seed=0),
            record("worse", 0.8),
        )
    )
    assert [(row["model_name"], row["seed"]) for row in rows] == [("best", 0), ("best", 2), ("worse", 0), ("best", 1)]
    unknown = ("tts_s", "train_acc", "val_acc", "test_acc", "train_s", "compile_s", "best_epoch", "epochs", "message")
    assert [rows[-1][name] for name in unknown] == [None] * len(unknown)
    assert (rows[-1]["lost_s"], rows[-1]["attempts"]) == (12.346, 1)


def test_summary_agrees_with_pandas(record, view):
    figures = [(f"P{m}", s, 0.5 + 0.01 * m + 0.003 * s * m, 10.0 * m + s) for m in range(1, 6) for s in range(4)]
    summary = summarise(view(*(record(name, val, seed=seed, tts=tts) for name, seed, val, tts in figures)))
    frame = pd.DataFrame(trial_rows(view(*(record(n, v, seed=s, tts=t) for n, s, v, t in figures))))
    grouped = frame.groupby("model_name")
    for row in summary.rows:
        assert row.val_score.mean == pytest.approx(grouped["val_acc"].mean()[row.model_name], abs=1e-3)
        assert row.val_score.sd == pytest.approx(grouped["val_acc"].std(ddof=1)[row.model_name], abs=1e-3)
    assert summary.grid_total_s == pytest.approx(frame.groupby("seed")["tts_s"].sum().mean())
    assert names(summary) == list(grouped["val_acc"].mean().sort_values(ascending=False).index)


def test_a_zero_time_claims_no_speed_up(record, view):
    plain, mgu = record("P1", 0.9), record("M1", 0.9, cell=None)
    nothing = replace(mgu, result=replace(mgu.result, tts_s=0.0))
    assert summarise(view(plain, nothing)).speed_up is None
