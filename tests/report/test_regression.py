"""The report of a study that predicts a quantity: R² as plain numbers and errors in the target's unit, everywhere."""

import csv
import math
import re
from dataclasses import replace

import pytest
from rich.console import Console

from mgu.history import Epoch, Errors
from mgu.report import conclusion
from mgu.report.answers import answers, model_errors
from mgu.report.cost_plot import cost_figure
from mgu.report.page import write_report
from mgu.report.plots import figure_svg, history_figure
from mgu.report.published import Published, read_published
from mgu.report.score import R2
from mgu.report.search_costs import search_costs
from mgu.report.tables import summarise
from mgu.report.terminal import print_summary
from mgu.report.trial_table import columns, trial_rows

DATA = {"name": "diabetes", "task": "regression", "validation": 88, "test": 88}
CHEAP = ("grid", "parallel", "oracle", "random", "halving")


def off(record, mae, rmse):
    """The record with errors on the test split, and those of what it was hardened to half as large."""
    result = record.result
    hard = result.hardening
    if hard:
        half = Errors(hard.result.test_score, mae / 2, rmse / 2)
        hard = replace(hard, result=replace(hard.result, test_answers=half))
    answered = replace(result, test_answers=Errors(result.test_score, mae, rmse), hardening=hard)
    return replace(record, result=answered)


@pytest.fixture
def study(record, hardened, view, history):
    """Two seeds of two plain models and one MGU model, hardened; P2 is worse than the mean."""
    records = []
    for seed in (0, 1):
        more = 0.1 * seed
        p1 = record("P1", 0.4 + more, seed=seed, tts=20, train=-0.5, test=0.3, history=history(-40.0, 0.4 + more))
        p2 = record("P2", -3.5, seed=seed, tts=10, test=-4.0, cell="bn_pre", history=history(-1e30, -3.5))
        soft = record("M1", 0.45, seed=seed, cell=None, tts=6, test=0.25, history=history(-2.0, 0.45))
        mgu = hardened(soft, 0.48 + more, tts=5, test=0.35, history=history(0.2, 0.48 + more))
        records += [off(p1, 44.5 + seed, 55.25), off(p2, 144.0, 155.0), off(mgu, 43.0, 54.0)]
    return view(*records, data=DATA, space={"layouts": [1], "cells": [1, 2]})


def test_the_answer(study):
    assert conclusion.answer(summarise(study)) == (
        "M1 hardened reached 0.5300 ± 0.0707 validation R²; the best plain model, P1, 0.4500 ± 0.0707: MGU is 0.0800 "
        "better over 2 paired seeds. MGU took 5.00 s, the grid of 2 models 30.0 s: a speed-up of 6.00. Not hardened, "
        "M1 reached 0.4500 ± 0.0000, level with that plain model, in 6.00 s: a speed-up of 5.00."
    )


def test_the_facts(study):
    facts = conclusion.facts(summarise(study))
    assert facts["Hardened, validation margin"] == "+0.0800 (seed 0 +0.0800, seed 1 +0.0800)"
    assert facts["Hardened"].startswith("after epoch 1; 0.5300 ± 0.0707 validation, 0.3500 ± 0.0000 test, 50 K weights")


def test_nothing_speaks_of_accuracy_points_or_per_cent(study, tmp_path, capsys):
    write_report(study, tmp_path, CHEAP)
    print_summary(summarise(study), Console(width=20), search_costs(study, CHEAP))
    text, html, out = (tmp_path / "report.md").read_text(), (tmp_path / "report.html").read_text(), capsys.readouterr()
    html = re.sub(r"<style>.*?</style>|<script>.*?</script>", "", html, flags=re.S)
    for said in (text, re.sub("<[^>]*>", " ", html), out.out, "".join(re.findall('aria-label="([^"]*)"', html))):
        words = said.replace("95 % interval", "")
        assert not re.search("accura|points|%|confus|precision|F1", words)
        assert "R²" in words
    assert "## R² and cost" in text


def test_csv_has_plain_numbers_and_errors(study, tmp_path):
    write_report(study, tmp_path)
    rows = list(csv.DictReader((tmp_path / "results.csv").read_text().splitlines()))
    assert tuple(rows[0]) == columns(R2)
    names = ("model_name", "train_r2", "val_r2", "test_r2", "test_mae", "test_rmse")
    assert [rows[0][name] for name in names] == ["M1 hardened", "", "0.48", "0.35", "21.5", "27.0"]
    p1 = next(row for row in rows if row["model_name"] == "P1")
    assert [p1[name] for name in names[1:]] == ["-0.5", "0.4", "0.3", "44.5", "55.25"]
    assert not {"val_acc", "test_f1", "case_f1"} & rows[0].keys()


