"""What becomes of a study whose trials die, hang, or take all memory: each is on record with its cost, and the study
goes on."""

import re
import signal
import subprocess
import sys
from collections import deque

import pytest

import deeds
from mgu.history import Epoch
from mgu.progress import Silent
from mgu.study import runner
from mgu.study.ledger import Ledger
from mgu.study.processes import Processes
from mgu.study.runner import DEATHS, Trained, run
from mgu.study.workers import Answer, Began, Death, Kept
from samples import RESULT, SETTINGS, TRIALS


def run_with(folder, job_of, workers):
    with Ledger.open(folder, SETTINGS) as ledger:
        keys = ledger.add(TRIALS, SETTINGS)
        with workers:
            run(ledger, keys, job_of, workers, Silent())
        return [ledger.record(key) for key in keys]


@pytest.mark.parametrize(
    ("job", "attempts", "message"),
    [
        (deeds.hang, 1, r"nothing was heard of it for 3 s, so it was stopped"),
        (deeds.take_all_memory, 1, "MemoryError"),
        (deeds.fail, 1, "ZeroDivisionError: by 0"),
        (deeds.kill_itself, DEATHS, r"SIGKILL.*where memory runs out, in 3 attempts"),
        (deeds.crash, DEATHS, "SIGABRT, in 3 attempts"),
    ],
)
def test_a_trial_that_goes_wrong_is_on_record_and_the_next_goes_on(job, attempts, message, tmp_path):
    jobs = {TRIALS[0]: job, TRIALS[1]: deeds.train}
    wrong, well = run_with(tmp_path, jobs.get, Processes(RESULT, 1, 3.0))
    assert (wrong.status, wrong.attempts) == ("failed", attempts)
    assert re.search(message, wrong.result.message)
    assert wrong.result.tts_s > 0
    assert (well.status, well.result) == ("finished", RESULT)
    again, _ = run_with(tmp_path, lambda trial: deeds.train, Processes(RESULT, 1, 60.0))
    assert (again.status, again.attempts) == ("finished", attempts + 1)
    assert again.lost_s >= wrong.result.tts_s  # its cost is not forgotten


class Scripted:
    """Workers that say of each attempt what is written down for it."""

    slots = 1

    def __init__(self, *attempts):
        self.attempts, self.told, self.keys = deque(attempts), deque(), []

    def start(self, key, job, folder):
        self.keys.append(key)
        self.told.extend((key, message) for message in [Began({}), *self.attempts.popleft()])

    def next(self):
        return self.told.popleft()

    def stop(self, within_s):
        return iter(())

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


DEATH = Death("its process was killed")
DONE = Answer(Trained(RESULT))


def test_it_is_tried_for_as_long_as_each_attempt_comes_farther(tmp_path):
    farther = [[Kept(float(n)), Kept(n + 1.0), DEATH] for n in range(2 * DEATHS)]
    first, _ = run_with(tmp_path, lambda trial: None, Scripted(*farther, [Kept(6.0), DONE], [Kept(0.0), DONE]))
    assert (first.status, first.attempts) == ("finished", 2 * DEATHS + 1)


def test_it_has_failed_once_it_died_three_times_at_one_place(tmp_path):
    there = [Kept(4.0), DEATH]
    attempts = [[Kept(0.0), Kept(4.0), DEATH], there, there, [Kept(0.0), DONE]]
    first, second = run_with(tmp_path, lambda trial: None, Scripted(*attempts))
    assert (first.status, first.attempts, first.result.message) == ("failed", 3, f"{DEATH.message}, in 3 attempts")
    assert second.status == "finished"


def test_what_was_kept_of_an_attempt_is_not_lost(tmp_path):
    attempts = [[Kept(100.0), DEATH], [Kept(100.0), DONE], [Kept(0.0), DONE]]
    first, _ = run_with(tmp_path, lambda trial: None, Scripted(*attempts))
    assert first.lost_s < 1  # of the first attempt, which came no farther in no time


