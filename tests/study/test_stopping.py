"""A study that is told to stop, by Ctrl-C or as a batch system does, and what stands in its way on the disk."""

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import asdict
from functools import partial

import psutil
import pytest
from click.testing import CliRunner
from timeless import timeless

from mgu.cli import main
from mgu.study.ledger import FILE, read_study

PROCESS = [sys.executable, "-m", "mgu"]
COMMAND = ["compare", "digits", "--limit", "300", "--only", "*MGU*", "--quiet"]
#: The first checkpoint is written after two seconds, and the whole takes several; an epoch has many steps.
LONG = [*COMMAND, "--epochs", "20", "--patience", "20", "--harden-after", "0.9", "--batch-size", "8"]
SHORT = [*COMMAND, "--epochs", "2"]
STOPPED = b"stopped; the same command goes on from the last checkpoint\n"


def run(command, folder):
    """The exit code and what was said of errors."""
    done = CliRunner().invoke(main, [*command, "--out", str(folder)])
    return done.exit_code, done.stderr


def finished(command, folder):
    assert run(command, folder) == (0, "")
    assert [record.status for record in records(folder)] == ["finished"]


def records(folder):
    return read_study(folder).records if (folder / FILE).is_file() else ()


def outcomes(folder):
    return [timeless(asdict(record.result)) for record in records(folder)]


def finished_without_loss(folder):
    """The same command ends, and what was on record is as it was."""
    before = records(folder)
    finished(SHORT, folder)
    for old, new in zip(before, records(folder), strict=False):
        assert old.result in (None, new.result)


def checkpoints(folder):
    return list(folder.glob("trials/*/checkpoints/checkpoint-*"))


def elapsed_s(folder):
    """Of the first trial's attempt, as it was last told."""
    with closing(sqlite3.connect(folder / FILE)) as connection:
        return connection.execute("SELECT elapsed_s FROM trials ORDER BY position").fetchone()[0]


def started(command, folder):
    """The command in a session of its own, as in a terminal: what runs in the background of a shell has been told not
    to hear of Ctrl-C."""
    hears = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return subprocess.Popen([*PROCESS, *command, "--out", folder], preexec_fn=hears, start_new_session=True, **quiet)


def below(process):
    """The command lines of the processes that it has started."""
    for child in psutil.Process(process.pid).children():
        with suppress(psutil.Error):  # it is already gone
            yield " ".join(child.cmdline())


def wait_for(condition, process):
    until = time.monotonic() + 120
    while not condition() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    assert condition()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "study"
    finished(LONG, folder)
    return outcomes(folder)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_it_ends_within_10_s_with_its_state_kept_and_goes_on_to_the_same_end(number, code, tmp_path, undisturbed):
    folder = tmp_path / "study"
    with started(LONG, folder) as process:
        wait_for(lambda: checkpoints(folder), process)
        time.sleep(0.3)  # it is on with the next steps
        sent = time.time()
        process.send_signal(number)
        assert process.wait(60) == code
        assert time.time() - sent < 10
        assert process.stderr.read() == STOPPED
    assert sent < max(path.stat().st_mtime for path in checkpoints(folder))
    assert [record.status for record in records(folder)] == ["running"]
    spent_s = elapsed_s(folder)
    assert (folder / "report.html").exists()
    finished(LONG, folder)
    assert outcomes(folder) == undisturbed
    first = records(folder)[0]
    assert first.attempts == 2
    assert first.lost_s < spent_s  # what was kept of it is not lost
    assert not list(folder.glob("trials/*/checkpoints"))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is forked from")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_stopped_while_what_trials_are_forked_from_is_imported_it_is_one_plain_line(number, code, tmp_path):
    """Ctrl-C in a terminal reaches all processes, and so may a batch system's SIGTERM."""
    folder = tmp_path / "study"
    with started(SHORT, folder) as process:
        wait_for(lambda: any("forkserver" in command for command in below(process)), process)
        time.sleep(0.2)  # it has begun, and has seconds of imports before it
        os.killpg(process.pid, number)
        assert (process.wait(60), process.stderr.read()) == (code, STOPPED)


def test_a_file_size_limit_is_one_plain_line_and_the_study_goes_on_without_it(tmp_path):
    folder = tmp_path / "study"

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))  # the weights alone are larger

    command = [*PROCESS, *SHORT, "--out", folder]
    stopped = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True, check=False)
    assert (stopped.returncode, stopped.stderr.count("\n")) == (2, 1), stopped.stderr
    assert stopped.stderr.startswith(f"error: {folder}")
    assert [record.result for record in records(folder)] == [None]  # its files come first
    finished_without_loss(folder)


@pytest.fixture
def small_disk(tmp_path):
    """A folder with room for so many bytes, and what gives it more."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def sized(megabytes, *how):
        options = ",".join([*how, f"size={megabytes}m"])
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    if os.name != "posix" or not shutil.which("mount") or sized(1).returncode != 0:
        pytest.skip("a small disk to fill needs the right to mount one")
    try:
        yield folder, lambda megabytes: sized(megabytes, "remount")
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("free_kb", [0, 100, 200])
def test_a_full_disk_is_one_plain_line_and_the_study_goes_on_when_there_is_room(free_kb, small_disk):
    disk, resize = small_disk
    folder = disk / "study"
    (disk / "other").write_bytes(bytes((1024 - free_kb) * 1024))
    code, told = run(SHORT, folder)
    assert (code, told.count("\n")) == (2, 1), told
    assert told.startswith(f"error: {folder}")
    assert resize(50).returncode == 0
    finished_without_loss(folder)
