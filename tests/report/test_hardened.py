"""A hardened network in a report: a row of its own with all of its costs, beside the soft network that it was."""

import csv
import io
from dataclasses import replace
from statistics import mean

import pytest
from matplotlib.text import Text
from rich.console import Console

from mgu.report import conclusion
from mgu.report.cost_plot import cost_figure
from mgu.report.page import write_report
from mgu.report.plots import MGU_COLOUR, history_figure
from mgu.report.search_costs import search_costs
from mgu.report.tables import summarise
from mgu.report.terminal import print_summary
from mgu.report.trial_table import trial_rows


def names(summary):
    return [row.model_name for row in summary.rows]


def test_it_is_ranked_by_its_own_accuracy_with_its_own_size_time_and_latency(hardened_study):
    summary = summarise(hardened_study)
    assert names(summary) == ["M1 hardened", "M1", "P1", "P2"]
    row = summary.rows[0]
    assert (row.rank, row.is_mgu, row.is_hardened, row.status, row.seeds) == (1, True, True, "finished", 2)
    assert (row.model_size, row.layout, row.norm, row.residual) == (50_000, "[4, 2, 2, inf, 2]", "N/A", "N/A")
    assert (row.val_score.mean, row.test_score.mean) == pytest.approx((93, 91.5))
    assert (row.tts_s, row.latency_s) == pytest.approx((mean([30, 50]), mean([0.002, 0.001])))
    assert [row.is_hardened for row in summary.rows[1:]] == [False] * 3


def test_the_soft_network_stays_the_one_compared_and_all_else_as_it_was(whole_study, hardened_study):
    summary, soft = summarise(hardened_study), summarise(whole_study)
    assert summary.best_mgu == replace(soft.best_mgu, rank=2)
    assert summary.best_plain == replace(soft.best_plain, rank=3)
    without = replace(summary, rows=soft.rows, best_mgu=soft.best_mgu, best_plain=soft.best_plain, hardened=None)
    assert without == soft
    facts = {name: text for name, text in conclusion.facts(summary).items() if not name.startswith("Hardened")}
    plain = {name.removeprefix("Not hardened, ").lower(): text for name, text in facts.items()}
    assert plain == {name.lower().replace("mgu tts", "tts"): text for name, text in conclusion.facts(soft).items()}


def test_its_cost_has_the_lost_time_and_gives_a_speed_up_of_its_own(hardened_study):
    summary = summarise(hardened_study)
    assert (summary.hardened.cost.total_s, summary.hardened.cost.seeds) == (mean([30, 50 + 4]), (0, 1))
    assert summary.speed_up_hardened == pytest.approx(summary.grid_total_s / 42)
    assert summary.hardened.latency_ratio == pytest.approx(mean([2, 4]))


def test_what_is_said_of_it(hardened_study):
    facts = conclusion.facts(summarise(hardened_study))
    assert {name: text for name, text in facts.items() if name.startswith("Hardened")} == {
        "Hardened": "after epoch 1; 93.00 ± 2.83 % validation, 91.50 ± 2.12 % test, 50 K weights, 3.00 times as fast "
        "in use as the soft network",
        "Hardened, change from the soft network": "validation +2.50 points (seed 0 +3.00, seed 1 +2.00), test "
        "+3.50 points (seed 0 +3.00, seed 1 +4.00)",
        "Hardened, validation margin": "+4.00 points (seed 0 +5.00, seed 1 +3.00)",
        "Hardened, test margin": "+3.50 points (seed 0 +4.00, seed 1 +3.00)",
        "Hardened, tts": "42.0 s (M1 hardened, mean of seeds 0, 1), soft epochs included",
        "Hardened, speed-up": "3.77",
    }