def test_what_an_attempt_cost_that_was_stopped_is_on_record(tmp_path):
    class Interrupted(Scripted):
        def next(self):
            if len(self.told) == 0:
                raise KeyboardInterrupt
            return super().next()

    with pytest.raises(KeyboardInterrupt):
        run_with(tmp_path, lambda trial: None, Interrupted([Kept(100.0)]))
    first, _ = run_with(tmp_path, lambda trial: None, Scripted([DONE], [DONE]))
    assert first.lost_s == pytest.approx(100.0, abs=5.0)  # it was not gone on with


def test_what_killed_attempts_had_half_written_is_swept_away(tmp_path):
    folder = runner.trial_folder(tmp_path, TRIALS[0])
    (folder / runner.CHECKPOINTS).mkdir(parents=True)
    (folder / "weights").write_text("whole")
    killed = "import os, sys, pathlib; from mgu import files; files.os.replace = lambda *_: os.kill(os.getpid(), 9); "
    for path in (folder / "weights", folder / runner.CHECKPOINTS / "checkpoint"):
        code = f"{killed} files.write_whole(pathlib.Path(sys.argv[1]), b'half')"
        assert subprocess.run([sys.executable, "-c", code, path], check=False).returncode == -signal.SIGKILL
        assert len(list(path.parent.glob(".*"))) == 1
    at_work = Scripted([DONE], [DONE])
    at_work.start, start = lambda *given: (found.append(list(folder.rglob(".*"))), start(*given)), at_work.start
    found = []
    run_with(tmp_path, lambda trial: None, at_work)
    assert found[0] == []
    assert (folder / "weights").read_text() == "whole"


def test_what_is_kept_hides_no_earlier_loss(tmp_path, monkeypatch):
    """A driver that is killed enters nothing at its end."""
    now = [0.0]
    monkeypatch.setattr(runner.time, "perf_counter", lambda: now[0])

    class Interrupted(Scripted):
        def next(self):
            now[0] += 10.0
            if len(self.told) == 0:
                raise KeyboardInterrupt
            return super().next()

    def interrupted(*told):
        with pytest.raises(KeyboardInterrupt):
            run_with(tmp_path, lambda trial: None, Interrupted(told))

    interrupted(Kept(0.0))  # of which 10 s are lost
    with monkeypatch.context() as killed:
        killed.setattr(runner._Attempts, "stopped", lambda attempts: None)
        interrupted(Kept(0.0), Kept(10.0))
    first, _ = run_with(tmp_path, lambda trial: None, Scripted([Kept(10.0), DONE], [DONE]))
    assert first.lost_s == 10.0


def test_what_trials_tell_once_the_study_is_stopped_counts(tmp_path):
    class Interrupted(Scripted):
        slots = 2

        def next(self):
            if len(self.told) == 0:
                raise KeyboardInterrupt
            return super().next()

        def stop(self, within_s):
            first, second = self.keys
            return iter([(first, Kept(100.0)), (second, DONE), (first, DEATH)])

    with pytest.raises(KeyboardInterrupt):
        run_with(tmp_path, lambda trial: None, Interrupted([Kept(90.0)], [Kept(0.0)]))
    told = []
    first, second = run_with(tmp_path, told.append, Scripted([Kept(100.0), DONE]))
    assert told == [TRIALS[0]]  # the other had ended
    assert (second.status, second.result, second.attempts) == ("finished", RESULT, 1)
    assert (first.status, first.attempts) == ("finished", 2)
    assert first.lost_s < 1  # what was kept last is not


def test_of_many_epochs_few_wait_for_the_disk(tmp_path, monkeypatch):
    written = []
    progress = Ledger.progress
    monkeypatch.setattr(Ledger, "progress", lambda *given: (written.append(given), progress(*given)))
    told = [Epoch(number, 0.5, 0.5, 0.5, 0.5, 0.001 * number) for number in range(1, 1000)]
    run_with(tmp_path, lambda trial: None, Scripted([*told, DONE], [DONE]))
    assert len(written) < 20  # one a second
