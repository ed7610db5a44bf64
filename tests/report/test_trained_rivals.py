"""A trained rival in a report: a row and a fact of its own, and nothing else changed."""

import csv
from dataclasses import replace

import pytest

from mgu.history import Result
from mgu.report import conclusion
from mgu.report.cost_plot import cost_figure
from mgu.report.page import write_report
from mgu.report.plots import MGU_COLOUR, NORM_COLOURS, history_figure
from mgu.report.spending_plot import spending_figure
from mgu.report.tables import summarise
from mgu.report.trial_table import trial_rows
from mgu.study.trial import Estimator, Record, Trial


@pytest.fixture
def rivalled_study(whole_study, record, history):
    """The whole study, and two models of a rival that beat all others."""
    more = [
        record("S1", 0.93, seed=0, cell="sn", rival="switchable", tts=10, test=0.91, history=history(0.7, 0.93)),
        record(
            "S1", 0.91, seed=1, cell="sn", rival="switchable", tts=20, test=0.92, lost=2, history=history(0.7, 0.91)
        ),
        record("S2", 0.60, seed=0, cell="sn+residual", rival="switchable", tts=30, history=history(0.6)),
        record("S2", status="diverged", seed=1, cell="sn+residual", rival="switchable", tts=40),
    ]
    return replace(whole_study, records=(*whole_study.records, *more))


def test_what_is_said_of_the_grid_and_of_mgu_is_as_without_it(rivalled_study, whole_study):
    found, before = summarise(rivalled_study), summarise(whole_study)
    own = {"rows", "best_mgu", "best_plain", "trained_rivals", "ended", "total"}
    same = [name for name in vars(before) if name not in own]
    assert {name: getattr(found, name) for name in same} == {name: getattr(before, name) for name in same}
    assert (found.best_mgu.model_name, found.best_plain.model_name) == ("M1", "P1")
    assert (found.speed_up, found.speed_up_all_mgu) == (before.speed_up, before.speed_up_all_mgu)
    assert conclusion.answer(found) == conclusion.answer(before)
    assert [row.model_name for row in found.rows if row.kind != "rival"] == [row.model_name for row in before.rows]


def test_the_grid_is_so_many_times_as_expensive_as_all_models_of_the_rival(rivalled_study):
    (rival,) = summarise(rivalled_study).trained_rivals
    assert (rival.title, rival.best.model_name) == ("Switchable Normalization", "S1")
    cost, grid = (10 + 30 + 20 + 2 + 40) / 2, (100 + 30 + 7 + 110 + 70) / 2
    assert (rival.cost.total_s, rival.cost.models, rival.grid_cost.total_s) == (cost, 2, grid)
    assert conclusion.facts(summarise(rivalled_study))["Switchable Normalization"] == (
        "92.00 ± 1.41 % validation, 91.50 ± 0.71 % test (S1), cost 51.0 s (2 models, mean of seeds 0, 1), "
        f"grid {grid / cost:.2f} times as expensive"
    )


def test_costs_are_compared_over_the_seeds_that_the_rival_has_too(rivalled_study):
    first = tuple(record for record in rivalled_study.records if not (record.trial.rival and record.trial.seed))
    (rival,) = summarise(replace(rivalled_study, records=first)).trained_rivals
    assert (rival.cost.seeds, rival.grid_cost.seeds) == ((0,), (0,))
    assert (rival.cost.total_s, rival.grid_cost.total_s) == (10 + 30, 100 + 30 + 7)


def test_before_all_has_ended_nothing_is_said_to_be_dearer(rivalled_study, record, view):
    pending = record("S3", status="pending", cell="sn", rival="switchable")
    facts = conclusion.facts(summarise(replace(rivalled_study, records=(*rivalled_study.records, pending))))
    assert "times as expensive" not in facts["Switchable Normalization"]
    only = summarise(view(record("S1", 0.9, cell="sn", rival="switchable")))
    assert conclusion.answer(only).startswith("No plain or MGU model has finished.")
    assert (only.grid_cost, only.plain_models, only.best_plain, only.best_mgu) == (None, 0, None, None)
    none = summarise(view(record("S1", status="diverged", cell="sn", rival="of old")))
    assert conclusion.facts(none)["of old"] == "no model has finished"
    assert conclusion.answer(none).startswith("No trial has finished.")


def test_it_has_rows_in_the_table_the_csv_and_the_pictures(rivalled_study, tmp_path):
    assert [(row["model_name"], row["seed"], row["kind"]) for row in trial_rows(rivalled_study)][:4] == [
        ("S1", 0, "rival"),
        ("S1", 1, "rival"),
        ("M1", 0, "mgu"),
        ("M1", 1, "mgu"),
    ]
    write_report(rivalled_study, tmp_path)
    assert len(list(csv.reader((tmp_path / "results.csv").read_text().splitlines()))) == 1 + 10
    for name in ("report.md", "report.html"):
        text = (tmp_path / name).read_text()
        assert "Switchable Normalization" in text
        assert "times as expensive" in text
    for figure in (cost_figure(summarise(rivalled_study)), history_figure(rivalled_study)):
        assert NORM_COLOURS["sn"] in {line.get_color() for line in figure.axes[0].get_lines()}
        assert "sn" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_an_estimator_is_drawn_as_what_it_is_and_not_as_mgu(whole_study, history):
    result = Result("finished", 3.0, val_score=0.91, history=history(0.8, 0.91))
    estimator = Record(Trial("HGB", Estimator("hist_gradient_boosting"), 0, 0, "boosting"), "finished", 1, result)
    study = replace(whole_study, records=(*whole_study.records, estimator))
    figures = (cost_figure(summarise(study)), history_figure(study), spending_figure(study, summarise(study)))
    for figure, alone in zip(figures, (2, 4, 2), strict=True):
        of_mgu = [line for axes in figure.axes for line in axes.get_lines() if line.get_color() == MGU_COLOUR]
        assert len({id(line) for line in of_mgu}) == alone - (figure is figures[0])
        assert "scikit-learn" in [text.get_text() for text in figure.legends[0].get_texts()]
    only = replace(study, records=(estimator,))
    assert [text.get_text() for text in cost_figure(summarise(only)).legends[0].get_texts()] == ["scikit-learn"]