def test_where_it_ended_below_the_soft_network_it_is_said_what_deciding_gave(record, hardened, view):
    soft = [record("M1", 0.9, seed=seed, cell=None) for seed in (0, 1)]
    hard = [hardened(soft[0], 0.91, warning="lost much"), hardened(soft[1], 0.89, warning="lost most")]
    facts = conclusion.facts(summarise(view(*hard)))
    assert [text for name, text in facts.items() if "warning" in name] == ["lost most"]
    assert "Hardened, warning at seed 1" in facts


def test_seeds_hardened_after_different_epochs(record, hardened, view):
    records = [hardened(record("M1", 0.9, seed=seed, cell=None), 0.9, after=5 - seed) for seed in (0, 1)]
    assert conclusion.facts(summarise(view(*records)))["Hardened"].startswith("after epoch 4 or 5; ")


def test_a_partial_study_claims_no_speed_up_for_it(hardened_study, record):
    pending = replace(hardened_study, records=(*hardened_study.records, record("P3", status="pending")))
    summary = summarise(pending)
    assert summary.speed_up_hardened is None
    assert conclusion.facts(summary)["Speed-up"].startswith("partial: 6 of 7 trials ended")


def test_one_that_diverged_has_a_cost_and_no_accuracy(record, hardened, view, tmp_path):
    soft = record("M1", 0.92, cell=None, tts=40)
    study = view(record("P1", 0.9), hardened(soft, status="diverged", tts=20, message="the loss was not finite"))
    summary = summarise(study)
    assert names(summary) == ["M1", "P1", "M1 hardened"]
    row = summary.rows[2]
    assert (row.rank, row.val_score, row.tts_s, row.status, row.missed) == (None, None, 20, "diverged", 1)
    assert (summary.best_mgu.model_name, summary.margin) == ("M1", pytest.approx(2))
    facts = conclusion.facts(summary)
    assert facts["Hardened"].startswith("after epoch 1; - validation, - test, 50 K weights")
    assert facts["Hardened, validation margin"] == "-"
    assert facts["Diverged or failed"] == "M1 hardened (diverged)"
    assert facts["Trials ended"] == "2 of 2"
    write_report(study, tmp_path)
    wrong = (tmp_path / "report.md").read_text().split("## What went wrong")[1]
    assert "| M1 hardened | 0 | diverged | 20.0 s | 0 s | 1 | the loss was not finite |" in wrong
    assert "| M1 |" not in wrong


def test_each_mgu_model_has_its_own(record, hardened, view):
    records = [hardened(record("M1", 0.8, cell=None), 0.99), hardened(record("M2", 0.9, cell=None), 0.85)]
    summary = summarise(view(*records, record("P1", 0.7)))
    assert names(summary) == ["M1 hardened", "M2", "M2 hardened", "M1", "P1"]
    assert (summary.best_mgu.model_name, summary.hardened.row.model_name) == ("M1", "M1 hardened")


def test_one_that_finished_counts_where_the_soft_network_diverged_later(record, hardened, view, tmp_path):
    soft = record("M1", status="diverged", cell=None, tts=20, message="the loss was not finite")
    study = view(record("P1", 0.9, tts=90), hardened(soft, 0.95, test=0.94, tts=30))
    summary = summarise(study)
    assert (summary.best_mgu.model_name, summary.best_mgu.rank) == ("M1", None)
    assert [row.model_name for row in summary.compared] == ["M1 hardened", "P1"]
    assert (summary.speed_up_hardened, summary.speed_up) == (3, None)
    assert conclusion.answer(summary) == (
        "M1 hardened reached 95.00 % validation accuracy; the best plain model, P1, 90.00 %: MGU is 5.00 points "
        "better. MGU took 30.0 s, the grid of 1 model 90.0 s: a speed-up of 3.00."
    )
    facts = conclusion.facts(summary)
    assert (facts["Hardened, validation margin"].split(" (")[0], facts["Not hardened, validation margin"]) == (
        "+5.00 points",
        "-",
    )
    assert "Not hardened, speed-up" not in facts
    (costs,) = [against for against in search_costs(study, ["grid"]).against if against.name == "M1 hardened"]
    assert dict(costs.val_score.by_seed) == pytest.approx({0: 5})
    write_report(study, tmp_path, ["grid"])
    assert "| **M1** ◀ MGU |" in (tmp_path / "report.md").read_text()


