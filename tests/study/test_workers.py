"""Jobs in processes of their own: what becomes of one that answers, fails, dies, hangs, or whose driver dies."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import deeds
from mgu.errors import InputError
from mgu.study.workers import DiedError, FailedError, StalledError, answer_of

LONG_S = 60.0


def nothing(message):
    pass


def gone(pid, within_s=10.0):
    """Whether a process ends within the time; one that is dead and not waited for has ended."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


def test_what_it_says_and_answers_arrives_in_order():
    said = []
    assert answer_of(deeds.count, said.append, LONG_S) == "done"
    assert said == [0, 1, 2]


def test_each_job_has_a_process_of_its_own():
    pids = {answer_of(deeds.say_who, nothing, LONG_S) for _ in range(3)}
    assert len(pids) == 3
    assert os.getpid() not in pids


@pytest.mark.parametrize(
    ("job", "error", "message"),
    [
        (deeds.refuse, InputError, "no such thing; give another"),
        (deeds.fail, FailedError, "ZeroDivisionError: by 0"),
        (deeds.take_all_memory, FailedError, "MemoryError"),
        (deeds.kill_itself, DiedError, r"SIGKILL.*memory runs out"),
        (deeds.crash, DiedError, "SIGABRT"),
        (deeds.leave, DiedError, "exit code 3"),
        (deeds.answer_nothing_that_can_be_sent, FailedError, "pickle"),
    ],
)
def test_what_goes_wrong_in_it_is_told(job, error, message):
    with pytest.raises(error, match=message):
        answer_of(job, nothing, LONG_S)
    assert answer_of(deeds.count, nothing, LONG_S) == "done"  # and the next one goes on


@pytest.mark.parametrize("job", [deeds.hang, deeds.stop_itself])
def test_one_that_says_nothing_for_too_long_is_killed(job):
    pids = []
    with pytest.raises(StalledError, match=r"nothing was heard of it for 0\.5 s"):
        answer_of(job, pids.append, 0.5)
    assert gone(pids[0])


def test_it_ends_with_whatever_interrupts_the_call():
    def interrupt(pid):
        pids.append(pid)
        raise KeyboardInterrupt

    pids = []
    with pytest.raises(KeyboardInterrupt):
        answer_of(deeds.hang, interrupt, LONG_S)
    assert gone(pids[0])


def test_it_ends_with_a_driver_that_is_killed(tmp_path):
    code = (
        "import sys, deeds; from mgu.study.workers import answer_of; "
        "answer_of(deeds.hang, lambda pid: open(sys.argv[1], 'w').write(f'{pid}.') and None, 60)"
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


def test_a_script_without_a_main_guard_is_not_run_again(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import deeds\nfrom mgu.study.workers import answer_of\n"
        "print('once')\nprint(answer_of(deeds.count, lambda message: None, 60))\n"
    )
    tests = str(Path(deeds.__file__).parent)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "once\ndone\n"
