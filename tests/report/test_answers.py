"""The metrics of the test split against scikit-learn's on the samples themselves."""

from dataclasses import replace
from statistics import mean, stdev

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score, precision_score, recall_score

from mgu.history import Answers
from mgu.metrics import metrics
from mgu.report.answers import SHOWN, ClassDetail, class_details, model_metrics
from mgu.report.page import write_report
from mgu.report.tables import summarise
from mgu.report.trial_table import trial_rows


def answered(record, answers):
    return replace(record, result=replace(record.result, test_answers=answers))


def of(found, name):
    return next(row for row in found if row.model_name == name)


def test_the_columns_are_scikit_learns(record, view):
    rng = np.random.default_rng(0)
    records, expected = [], []
    for seed in range(3):
        truth, taken = rng.integers(0, 4, 50), rng.integers(0, 4, 50)
        matrix = tuple(map(tuple, confusion_matrix(truth, taken, labels=range(4)).tolist()))
        records.append(answered(record("P1", 0.9, seed=seed), Answers(matrix, 0.5 + seed)))
        expected.append([score(truth, taken, average="macro") for score in (precision_score, recall_score, f1_score)])
    study = view(*records, record("P2", 0.8))
    found = of(model_metrics(study, summarise(study)), "P1")
    for figure, by_seed in zip((found.precision, found.recall, found.f1), zip(*expected, strict=True), strict=True):
        assert figure.mean == pytest.approx(100 * mean(by_seed))
        assert figure.sd == pytest.approx(100 * stdev(by_seed))
    assert (found.log_loss.mean, found.log_loss.sd) == (1.5, 1.0)
    assert of(model_metrics(study, summarise(study)), "P2").f1 is None
    cells = [[row[f"test_{name}"] for name in ("precision", "recall", "f1")] for row in trial_rows(study)]
    assert cells[:3] == [pytest.approx([100 * figure for figure in figures], abs=1e-4) for figures in expected]
    assert [row["test_log_loss"] for row in trial_rows(study)] == [0.5, 1.5, 2.5, None]


def test_a_trial_that_did_not_finish_has_no_metrics(record, view):
    lost = answered(record("P1", 0.9, status="diverged"), Answers(((1, 0), (0, 1)), 0.1))
    study = view(lost, record("P2", 0.8))
    assert model_metrics(study, summarise(study)) == ()
    assert class_details(study, summarise(study)) == ()


def test_the_best_two_are_told_by_class_over_all_seeds(metered_study):
    hardened, plain = class_details(metered_study, summarise(metered_study))
    assert (hardened.model_name, plain.model_name) == ("M1 hardened", "P1")
    assert (hardened.seeds, hardened.classes) == ((0, 1), ("<cat>", "dog", "horse"))
    assert hardened.confusion == ((16, 2, 2), (0, 20, 0), (4, 0, 16))
    assert [entry.support for entry in hardened.by_class] == [20, 20, 20]
    assert (hardened.by_class[0].precision, hardened.by_class[0].recall) == (0.8, 0.8)
    assert [(pair.truth, pair.taken, pair.count, pair.share) for pair in hardened.confused] == [
        ("horse", "<cat>", 4, 0.2),
        ("<cat>", "dog", 2, 0.1),
        ("<cat>", "horse", 2, 0.1),
    ]


def test_the_soft_network_stands_in_where_none_was_hardened(record, view):
    answers = Answers(((1, 0), (0, 1)), 0.1)
    study = view(answered(record("P1", 0.9), answers), answered(record("M1", 0.9, cell=None), answers))
    details = class_details(study, summarise(study))
    assert [detail.model_name for detail in details] == ["M1", "P1"]
    assert details[0].classes == ("0", "1")


@given(st.integers(2, 40), st.integers(0, 2**31))
def test_only_the_worst_of_many_classes_are_shown(classes, seed):
    counts = np.random.default_rng(seed).integers(0, 3, (classes, classes))
    counts[0, 0] += 1
    matrix = tuple(map(tuple, counts.tolist()))
    names = tuple(map(str, range(classes)))
    detail = ClassDetail("P1", False, (0,), names, matrix, metrics(Answers(matrix, 0.0)).by_class)
    assert detail.is_small == (classes <= SHOWN)
    assert len(detail.shown) == min(classes, SHOWN)
    left_out = set(names) - {name for name, _ in detail.shown}
    worst = max(entry.f1 for _, entry in detail.shown)
    assert all(detail.by_class[int(name)].f1 >= worst for name in left_out)
    off = sorted((int(counts[i, j]) for i in range(classes) for j in range(classes) if i != j), reverse=True)
    assert [pair.count for pair in detail.confused] == [count for count in off if count][:SHOWN]


def test_many_classes_are_told_by_their_most_confused_pairs(record, view, tmp_path):
    counts = np.eye(30, dtype=int) * 50
    counts[7, 3] = 9
    answers = Answers(tuple(map(tuple, counts.tolist())), 0.1)
    study = view(answered(record("P1", 0.9), answers))
    write_report(study, tmp_path)
    for name in ("report.html", "report.md"):
        text = (tmp_path / name).read_text()
        assert "The pairs of the 30 classes that are confused most." in text
        assert "The metrics of the 20 classes with the lowest F1, of 30." in text
    assert "| 7 | 3 | 9 | 15.25 |" in (tmp_path / "report.md").read_text()


def test_both_pages_have_the_matrix_with_names_that_are_no_markup(metered_study, tmp_path):
    write_report(metered_study, tmp_path)
    html, text = ((tmp_path / name).read_text() for name in ("report.html", "report.md"))
    assert "<cat>" not in html + text
    assert "| &lt;cat&gt; | 16 | 2 | 2 |" in text
    table = html[html.index('<table class="confusion">') :].split("</table>")[0]
    assert table.count("<td") == 1 + 9
    assert '<th scope="row">&lt;cat&gt;</th><td style="--share: 0.8; --hue: var(--right)">16</td>' in table
    assert '<td class="zero">0</td>' in table