def test_where_neither_finished_there_is_no_mgu_model(record, hardened, view):
    soft = record("M1", status="diverged", cell=None)
    assert summarise(view(record("P1", 0.9), hardened(soft, status="diverged"))).best_mgu is None


def test_csv_has_a_row_a_hardened_trial(hardened_study, tmp_path):
    rows = trial_rows(hardened_study)
    assert [(row["model_name"], row["seed"]) for row in rows[:4]] == [
        (name, seed) for name in ("M1 hardened", "M1") for seed in (0, 1)
    ]
    assert {name: rows[0][name] for name in ("model_size", "tts_s", "val_acc", "test_acc", "latency_s", "status")} == {
        "model_size": 50_000, "tts_s": 30, "val_acc": 95, "test_acc": 93, "latency_s": 0.002, "status": "finished",
    }  # fmt: skip
    assert (rows[0]["best_epoch"], rows[0]["epochs"], rows[1]["lost_s"]) == (3, 3, 4)
    write_report(hardened_study, tmp_path)
    written = list(csv.DictReader(io.StringIO((tmp_path / "results.csv").read_text())))
    assert [row["model_name"] for row in written] == [row["model_name"] for row in rows]


def test_both_of_its_rows_are_marked_everywhere(hardened_study, tmp_path):
    file = io.StringIO()
    print_summary(summarise(hardened_study), Console(file=file, color_system=None))
    assert "M1 hardened ◀ MGU" in file.getvalue()
    assert "M1 ◀ MGU" in file.getvalue()
    write_report(hardened_study, tmp_path)
    assert "**M1 hardened** ◀ MGU" in (tmp_path / "report.md").read_text()
    html = (tmp_path / "report.html").read_text()
    table = html[html.index('<table class="sortable" id="models-table">') :].split("</table>")[0]
    assert table.count('<tr class="mgu">') == table.count('<span class="mark">◀ MGU</span>') == 2


def test_the_cost_picture_has_it_as_a_hollow_star(whole_study, hardened_study):
    figure = cost_figure(summarise(hardened_study))
    stars = {line.get_markerfacecolor(): line for line in figure.axes[0].get_lines() if line.get_marker() == "*"}
    assert {line.get_color() for line in stars.values()} == {MGU_COLOUR}
    assert (*stars["white"].get_xdata(), *stars["white"].get_ydata()) == pytest.approx((40, 93))
    assert (*stars[MGU_COLOUR].get_xdata(), *stars[MGU_COLOUR].get_ydata()) == pytest.approx((50, 90.5))
    assert [text.get_text() for text in figure.legends[0].get_texts()][:2] == ["MGU", "MGU hardened"]
    (named,) = (text for text in figure.axes[0].texts if text.get_text().startswith("M1 hardened"))
    assert named.xy == pytest.approx((40, 93))
    soft = cost_figure(summarise(whole_study))
    assert "MGU hardened" not in [text.get_text() for text in soft.legends[0].get_texts()]


@pytest.mark.parametrize("name", ["DIG_001", "a_plain_model_with_a_long_name", "P"])
def test_names_in_the_cost_picture_and_the_lines_to_them_are_clear_of_each_other(record, hardened, view, name):
    """As where the best plain model and the hardened network are the leftmost, a little apart."""
    mgu = hardened(record("DIG_MGU_001", 0.981, cell=None, tts=9.4), 0.98, tts=6.2)
    figure = cost_figure(summarise(view(record(name, 0.984, tts=2.4), record("P2", 0.9, tts=60), mgu)))
    figure.draw_without_rendering()
    shown = [text for text in figure.axes[0].texts if text.arrow_patch]
    assert len(shown) == 3
    boxes = [Text.get_window_extent(text) for text in shown]
    assert max(box.x0 for box in boxes) - min(box.x0 for box in boxes) < 2
    assert all(figure.axes[0].bbox.x1 > box.x1 for box in boxes)
    for text in shown:
        line = text.arrow_patch.get_path().transformed(text.arrow_patch.get_transform())
        others = [box for other, box in zip(shown, boxes, strict=True) if other is not text]
        own = Text.get_window_extent(text)
        assert not any(own.overlaps(box) or line.intersects_bbox(box, filled=False) for box in others)


