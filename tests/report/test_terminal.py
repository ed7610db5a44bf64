"""The terminal's table: whole in a pipe, narrower in a narrow terminal, never read as markup."""

import io

import pytest
from rich.console import Console

from mgu.report.tables import summarise
from mgu.report.terminal import print_summary


def printed(study, **options):
    file = options.pop("file", None) or io.StringIO()
    print_summary(summarise(study), Console(file=file, color_system=None, **options))
    return file.getvalue()


def test_a_pipe_gets_each_row_whole_on_one_line(whole_study):
    text = printed(whole_study, width=20)
    row = next(line for line in text.splitlines() if "M1 ◀ MGU" in line)
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells == [
        "M1 ◀ MGU", "[4, 2, 2, inf, 2]", "N/A", "N/A", "98.92 K", "50.0 s", "-", "90.50 ± 2.12", "88.00 ± 2.83", "-",
    ]  # fmt: skip
    assert [name.strip() for name in text.splitlines()[1].strip("┃").split("┃")] == [
        "model_name", "layout", "norm", "residual", "size", "tts", "train_acc, %", "val_acc, %", "test_acc, %",
        "latency",
    ]  # fmt: skip


def test_best_first_then_what_the_answer_rests_on(whole_study):
    text = printed(whole_study)
    assert text.index("M1 ") < text.index("P1 ") < text.index("P2 ")
    assert "Grid total: 158 s (2 models, mean of seeds 0, 1)\n" in text
    assert "MGU tts: 52.0 s (M1, mean of seeds 0, 1)\n" in text
    assert "Speed-up: 3.05\n" in text
    assert "Validation margin: +1.50 points" in text


def test_mgu_rows_are_bold(whole_study):
    file = io.StringIO()
    print_summary(summarise(whole_study), Console(file=file, force_terminal=True, color_system="standard", width=150))
    mgu, plain = (next(line for line in file.getvalue().splitlines() if name in line) for name in ("M1 ◀", "P1 "))
    assert "\x1b[1m" in mgu
    assert "\x1b[1m" not in plain


def test_a_narrow_terminal_says_what_it_leaves_out(whole_study):
    text = printed(whole_study, width=72, force_terminal=True)
    assert "Left out for want of width: layout; train_acc, %" in text
    assert "inf" not in text
    assert max(len(line) for line in text.splitlines() if "│" in line) <= 72
    assert "90.50 ± 2.12" in text


@pytest.mark.parametrize("width", [10, 30])
def test_a_very_narrow_terminal_survives(whole_study, width):
    assert "Speed-up: 3.05" in printed(whole_study, width=width, force_terminal=True)


def test_a_wide_terminal_leaves_nothing_out(whole_study):
    text = printed(whole_study, width=150, force_terminal=True)
    assert "Left out" not in text
    assert "[4, 2, 2, inf, 2]" in text


def test_a_console_without_unicode(whole_study):
    buffer = io.BytesIO()
    text = io.TextIOWrapper(buffer, encoding="ascii")
    print_summary(summarise(whole_study), Console(file=text))
    text.flush()
    assert b"M1 <- MGU" in buffer.getvalue()
    assert b"90.50 +- 2.12" in buffer.getvalue()


def test_names_are_not_markup(record, view):
    assert "[red]x[/red]" in printed(view(record("[red]x[/red]", 0.9)))
    assert "[/]" in printed(view(record("[/]", 0.9)))


@pytest.mark.parametrize("status", ["pending", "failed"])
def test_why_there_is_no_speed_up(record, view, status):
    text = printed(view(record("P1", 0.9), record("M1", status=status, cell=None)))
    assert ("Speed-up: partial: 1 of 2 trials" if status == "pending" else "since no MGU model finished") in text


def test_empty(view):
    assert "the study has no trials" in printed(view())
