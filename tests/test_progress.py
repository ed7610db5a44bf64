"""What a study says while it runs, by the text that reaches the screen and a clock that the test sets."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from mgu import progress
from mgu.history import Epoch, Hardening, Result
from mgu.report.score import ACCURACY, R2
from mgu.study.trial import Record, StudyView
from samples import RESULT, TRIALS


@pytest.fixture
def clock(monkeypatch):
    seconds = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: seconds[0])
    return seconds


def console(terminal):
    return Console(file=io.StringIO(), force_terminal=terminal, width=160, color_system=None, legacy_windows=False)


def test_a_line_a_trial_with_time_spent_and_left(clock):
    out = console(terminal=False)
    with progress.listen(out, 3, quiet=False, score=ACCURACY) as listener:
        for index, spent in ((1, 10.0), (2, 30.0)):
            listener.trial_began(index, 25, TRIALS[0])
            clock[0] = spent
            listener.trial_ended(index, 25, Record(TRIALS[0], "finished", 1, RESULT))
    lines = out.file.getvalue().splitlines()
    assert (
        lines[0]
        == "  1/25 A_001 seed 0  validation accuracy 80.00 %  2 epochs in 2.5 s  elapsed 10 s, left about 4 min 00 s"
    )
    assert lines[1].endswith("elapsed 30 s, left about 5 min 45 s")  # 15 s a trial, 23 to come


def test_a_resumed_study_counts_only_what_this_run_did(clock):
    out = console(terminal=False)
    with progress.listen(out, 3, quiet=False, score=ACCURACY) as listener:
        listener.trial_began(21, 25, TRIALS[0])
        clock[0] = 8.0
        listener.trial_ended(21, 25, Record(TRIALS[0], "finished", 2, RESULT))
    assert out.file.getvalue().rstrip().endswith("elapsed 8 s, left about 32 s")


def test_on_a_terminal_the_epoch_its_accuracy_and_the_times_are_live(clock):
    out = console(terminal=True)
    with progress.listen(out, 4, quiet=False, score=ACCURACY) as listener:
        listener.trial_began(1, 2, TRIALS[1])
        clock[0] = 5.0
        listener.epoch_ended(TRIALS[1], Epoch(2, 0.5, 0.5, 0.5, 0.625, 5.0))
        listener.bar.refresh()
        assert "1/2 A_MGU_001 seed 0" in out.file.getvalue()
        assert "epoch 2/4, validation accuracy 62.50 %, elapsed 5 s, left about 15 s" in out.file.getvalue()
        listener.trial_ended(1, 2, Record(TRIALS[1], "finished", 1, RESULT))
    assert "validation accuracy 80.00 %  2 epochs in 2.5 s" in out.file.getvalue()


def test_of_several_at_once_the_parts_that_are_done_count_and_the_last_heard_of_is_shown(clock):
    out = console(terminal=True)
    with progress.listen(out, 4, quiet=False, score=ACCURACY) as listener:
        for index, trial in enumerate(TRIALS, 1):
            listener.trial_began(index, 3, trial)
        clock[0] = 6.0
        listener.epoch_ended(TRIALS[0], Epoch(1, 0.5, 0.5, 0.5, 0.5, 1.0))
        listener.epoch_ended(TRIALS[1], Epoch(2, 0.5, 0.5, 0.5, 0.625, 5.0))
        listener.bar.refresh()
        assert "2/3 A_MGU_001 seed 0" in out.file.getvalue()
        assert "epoch 2/4, validation accuracy 62.50 %, elapsed 6 s, left about 18 s" in out.file.getvalue()
        clock[0] = 10.0
        listener.trial_ended(2, 3, Record(TRIALS[1], "finished", 1, RESULT))
        listener.trial_waits(TRIALS[0], "for 1 GPU")
    assert "elapsed 10 s, left about 20 s" in out.file.getvalue()
    assert "A_001 seed 0 waits for 1 GPU" in out.file.getvalue()


def test_of_a_quantity_r2_is_told(clock):
    out = console(terminal=False)
    with progress.listen(out, 3, quiet=False, score=R2) as listener:
        listener.trial_began(1, 1, TRIALS[0])
        clock[0] = 1.0
        listener.trial_ended(1, 1, Record(TRIALS[0], "finished", 1, replace(RESULT, val_score=-0.25)))
    assert out.file.getvalue().startswith("  1/1 A_001 seed 0  validation R² -0.2500  2 epochs in 2.5 s")


def test_a_trial_that_failed_says_why(clock):
    out = console(terminal=False)
    with progress.listen(out, 3, quiet=False, score=ACCURACY) as listener:
        listener.trial_began(1, 1, TRIALS[0])
        clock[0] = 1.0
        listener.trial_ended(
            1, 1, Record(TRIALS[0], "failed", 1, Result("failed", 1.0, message="MemoryError: no room"))
        )
    assert "failed: MemoryError: no room" in out.file.getvalue()


def test_quiet_says_nothing(clock):
    out = console(terminal=True)
    with progress.listen(out, 3, quiet=True, score=ACCURACY) as listener:
        listener.trial_began(1, 1, TRIALS[0])
        listener.epoch_ended(TRIALS[0], Epoch(1, 0.5, 0.5, 0.5, 0.5, 1.0))
        listener.trial_ended(1, 1, Record(TRIALS[0], "finished", 1, RESULT))
    assert out.file.getvalue() == ""


def test_how_far_a_study_is():
    hard = replace(RESULT, tts_s=3.5)  # 1.5 s of them are the soft network's first epoch
    hardened = replace(RESULT, hardening=Hardening(1, 20, (), 0.1, 64, 0.2, 0.1, "", hard))
    records = (
        Record(TRIALS[0], "finished", 1, RESULT, lost_s=4.0),  # 2.5 + 0.1 + 4
        Record(TRIALS[1], "finished", 1, hardened),  # 2.5 + 0.1 + 2
        Record(replace(TRIALS[0], seed=1), "failed", 1, Result("failed", 4.8, message="MemoryError: none left")),
        Record(replace(TRIALS[1], seed=1), "running", 1, lost_s=63.0),
        Record(replace(TRIALS[0], seed=2)),
    )
    assert list(progress.standing(StudyView({}, {}, records))) == [
        "3 of 5 trials have ended (2 finished, 1 failed, 1 running, 1 pending)",
        "spent 1 min 19 s, left about 11 s",  # 16 s for 3 trials, 2 to come
        "A_001 seed 1 failed: MemoryError: none left",
        "A_MGU_001 seed 1 runs, or its process has died: 1 min 03 s to its last epoch",
    ]
    assert list(progress.standing(StudyView({}, {}))) == ["0 of 0 trials have ended (none was begun)", "spent 0 s"]