def test_errors_by_model(study, tmp_path):
    summary = summarise(study)
    assert answers(study, summary) == ()
    hard, *_, p2 = model_errors(study, summary)
    assert (hard.model_name, hard.is_mgu, hard.mae.mean, hard.rmse.mean) == ("M1 hardened", True, 21.5, 27)
    assert (p2.r2.mean, p2.mae.mean, p2.mae.sd) == (-4, 144, 0)
    write_report(study, tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "| model_name | R² | MAE | RMSE |" in text
    assert "| P1 | 0.3000 ± 0.0000 | 45.00 ± 0.71 | 55.25 ± 0.00 |" in text
    assert "the mean absolute error (MAE)" in text


def test_a_study_without_errors_says_so(record, view, tmp_path):
    study = view(record("P1", 0.4), data=DATA)
    assert model_errors(study, summarise(study)) == ()
    write_report(study, tmp_path)
    assert "No trial has its answers on the test split on record" in (tmp_path / "report.md").read_text()


def test_the_pictures_leave_out_what_is_far_below(study):
    figure = cost_figure(summarise(study))
    low, high = figure.axes[0].get_ylim()
    assert (low, high) == (-0.2, pytest.approx(0.53 + 0.1 * 0.73))
    assert "1 model below -0.2" in [text.get_text() for text in figure.axes[0].texts]
    low, high = history_figure(study).axes[0].get_ylim()
    assert (low, high) == (-0.2, pytest.approx(0.58 + 0.05 * 0.78))
    assert [figure.axes[0].get_ylabel() for figure in (figure, history_figure(study))] == ["validation R²"] * 2


def test_where_all_is_far_below_all_is_shown(record, view, history):
    study = view(record("P1", -3.0, history=history(-8.0, -3.0)), record("P2", -4.0, cell="bn_pre"), data=DATA)
    figure = cost_figure(summarise(study))
    assert figure.axes[0].get_ylim()[0] < -4
    assert not any("below" in text.get_text() for text in figure.axes[0].texts)
    assert history_figure(study).axes[0].get_ylim()[0] < -3


def test_a_single_regressor_is_cut_too(record, view, history):
    figure = history_figure(view(record("P1", 0.5, history=history(-70.0, 0.4, 0.5)), data=DATA))
    assert figure.axes[0].get_ylim() == (-0.2, pytest.approx(0.5 + 0.05 * 0.7))


def test_a_regressor_that_overflows_is_last_and_nothing_breaks(record, hardened, view, tmp_path, capsys):
    epochs = tuple(Epoch(i, 1.0, -math.inf, math.nan, score, i) for i, score in enumerate((-math.inf, 0.3), 1))
    records = []
    for seed, score in ((0, -math.inf), (1, 0.3)):
        mgu = record("M1", score, seed=seed, cell=None, test=-math.inf, history=epochs)
        records += [record("P1", 0.2, seed=seed, test=0.1, history=epochs), hardened(mgu, score, test=score)]
        records += [record("P2", -math.inf, seed=seed, test=-math.inf, cell="bn_pre", history=epochs)]
    study = view(*records, data=DATA, space={"layouts": [1], "cells": [1, 2]})
    summary = summarise(study)
    assert summary.rows[0].model_name == "P1"
    assert summary.best_mgu.val_score.mean == -math.inf
    assert "M1 hardened reached -inf validation R²; the best plain model, P1, 0.2000" in conclusion.answer(summary)
    assert conclusion.facts(summary)["Hardened, validation margin"] == "-inf (seed 0 -inf, seed 1 +0.1000)"
    assert conclusion.facts(summary)["Hardened, change from the soft network"].startswith("validation +0.0000 (seed 0")
    write_report(study, tmp_path, CHEAP)
    print_summary(summary, Console(width=20), search_costs(study, CHEAP))
    assert {row["val_r2"] for row in trial_rows(study)} == {0.2, 0.3, -math.inf}
    assert 'data-value="-Infinity"' in (tmp_path / "report.html").read_text()
    assert "3 models below -0.2" in figure_svg(cost_figure(summary))


def test_margins_that_are_infinite_both_ways_have_no_mean(record, view):
    scores = {("P1", 0): -math.inf, ("P1", 1): 0.1, ("M1", 0): 0.1, ("M1", 1): -math.inf}
    study = view(
        *(
            record(name, score, seed=seed, cell="ln" if name == "P1" else None)
            for (name, seed), score in scores.items()
        ),
        data=DATA,
    )
    assert summarise(study).margin is None
    assert "no margin is given" in conclusion.answer(summarise(study))


def test_published_figures_are_plain_numbers_too(study, tmp_path):
    (tmp_path / "published.csv").write_text("model_name,val_r2,tts_s\nP1,0.5123,7\n")
    assert read_published(tmp_path, R2) == {"P1": Published(0.5123, 7)}
    write_report(study, tmp_path)
    assert "| paper: val_r2 |" in (tmp_path / "report.md").read_text()


def test_a_warning_is_of_what_was_lost(record, hardened, view):
    soft = [record("M1", 0.45, seed=seed, cell=None) for seed in (0, 1)]
    hard = [hardened(soft[0], 0.446, warning="little"), hardened(soft[1], 0.444, warning="much")]
    facts = conclusion.facts(summarise(view(*hard, data=DATA)))
    assert [text for name, text in facts.items() if "warning" in name] == ["much"]
