"""The report of grouped data: what is answered case by case, beside what is answered sample by sample."""

import csv
from dataclasses import replace
from html import unescape

import pytest

from mgu.history import Answers
from mgu.report import conclusion
from mgu.report.answers import answers
from mgu.report.page import write_report
from mgu.report.tables import summarise

SAMPLES = Answers(((30, 5, 0), (5, 30, 0), (10, 0, 25)), 0.75)
CASES = {
    "P1": Answers(((4, 1, 0), (0, 5, 0), (3, 0, 2)), 0.5),  # 11 of 15
    "M1": Answers(((5, 0, 0), (0, 4, 1), (0, 1, 4)), 0.25),  # 13 of 15
    "M1 hardened": Answers(((5, 0, 0), (0, 5, 0), (0, 1, 4)), 0.125),  # 14 of 15
}


def answered(record):
    result = record.result
    hard = result.hardening
    if hard:
        known = {"test_answers": SAMPLES, "test_case_answers": CASES["M1 hardened"]}
        hard = replace(hard, result=replace(hard.result, **known))
    cases = CASES[record.trial.model_name]
    return replace(record, result=replace(result, test_answers=SAMPLES, test_case_answers=cases, hardening=hard))


@pytest.fixture
def study(record, hardened, view):
    records = []
    for seed in (0, 1):
        records.append(answered(record("P1", 0.8, seed=seed, test=85 / 105)))
        soft = record("M1", 0.82, seed=seed, cell=None, test=85 / 105)
        records.append(answered(hardened(soft, 0.83, test=85 / 105)))
    names = ["<low>", "mid", "high"]
    return view(*records, data={"name": "slides", "class_names": names, "validation": 70, "test": 105})


def test_samples_and_cases_each_have_their_metrics(study):
    samples, cases = answers(study, summarise(study))
    assert (samples.units, cases.units) == ("samples", "cases")
    assert [row.accuracy.mean for row in samples.metrics] == pytest.approx([100 * 85 / 105] * 3)
    assert [row.model_name for row in cases.metrics] == ["M1 hardened", "M1", "P1"]
    assert [row.accuracy.mean for row in cases.metrics] == pytest.approx([1400 / 15, 1300 / 15, 1100 / 15])
    assert [row.log_loss.mean for row in cases.metrics] == [0.125, 0.25, 0.5]
    assert [detail.model_name for detail in cases.details] == ["M1 hardened", "P1"]
    assert cases.details[1].confusion == ((8, 2, 0), (0, 10, 0), (6, 0, 4))


def test_both_pages_have_both(study, tmp_path):
    write_report(study, tmp_path)
    text, html = ((tmp_path / name).read_text() for name in ("report.md", "report.html"))
    for page in (text, unescape(html)):
        first, second = page.split("The same, case by case")
        assert "Test samples: a row a true class" in first
        assert "Test cases: a row a true class" in second
        assert "M1 hardened, seeds 0, 1 together, case by case" in second
        assert "mean of the probabilities that its samples are given: the class with the highest is taken" in second
        assert "Samples of one case are not independent" in second
    assert "| &lt;low&gt; | 8 | 2 | 0 |" in text
    assert html.count('<table class="confusion">') == 4
    ids = [part.split('"')[0] for part in html.split(' id="')[1:]]
    assert len(ids) == len(set(ids))


def test_csv_has_both(study, tmp_path):
    write_report(study, tmp_path)
    rows = list(csv.DictReader((tmp_path / "results.csv").read_text().splitlines()))
    plain = next(row for row in rows if row["model_name"] == "P1")
    cells = {name: float(text) for name, text in plain.items() if name.startswith("case_")}
    assert cells == {
        "case_accuracy": pytest.approx(1100 / 15, abs=1e-4),
        "case_precision": pytest.approx(100 * (4 / 7 + 5 / 6 + 1) / 3, abs=1e-4),
        "case_recall": pytest.approx(100 * (0.8 + 1 + 0.4) / 3, abs=1e-4),
        "case_f1": pytest.approx(100 * (2 / 3 + 10 / 11 + 4 / 7) / 3, abs=1e-4),
        "case_log_loss": 0.5,
    }
    assert float(plain["test_log_loss"]) == 0.75


def test_how_coarse_a_margin_is_is_said_of_cases(study):
    summary = summarise(study)
    facts = conclusion.facts(summary)
    assert summary.cases == 15
    assert facts["Hardened, test margin by case"] == (
        "+20.00 points (seed 0 +20.00, seed 1 +20.00; one case is 6.67 points)"
    )
    assert facts["Not hardened, test margin by case"].startswith("+13.33 points")
    assert facts["Hardened, validation margin"] == (
        "+3.00 points (seed 0 +3.00, seed 1 +3.00; samples of one case are not independent)"
    )
    assert not any("one sample is" in text for text in facts.values())


def test_without_cases_samples_are_told_of(metered_study, tmp_path):
    (only,) = answers(metered_study, summarise(metered_study))
    assert only.units == "samples"
    assert not any("case" in name for name in conclusion.facts(summarise(metered_study)))
    write_report(metered_study, tmp_path)
    assert "case by case" not in (tmp_path / "report.md").read_text()
    (row, *_) = csv.DictReader((tmp_path / "results.csv").read_text().splitlines())
    assert row["case_accuracy"] == row["case_f1"] == ""
