"""Jobs in processes of their own: what becomes of one that answers, fails, dies, hangs, or whose driver dies."""

import math
import os
import re
import signal
import subprocess
import sys
import time
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil
import pytest

import deeds
from mgu.study import processes
from mgu.study.processes import PAUSES_S, Processes
from mgu.study.workers import ENDS, Answer, Began, Death, Failure, Refusal, Stall

LONG_S = 60.0


def told_of(job, stall_s=LONG_S):
    """All that is told of a job, but that it began."""
    with Processes(None, 1, stall_s, {"torch": "2"}) as workers:
        workers.start("key", job, Path())
        assert workers.next() == ("key", Began({"torch": "2"}))
        told = [workers.next()[1]]
        while not isinstance(told[-1], ENDS):
            told.append(workers.next()[1])
    return told


def gone(pid, within_s=10.0):
    """Whether a process ends within the time; one that is dead and not waited for has ended."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


def test_what_it_says_and_answers_arrives_in_order():
    assert told_of(deeds.count) == [0, 1, 2, Answer("done")]


def test_each_job_has_a_process_of_its_own():
    pids = {told_of(deeds.say_who)[0].value for _ in range(3)}
    assert len(pids) == 3
    assert os.getpid() not in pids


@pytest.mark.parametrize("value", ["1", "2", None])
def test_its_environment_is_that_of_the_driver_as_it_is_now(value, monkeypatch):
    """Whatever it is forked from was begun with."""
    if value:
        monkeypatch.setenv("MGU_TEST", value)
    assert told_of(deeds.say_environment) == [Answer(value)]


def test_it_may_be_waited_for_for_ever():
    assert told_of(deeds.count, math.inf)[-1] == Answer("done")


def test_several_at_once_each_with_its_own_folder_and_what_is_common(tmp_path):
    shared = {"cpu": "3 at once"}
    told = {}
    with Processes("common", 3, LONG_S, shared=shared) as workers:
        for key in "abc":
            workers.start(key, deeds.say_where, tmp_path / key)
        while len(told) < 3:
            key, message = workers.next()
            told |= {key: message.value} if isinstance(message, Answer) else {}
    assert told == {key: ("common", tmp_path / key, shared) for key in "abc"}


def test_one_that_hangs_or_dies_leaves_the_others_alone():
    told = {"a": [], "b": [], "c": []}
    with Processes(None, 3, 1.0) as workers:
        for key, job in (("a", deeds.hang), ("b", deeds.leave), ("c", deeds.keep_saying)):
            workers.start(key, job, Path())
        while not any(isinstance(message, Answer) for message in told["c"]):
            key, message = workers.next()
            told[key].append(message)
    assert [type(told[key][-1]) for key in "abc"] == [Stall, Death, Answer]


@pytest.mark.parametrize(
    ("job", "end", "message"),
    [
        (deeds.refuse, Refusal, "no such thing; give another"),
        (deeds.fail, Failure, "ZeroDivisionError: by 0"),
        (deeds.take_all_memory, Failure, "MemoryError"),
        (deeds.kill_itself, Death, r"SIGKILL.*memory runs out"),
        (deeds.break_off, Death, r"SIGKILL.*memory runs out"),
        (deeds.crash, Death, "SIGABRT"),
        (deeds.leave, Death, "exit code 3"),
        (deeds.answer_nothing_that_can_be_sent, Failure, "pickle"),
    ],
)
def test_what_goes_wrong_in_it_is_told(job, end, message):
    last = told_of(job)[-1]
    assert isinstance(last, end)
    assert re.search(message, last.message)
    assert told_of(deeds.count)[-1] == Answer("done")  # and the next one goes on


@pytest.mark.parametrize("job", [deeds.hang, deeds.stop_itself])
def test_one_that_says_nothing_for_too_long_is_killed(job):
    told_of(deeds.count)  # what it is forked from is then there
    pid, last = told_of(job, 2.0)
    assert last == Stall("nothing was heard of it for 2 s, so it was stopped")
    assert gone(pid)


def test_they_end_with_whatever_interrupts_the_driver():
    pids = []

    def interrupted():
        with Processes(None, 2, LONG_S) as workers:
            for key in "ab":
                workers.start(key, deeds.hang, Path())
            while len(pids) < 2:
                pids.extend(said for _, said in [workers.next()] if isinstance(said, int))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert all(map(gone, pids))


def test_told_to_stop_each_may_keep_its_state_before_it_is_killed():
    told, begun = [], time.monotonic()
    with Processes(None, 3, LONG_S) as workers:
        for key, job in (("a", deeds.leave_when_told), ("b", deeds.hang), ("c", deeds.leave_when_told)):
            workers.start(key, job, Path())
        said = [workers.next() for _ in range(6)]  # that it began, and a word of its own
        told += workers.stop(3.0)
    (pid,) = (message for key, message in said if key == "b" and isinstance(message, int))
    assert gone(pid)
    ends = [(key, message) for key, message in told if isinstance(message, ENDS)]
    assert ("a", "kept") in told
    assert ("c", "kept") in told
    assert sorted(ends) == [(key, Death("its process was told to stop (SIGTERM)")) for key in "ac"]
    assert 3.0 <= time.monotonic() - begun < LONG_S


def test_it_ends_with_a_driver_that_is_killed(tmp_path):
    code = (
        "import sys, deeds; from pathlib import Path; from mgu.study.processes import Processes; "
        "workers = Processes(None, 1, 60); workers.start('key', deeds.hang, Path()); workers.next(); "
        "open(sys.argv[1], 'w').write(f'{workers.next()[1]}.'); workers.next()"
    )
    said, tests = tmp_path / "pid", str(Path(deeds.__file__).parent)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")])}
    driver = subprocess.Popen([sys.executable, "-c", code, said], env=environment)
    until = time.monotonic() + 60
    while not (said.exists() and said.read_text().endswith(".")) and time.monotonic() < until:
        time.sleep(0.02)
    pid = int(said.read_text()[:-1])
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert gone(pid)


def test_what_they_are_forked_from_may_die():
    assert told_of(deeds.count)[-1] == Answer("done")
    os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)
    assert told_of(deeds.count)[-1] == Answer("done")  # at once, and once another is there
    assert told_of(deeds.count)[-1] == Answer("done")


DEAD = Death("its process could not be started (EOFError: none is there)")


@pytest.mark.parametrize(("refused", "end"), [(len(PAUSES_S), Answer("done")), (len(PAUSES_S) + 1, DEAD)])
def test_one_that_cannot_be_started_is_tried_again(refused, end, monkeypatch):
    """What it is forked from has died, and does not look dead yet."""
    begin, refusals = BaseProcess.start, [EOFError("none is there")] * refused

    def start(process):
        if refusals:
            raise refusals.pop()
        begin(process)

    monkeypatch.setattr(BaseProcess, "start", start)
    monkeypatch.setattr(processes, "PAUSES_S", [0.0] * len(PAUSES_S))
    assert told_of(deeds.count)[-1] == end


def test_a_script_without_a_main_guard_is_not_run_again(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import deeds\nfrom pathlib import Path\nfrom mgu.study.processes import Processes\nprint('once')\n"
        "with Processes(None, 1, 60) as workers:\n    workers.start('key', deeds.say_who, Path())\n"
        "    workers.next()\n    print(type(workers.next()[1]).__name__)\n"
    )
    tests = str(Path(deeds.__file__).parent)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "once\nAnswer\n"