def test_its_history_is_drawn_dashed_from_where_the_gates_were_decided(hardened_study, whole_study):
    figure = history_figure(hardened_study)
    lines = [line for line in figure.axes[0].get_lines() if line.get_color() == MGU_COLOUR]
    soft, hard = lines[:2]
    assert (list(soft.get_xdata()), soft.get_linestyle()) == ([1, 2], "-")
    assert (list(hard.get_xdata()), hard.get_linestyle()) == ([1, 2, 3], "--")
    assert list(hard.get_ydata()) == pytest.approx([60, 70, 95])
    assert len(lines) == 4
    assert [text.get_text() for text in figure.legends[0].get_texts()][:2] == ["MGU", "MGU hardened"]
    assert figure.get_label().endswith("of 5 trials; the bold lines are the MGU model's, dashed where it was hardened.")
    assert "hardened" not in history_figure(whole_study).get_label()


def test_a_history_without_an_epoch_of_its_own_is_not_drawn(record, hardened, view, history):
    soft = record("M1", 0.9, cell=None, history=history(0.5, 0.9))
    figure = history_figure(view(hardened(soft, status="diverged")))
    assert len(figure.axes[0].get_lines()) == 1


def test_no_hardening_no_row(whole_study):
    summary = summarise(whole_study)
    assert summary.hardened is None
    assert summary.speed_up_hardened is None
    assert not any(row.is_hardened for row in summary.rows)


def test_the_answer_is_of_it_first(hardened_study):
    assert conclusion.answer(summarise(hardened_study)) == (
        "M1 hardened reached 93.00 ± 2.83 % validation accuracy; the best plain model, P1, 89.00 ± 1.41 %: MGU is "
        "4.00 points better over 2 paired seeds. MGU took 42.0 s, the grid of 2 models 158 s: a speed-up of 3.77. "
        "Not hardened, M1 reached 90.50 ± 2.12 %, 1.50 points better than that plain model, in 52.0 s: a speed-up of "
        "3.05."
    )


def test_the_facts_are_in_the_order_of_the_answer(hardened_study, tmp_path):
    facts = conclusion.facts(summarise(hardened_study))
    assert [name.split(",")[0] for name in facts][:10] == ["Hardened"] * 6 + ["Not hardened"] * 4
    write_report(hardened_study, tmp_path)
    lines = [line for line in (tmp_path / "report.md").read_text().splitlines() if line.startswith("- ")]
    assert [line[2:].split(": ")[0] for line in lines][: len(facts)] == list(facts)


def test_where_it_diverged_the_answer_is_of_the_soft_network(record, hardened, view):
    study = view(record("P1", 0.9), hardened(record("M1", 0.92, cell=None), status="diverged"))
    answer = conclusion.answer(summarise(study))
    assert answer.startswith("M1 reached 92.00 % validation accuracy; the best plain model, P1, 90.00 %")
    assert "ardened" not in answer


def test_level_with_the_best_plain_model(record, hardened, view):
    study = view(record("P1", 0.9), hardened(record("M1", 0.9, cell=None), 0.9))
    answer = conclusion.answer(summarise(study))
    assert "MGU is level with it." in answer
    assert "Not hardened, M1 reached 90.00 %, level with that plain model, in 100 s: a speed-up of 1.00." in answer
