"""How numbers are said, and the answer in each case that a study can be in."""

import pytest

from mgu.report import conclusion, words
from mgu.report.figures import MeanSd
from mgu.report.score import ACCURACY
from mgu.report.tables import summarise


@pytest.mark.parametrize(
    ("weights", "text"),
    [
        (640, "640"),
        (999, "999"),
        (1000, "1 K"),
        (98_920, "98.92 K"),
        (586_600, "586.6 K"),
        (999_994, "999.99 K"),
        (999_996, "1 M"),
        (2_410_000, "2.41 M"),
        (182_930_000, "182.93 M"),
        (1_500_000_000, "1.5 G"),
        (9_000_000_000_000, "9 T"),
        (2 * 10**17, "200000 T"),
    ],
)
def test_size(weights, text):
    assert words.size(weights) == text


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [(None, "-"), (0, "0 s"), (0.451, "0.45 s"), (45.24, "45.2 s"), (876.4, "876 s"), (8612, "8,612 s")],
)
def test_seconds(duration_s, text):
    assert words.seconds(duration_s) == text


def test_accuracies_and_margins():
    assert ACCURACY.mean_sd(MeanSd(99.324, 0.051)) == "99.32 ± 0.05"
    assert ACCURACY.mean_sd(MeanSd(99.3, None)) == "99.30"
    assert ACCURACY.full(MeanSd(99.3, None)) == ACCURACY.full(99.3) == "99.30 %"
    assert ACCURACY.mean_sd(None) == ACCURACY.full(None) == "-"
    assert [ACCURACY.signed(points) for points in (0.18, -0.42, -0.001)] == ["+0.18", "-0.42", "+0.00"]


def test_answer_and_facts_of_a_whole_study(whole_study):
    summary = summarise(whole_study)
    assert conclusion.answer(summary) == (
        "M1 reached 90.50 ± 2.12 % validation accuracy; the best plain model, P1, 89.00 ± 1.41 %: "
        "MGU is 1.50 points better over 2 paired seeds. MGU took 52.0 s, the grid of 2 models 158 s: "
        "a speed-up of 3.05."
    )
    assert conclusion.facts(summary) == {
        "Validation margin": "+1.50 points (seed 0 +2.00, seed 1 +1.00)",
        "Test margin": "+0.00 points (seed 0 +1.00, seed 1 -1.00)",
        "Grid total": "158 s (2 models, mean of seeds 0, 1)",
        "MGU tts": "52.0 s (M1, mean of seeds 0, 1)",
        "Speed-up": "3.05",
        "Compilation, apart": "grid 2.50 s, MGU 4.50 s",
        "Diverged or failed": "P2 (1 finished, 1 diverged)",
        "Trials ended": "6 of 6",
    }


def test_a_deficit_is_said_as_plainly(record, view):
    answer = conclusion.answer(summarise(view(record("P1", 0.9, tts=10), record("M1", 0.85, cell=None, tts=40))))
    assert "MGU is 5.00 points worse." in answer
    assert "a speed-up of 0.25; MGU was slower than the whole grid." in answer


def test_level(record, view):
    assert "MGU is level with it" in conclusion.answer(summarise(view(record("P1", 0.9), record("M1", 0.9, cell=None))))


def test_partial(record, view):
    records = [record("P1", 0.9), record("M1", 0.95, cell=None), record("P2", status="pending")]
    answer = conclusion.answer(summarise(view(*records)))
    assert "the best plain model so far, P1" in answer
    assert answer.endswith("Partial: 2 of 3 trials ended; no speed-up is claimed before all are.")
    assert "a speed-up of" not in answer


@pytest.mark.parametrize(
    ("finished", "sentence"),
    [
        (["P1"], "P1 reached 90.00 % validation accuracy; no MGU model has finished. No speed-up is claimed, since no"),
        (["M1"], "M1 reached 90.00 % validation accuracy; no plain model has finished. MGU took"),
        ([], "No trial has finished. No speed-up is claimed, since no MGU model finished."),
    ],
)
def test_where_one_side_failed(record, view, finished, sentence):
    records = [
        record(name, 0.9, cell=cell, status="finished" if name in finished else "failed")
        for name, cell in (("P1", "ln"), ("M1", None))
    ]
    assert conclusion.answer(summarise(view(*records))).startswith(sentence)


def test_no_speed_up_without_a_seed_of_the_whole_grid(record, view):
    records = [record("P1", 0.9, seed=0), record("P2", 0.9, seed=1), record("M1", 0.9, seed=3, cell=None)]
    answer = conclusion.answer(summarise(view(*records)))
    assert "they share no finished seed, so no margin is given" in answer
    assert answer.endswith("No speed-up is claimed, since no seed was run on every plain model.")


def test_no_speed_up_over_a_grid_that_was_not_run(record, view):
    summary = summarise(view(record("M1", 0.9, cell=None)))
    assert conclusion.no_speed_up(summary) == "no speed-up is claimed, since no plain model was run"


def test_no_speed_up_without_a_time(record, view):
    summary = summarise(view(record("P1", 0.9), record("M1", 0.9, cell=None, tts=0)))
    assert conclusion.no_speed_up(summary) == "no speed-up is claimed, since the MGU model's time is not known"


def test_empty(view):
    assert conclusion.answer(summarise(view())) == "The study has no trials."


def test_several_mgu_models_are_all_counted(record, view):
    mgu = [record("M1", 0.95, cell=None, tts=10), record("M2", 0.3, cell=None, tts=40)]
    facts = conclusion.facts(summarise(view(record("P1", 0.9, tts=100), *mgu)))
    assert facts["Speed-up"] == "10.00"
    assert facts["Speed-up with all 2 MGU models counted"] == "2.00; they took 50.0 s (2 models, seed 0)"
    assert "Compilation, apart" not in facts


def test_columns_say_and_sort_by_the_same_figure(whole_study):
    row = summarise(whole_study).rows[0]
    cells = {column.header: (column.text(row), column.value(row)) for column in words.columns(ACCURACY)}
    assert cells["size"] == ("98.92 K", 98_920)
    assert cells["tts"] == ("50.0 s", 50)
    assert cells["val_acc, %"] == ("90.50 ± 2.12", pytest.approx(90.5))
    assert cells["test_acc, %"] == ("88.00 ± 2.83", pytest.approx(88))
    assert cells["train_acc, %"] == ("-", None)
    assert cells["rank"] == ("1", 1)
    assert cells["seeds"] == ("2 of 2", 2)
