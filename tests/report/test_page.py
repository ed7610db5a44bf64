"""The report's files: what they say, that nothing in them is fetched or executed, and that they are whole or absent."""

import os
import re
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import pytest

from mgu.report import page
from mgu.report.page import write_report
from mgu.report.score import ACCURACY
from mgu.report.sections import SECTIONS
from mgu.report.trial_table import columns

NAMES = ["results.csv", "cost.svg", "history.svg", "spending.svg", "report.md", "report.html"]
HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)>|`*[a](javascript:b) & $x$'
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """The tags with their attributes, the text, and whether every tag is closed in order."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.tags, self.words, self.open = [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("title", "style", "script"):
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture
def written(tmp_path):
    def write(study, *commands):
        write_report(replace(study, commands=commands), tmp_path / "out")
        return {name: (tmp_path / "out" / name).read_text(encoding="utf-8") for name in NAMES}

    return write


def test_writes_these_files_and_no_others(whole_study, tmp_path):
    folder = tmp_path / "new" / "folder"
    assert write_report(whole_study, folder) == [folder / name for name in NAMES]
    assert sorted(path.name for path in folder.iterdir()) == sorted(NAMES)


def test_others_may_read_the_files(whole_study, tmp_path):
    assert {path.stat().st_mode & 0o777 for path in write_report(whole_study, tmp_path)} == {0o644}


def test_the_same_study_gives_the_same_files(whole_study, written):
    assert written(whole_study, "mgu") == written(whole_study, "mgu")


def test_csv_is_read_back_by_pandas(whole_study, record, view, tmp_path):
    message = 'a, "b"\nnext line | é'
    study = view(*whole_study.records, record("P9", status="failed", message=message), record("P10", status="pending"))
    write_report(study, tmp_path)
    frame = pd.read_csv(tmp_path / "results.csv", keep_default_na=False, na_values=[""])
    assert tuple(frame.columns) == columns(ACCURACY)
    assert list(frame["model_name"]) == ["M1", "M1", "P1", "P1", "P2", "P2", "P9", "P10"]
    assert frame["val_acc"][:4].tolist() == [92, 89, 90, 88]
    assert frame["val_acc"].isna().tolist() == [False] * 4 + [True, False, True, True]
    assert frame["tts_s"][:7].tolist() == [40, 60, 100, 110, 30, 70, 100]
    assert frame["norm"][0] == "N/A"
    assert frame["layout"][0] == "[4, 2, 2, inf, 2]"
    assert frame["message"][6] == message


def test_page_is_well_formed_with_unique_ids_and_headings_in_order(whole_study, written):
    parsed = Page(written(whole_study)["report.html"])
    assert parsed.open == []
    ids = [attrs["id"] for _, attrs in parsed.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert [tag for tag, _ in parsed.tags if re.fullmatch("h[1-6]", tag)][:3] == ["h1", "h2", "h2"]
    assert len(parsed.all("h1")) == 1


def test_page_tells_everything_in_order(whole_study, written):
    page = Page(written(whole_study, "mgu search --seeds 0 1")["report.html"])
    shown = [section for section in SECTIONS if section.needs in ("", "records", "took")]
    titles = [section.title.format(score="Accuracy") for section in shown]
    text = page.text
    parts = [
        "digits: one MGU network against a grid",
        "MGU is 1.50 points better over 2 paired seeds.",
        "MGU took 52.0 s, the grid of 2 models 158 s: a speed-up of 3.05.",
        *titles,
        "Accuracy and cost",
        "The models, best first rank",
        "[4, 2, 2, inf, 2]",
        "What the answer rests on",
        "+1.50 points (seed 0 +2.00, seed 1 +1.00)",
        "Test metrics No trial has its answers on the test split on record",
        "What each model took",
        "Not on record of any trial: floating-point operations, energy, loads and memory.",
        "Whether the trials were alone on their machine is not on record.",
        "Training histories",
        "What went wrong",
        "loss is nan",
        "How the clock and the meter worked",
        "the test set is read once by each network",
        "Measured means that a counter in the hardware gave it",
        "Everything needed to repeat it",
        "mgu search --seeds 0 1",
        "Environment",
        "torch 2.13.0",
        "Settings",
        "data.checksum 9f2c",
    ]
    assert [attrs["href"][1:] for attrs in page.all("a")] == [section.name for section in shown]
    assert {section.name for section in shown} <= {attrs["id"] for attrs in page.all("h2")}
    place = 0
    for part in parts:
        place = text.index(part, place)


def test_page_fetches_nothing(whole_study, written):
    html = written(whole_study)["report.html"]
    for tag, attrs in Page(html).tags:
        assert tag not in ("img", "iframe", "object", "embed", "base", "form")
        for name in ("src", "srcset", "href", "xlink:href", "action", "data", "poster"):
            assert (attrs.get(name) or "#").startswith(("#", "data:,")), (tag, attrs)
    assert "@import" not in html
    assert set(re.findall(r"url\((.)", html)) <= {"#"}
    assert "//" not in re.sub(r'xmlns(:xlink)?="[^"]*"', "", html)
    assert "default-src 'none'" in html


def test_pictures_have_accessible_names(whole_study, written):
    parsed = Page(written(whole_study)["report.html"])
    svgs = parsed.all("svg")
    assert [svg["role"] for svg in svgs] == ["img"] * 3
    assert [svg["aria-label"].split(". ")[0] for svg in svgs] == [
        "Validation accuracy against time to solution",
        "Time to solution of 6 trained networks, a row a model, the best first.",
        "Validation accuracy and training loss by epoch of 5 trials; the bold lines are the MGU model's.",
    ]
    assert "figcaption" in [tag for tag, _ in parsed.tags]


def test_table_is_sortable_and_marks_mgu_in_words(whole_study, written):
    html = written(whole_study)["report.html"]
    head, body = re.search(r'<table class="sortable" id="models-table">.*?</table>', html, re.S)[0].split("</thead>")
    assert head.count('<th scope="col"') == 13
    assert head.count("aria-sort") == head.count('aria-sort="ascending" class="number">rank<') == 1
    rows = body.split("<tr")[1:]
    assert [' class="mgu"' in row for row in rows] == [True, False, False]
    assert ["◀ MGU" in row for row in rows] == [True, False, False]
    assert [re.findall(r'data-value="([^"]*)"', row)[5:8] for row in rows] == [
        ["98920", "50.0", ""],
        ["98920", "105.0", "94.0"],
        ["98920", "50.0", ""],
    ]


def test_hostile_text_is_text(record, view, history, written):
    study = view(
        record(HOSTILE, 0.9, message=HOSTILE, lost=1, history=history(0.5, 0.9)),
        record("M1", 0.8, cell=None),
        data={"name": HOSTILE, "note": HOSTILE, HOSTILE: HOSTILE},
        **{HOSTILE: [HOSTILE]},
    )
    html = written(study, HOSTILE)["report.html"]
    harmless = Page(written(view(record("P1", 0.9, lost=1), record("M1", 0.8, cell=None)))["report.html"])
    parsed = Page(html)
    assert len(parsed.all("script")) == len(harmless.all("script")) == 1
    assert not parsed.all("img")
    assert not [attrs for _, attrs in parsed.tags if any(name.startswith("on") for name in attrs)]
    assert parsed.text.count(HOSTILE) >= 9
    assert "<script>alert" not in html


def test_hostile_text_is_text_in_markdown(record, view, written):
    study = view(record(HOSTILE, 0.9, message=HOSTILE + "\n# heading", lost=1), data={"name": HOSTILE, "x": HOSTILE})
    text = written(study, "mgu search\n<b>")["report.md"]
    assert "<script" not in text.replace("mgu search", "")
    assert "<img" not in text
    assert "](javascript" not in text.replace("\\](javascript", "")
    assert not re.search("^# heading", text, re.M)
    assert r"\|\`\*[a\](javascript:b) &amp; $x$" in text
    assert "    mgu search\n    <b>\n" in text


def markdown_tables(text):
    """Every row of every table, as the cells between pipes that are not escaped."""
    return [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("|")]


def test_markdown_has_the_same_content(whole_study, written):
    text = written(whole_study, "mgu search")["report.md"]
    assert text.startswith("# digits: one MGU network")
    assert "MGU is 1.50 points better over 2 paired seeds." in text
    assert "- Speed-up: 3.05\n" in text
    assert re.search(r"!\[Validation accuracy against time to solution\. [^]]+\]\(cost\.svg\)", text)
    assert re.search(r"!\[Validation accuracy and training loss [^]]+\]\(history\.svg\)", text)
    assert "## What went wrong" in text
    assert "    mgu search\n" in text
    rows = markdown_tables(text)
    assert [cell.strip() for cell in rows[2]] == [
        "**1**", "**M1** ◀ MGU", "**[4, 2, 2, inf, 2]**", "**N/A**", "**N/A**", "**98.92 K**", "**50.0 s**", "**-**",
        "**90.50 ± 2.12**", "**88.00 ± 2.83**", "**-**", "**2 of 2**", "**finished**",
    ]  # fmt: skip
    assert [len(row) for row in rows] == [13] * 5 + [4] * 6 + [7] * 4 + [2] * 8


def test_markdown_tables_keep_their_shape_with_pipes(record, view, written):
    text = written(view(record("a|b\\|c", status="failed", message="x|y\r\nz"), k="p|q"))["report.md"]
    assert [len(row) for row in markdown_tables(text)] == [13] * 3 + [4] * 4 + [7] * 3 + [2] * 7
    assert r"| a\|b\\\|c |" in text
    assert r"| x\|y z |" in text


@pytest.mark.parametrize("name", ["report.html", "report.md"])
class TestBothPages:
    def test_note_stands_beside_the_table(self, whole_study, written, view, name):
        study = view(*whole_study.records, data={"note": "the images are JPEG copies"})
        text = written(study)[name]
        answer = text.index("MGU is 1.50 points better")
        assert answer < text.index("Note on the data: the images are JPEG copies") < text.index("model_name")
        assert "Note on the data" not in written(whole_study)[name]

    @pytest.mark.parametrize("settings", [{}, {"data": {}}, {"data": "a string"}, {"data": {"name": ""}}])
    def test_data_without_a_name(self, record, view, written, name, settings):
        assert "the data: one MGU network" in written(view(record("P1", 0.9), **settings))[name]

    def test_settings_are_shown_whatever_they_are(self, record, view, written, name):
        settings = {"unit": {"prior": [2, -2.5], "deep": {"er": None}, "empty": {}}, "space": "mnist", "é": True}
        text = written(view(record("P1", 0.9), **settings))[name]
        text = Page(text).text if name.endswith("html") else text.replace(" | ", " ")
        for shown in ("unit.prior [2, -2.5]", "unit.deep.er null", "unit.empty {}", "space mnist", "é true"):
            assert shown in text

    def test_partial_study(self, record, view, written, name):
        text = written(view(record("P1", 0.9), record("M1", status="pending", cell=None)))[name]
        assert "Partial: 1 of 2 trials ended; no speed-up is claimed before all are." in text
        assert "a speed-up of" not in text
        assert "What went wrong" not in text

    def test_empty_study(self, view, written, name):
        assert "The study has no trials." in written(view())[name]
        assert "To repeat it" not in written(view())[name]
        assert "What each model took" not in written(view())[name]

    def test_all_failed(self, record, view, written, name):
        text = written(view(record("P1", status="failed", message="out of memory"), record("M1", status="diverged")))[
            name
        ]
        assert "No trial has finished." in text
        assert "out of memory" in text

    def test_lost_time_went_wrong_too(self, record, view, written, name):
        text = written(view(record("P1", 0.9, lost=38.5)))[name]
        assert text.index("What went wrong") < text.index("38.5 s")

    def test_a_finished_trial_that_could_not_be_hardened_tells_why(self, record, view, written, name):
        said = "not hardened: RuntimeError: no memory left"
        text = written(view(record("P1", 0.9), record("M1", 0.95, cell=None, message=said)))[name]
        assert text.index("What went wrong") < text.index(said)


def test_text_that_utf8_has_not_is_still_written(record, view, tmp_path):
    write_report(view(record("P1", status="failed", message="no file \udcff")), tmp_path)
    assert "no file \\udcff" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("function", ["replace", "fsync"])
def test_a_failed_write_leaves_what_was_there(record, view, tmp_path, monkeypatch, function):
    write_report(view(record("P1", 0.9)), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def refuse(*_):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(os, function, refuse)
        with pytest.raises(OSError, match="disk full"):
            write_report(view(record("P2", 0.5)), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    write_report(view(record("P2", 0.5)), tmp_path)
    assert b"P2" in (tmp_path / "results.csv").read_bytes()


def test_a_page_that_cannot_be_made_writes_nothing(record, view, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "history_figure", lambda view: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_report(view(record("P1", 0.9)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_files_reach_the_disk_before_they_take_their_name_and_their_names_do_after(record, view, tmp_path, monkeypatch):
    calls = []
    real_fsync, real_replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("fsync"), real_fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("replace"), real_replace(a, b)))
    write_report(view(record("P1", 0.9)), tmp_path)
    assert calls == ["fsync", "replace", "fsync"] * len(NAMES)
