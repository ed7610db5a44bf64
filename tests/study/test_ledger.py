"""The ledger: what it keeps, what it refuses, and that a killed process loses nothing that was written."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from mgu.errors import InputError
from mgu.history import Answers, Decision, Energy, Flops, Hardening, Usage
from mgu.study.ledger import FILE, Ledger, read_study
from mgu.study.trial import StudyView, Trial
from samples import RESULT, SETTINGS, TRIALS

TESTS = Path(__file__).parents[1]
RESULTS = TESTS.parent / "results"


def test_what_goes_in_comes_out(tmp_path):
    with Ledger.open(tmp_path / "study", SETTINGS) as ledger:
        keys = ledger.add(TRIALS, SETTINGS)
        ledger.begin(keys[0], {"torch": "2"})
        ledger.end(keys[0], RESULT)
        live = ledger.view()
    view = read_study(tmp_path / "study")
    assert view == live
    assert view.settings == SETTINGS
    assert [record.trial for record in view.records] == TRIALS
    assert view.records[0].result == RESULT
    assert (view.records[0].status, view.records[0].attempts) == ("finished", 1)
    assert (view.records[1].status, view.records[1].result) == ("pending", None)
    assert view.environment == {"torch": "2"}


def test_reading_a_study_changes_nothing(tmp_path):
    folder = tmp_path / "50 % of #1?"
    with Ledger.open(folder, SETTINGS) as ledger:
        ledger.end(ledger.add(TRIALS, SETTINGS)[0], RESULT)
        assert read_study(folder).records[0].result == RESULT  # also while another works on it
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert read_study(folder).records[0].result == RESULT
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def logged_ahead(folder):
    """Leave the ledger as a killed process does, in WAL mode."""
    with closing(sqlite3.connect(folder / FILE)) as connection:
        assert connection.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)


def test_a_ledger_is_one_file_once_nobody_works_on_it(tmp_path):
    for _ in range(2):
        with Ledger.open(tmp_path, SETTINGS) as ledger:
            ledger.end(ledger.add(TRIALS, SETTINGS)[0], RESULT)
        assert [path.name for path in tmp_path.iterdir() if path.name != "study.lock"] == [FILE]
        assert (tmp_path / FILE).read_bytes()[18:20] == b"\x01\x01"  # the versions of the format: a rollback journal
        logged_ahead(tmp_path)


def test_a_reader_does_not_keep_a_ledger_from_closing(tmp_path):
    with Ledger.open(tmp_path, SETTINGS) as ledger:
        ledger.add(TRIALS, SETTINGS)
        reader = sqlite3.connect(tmp_path / FILE)
        assert reader.execute("SELECT COUNT(*) FROM trials").fetchone() == (2,)
    reader.close()
    assert len(read_study(tmp_path).records) == 2


@pytest.fixture
def unprivileged():
    """A folder, and a context in which it can only be read, by a user who is not root."""
    if not hasattr(os, "geteuid"):
        pytest.skip("users are told apart by other means here")
    user = os.geteuid()

    @contextmanager
    def reading(folder):
        for path in folder.iterdir():
            path.chmod(0o444)
        folder.chmod(0o555)
        if user == 0:
            os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(user)
            folder.chmod(0o755)

    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)  # pytest's own folders are closed to others
        yield Path(name), reading


@pytest.mark.parametrize("leave", [lambda folder: None, logged_ahead])
def test_a_study_in_a_folder_that_can_only_be_read(unprivileged, leave):
    folder, reading = unprivileged
    with Ledger.open(folder, SETTINGS) as ledger:
        ledger.end(ledger.add(TRIALS, SETTINGS)[0], RESULT)
    leave(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with reading(folder):
        assert [record.result for record in read_study(folder).records] == [RESULT, None]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_results_that_are_only_in_the_log_are_not_passed_over(unprivileged):
    """Rather no study than an old one."""
    folder, reading = unprivileged
    with Ledger.open(folder, SETTINGS) as ledger:
        key = ledger.add(TRIALS, SETTINGS)[0]
        ledger.end(key, RESULT)
        left = {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm")}
    assert left[f"{FILE}-wal"]
    for path in folder.iterdir():
        path.unlink()
    for name, content in left.items():
        (folder / name).write_bytes(content)
    with reading(folder), pytest.raises(InputError, match=r"not a readable ledger.*where it can be written"):
        read_study(folder)
    assert read_study(folder).records[0].result == RESULT


@pytest.mark.parametrize("path", sorted(RESULTS.rglob(FILE)), ids=lambda path: path.parent.name)
def test_published_ledgers_are_one_file_each(path):
    if path.with_name(f"{FILE}-wal").exists():
        pytest.skip("a study is at work here")
    assert path.read_bytes()[18:20] == b"\x01\x01"


def test_a_study_whose_file_has_just_been_made_is_empty(tmp_path):
    (tmp_path / FILE).touch()
    assert read_study(tmp_path) == StudyView({}, {})


def test_gates_by_epoch_come_back(tmp_path):
    epoch = replace(RESULT.history[0], gates={"layer_1": {"norm": 0.25, "skip": 0.5}, "layer_2": {"norm": 1.0}})
    with Ledger.open(tmp_path, SETTINGS) as ledger:
        (key,) = ledger.add(TRIALS[:1], SETTINGS)
        ledger.end(key, replace(RESULT, history=(epoch,)))
    assert read_study(tmp_path).records[0].result.history == (epoch,)


def test_a_ledger_from_before_gates_were_recorded_is_read(tmp_path):
    """A published study."""
    published = RESULTS / "mnist-small"
    results = [record.result for record in read_study(published).records if record.result]
    assert results
    assert {len(epoch.gates) for result in results for epoch in result.history} == {0}
    assert {result.hardening for result in results} == {None}


def test_a_hardening_comes_back(tmp_path):
    decisions = (Decision("layer_1", "norm", "ln", 0.75, -0.01), Decision("layer_1", "skip", "residual", 1.0, 0.5))
    hard = replace(RESULT, status="diverged", val_score=None, message="the loss was not finite", latency_s=0.001)
    usage = Usage((Energy("cpu", 0.25, "measured", "RAPL"),), None, None, 0.9, 1.0, 0.1, 512.5, None, None, None, 12.5)
    hardening = Hardening(1, 20, decisions, 0.25, 64, 0.004, 0.001, "1 gate is undecided", hard, usage)
    result = replace(RESULT, latency_s=0.004, hardening=hardening)
    with Ledger.open(tmp_path, SETTINGS) as ledger:
        key = ledger.add(TRIALS, SETTINGS)[1]
        ledger.begin(key, {})
        ledger.end(key, result)
    record = read_study(tmp_path).records[1]
    assert record.result == result
    assert record.hardened == replace(
        record,
        trial=replace(TRIALS[1], model_name="A_MGU_001 hardened", model_size=20),
        status="diverged",
        result=hard,
        after_epoch=1,
    )
    assert read_study(tmp_path).records[0].hardened is None


def test_answers_operations_and_usage_come_back(tmp_path):
    energy = (Energy("cpu", 0.25, "estimated", "42 W by time"), Energy("gpu", None, "absent", "no GPU"))
    usage = Usage(energy, None, None, 0.9, 1.0, 0.1, 512.5, None, 475.0, "CHE", 12.5)
    result = replace(
        RESULT,
        test_answers=Answers(((3, 1), (0, 2)), 0.5),
        test_case_answers=Answers(((1, 0), (0, 1)), 0.25),
        step_flops=Flops(10, 12),
        run_flops=Flops(100, 10**15),
        usage=usage,
    )
    with Ledger.open(tmp_path, SETTINGS) as ledger:
        ledger.end(ledger.add(TRIALS, SETTINGS)[0], result)
    assert read_study(tmp_path).records[0].result == result


def test_adding_again_adds_nothing_and_keeps_results(tmp_path):
    for _ in range(2):
        with Ledger.open(tmp_path, SETTINGS) as ledger:
            keys = ledger.add(TRIALS, SETTINGS)
            if ledger.record(keys[0]).status == "pending":
                ledger.begin(keys[0], {})
                ledger.end(keys[0], RESULT)
    assert [record.status for record in read_study(tmp_path).records] == ["finished", "pending"]


def test_a_trials_identity_is_its_architecture_seed_and_settings():
    trial = TRIALS[0]
    keys = {
        trial.key(SETTINGS),
        TRIALS[1].key(SETTINGS),
        Trial(trial.model_name, trial.architecture, trial.model_size, 1).key(SETTINGS),
        trial.key({**SETTINGS, "training": {"epochs": 4}}),
    }
    assert len(keys) == 4
    renamed = {
        **SETTINGS,
        "data": {"name": "elsewhere", "checksum": "ab", "note": "a copy", "class_names": ["cat", "dog"]},
    }
    assert trial.key(renamed) == trial.key(SETTINGS)
    assert Trial("another name", trial.architecture, trial.model_size, 0).key(SETTINGS) == trial.key(SETTINGS)


def test_killed_attempts_count_as_lost_time(tmp_path):
    with Ledger.open(tmp_path, SETTINGS) as ledger:
        key = ledger.add(TRIALS, SETTINGS)[0]
        ledger.begin(key, {})
        ledger.progress(key, 3.0)
    assert read_study(tmp_path).records[0].lost_s == 3.0
    with Ledger.open(tmp_path, SETTINGS) as ledger:
        ledger.begin(key, {})
        ledger.progress(key, 1.0)
        ledger.end(key, RESULT)
        record = ledger.record(key)
    assert (record.attempts, record.lost_s, record.result) == (2, 3.0, RESULT)


def test_other_settings_are_refused_with_the_difference(tmp_path):
    with Ledger.open(tmp_path, SETTINGS):
        pass
    other = {"data": {"name": "digits", "checksum": "cd"}, "training": {"epochs": 5}}
    with pytest.raises(InputError) as error, Ledger.open(tmp_path, other):
        pass
    assert "data.checksum was 'ab', now 'cd'; training.epochs was 3, now 5" in str(error.value)
    renamed = {**SETTINGS, "data": {"name": "elsewhere", "checksum": "ab"}}
    with Ledger.open(tmp_path, renamed):
        pass


def test_every_command_and_the_latest_note_are_kept(tmp_path):
    noted = {**SETTINGS, "data": {**SETTINGS["data"], "note": "copies"}}
    for settings, command in ((SETTINGS, "a"), (noted, "b"), (SETTINGS, "a"), (SETTINGS, None)):
        with Ledger.open(tmp_path, settings, command):
            pass
    view = read_study(tmp_path)
    assert view.commands == ("a", "b")
    assert view.settings["data"]["note"] == "copies"


def test_two_processes_cannot_work_on_one_study(tmp_path):
    script = f"""
import pathlib, sys
from mgu.errors import InputError
from mgu.study.ledger import Ledger
try:
    with Ledger.open(pathlib.Path({str(tmp_path)!r}), {SETTINGS!r}):
        print("opened")
except InputError as error:
    print(error)
"""

    def second():
        return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    with Ledger.open(tmp_path, SETTINGS):
        assert "another process is working on this study" in second()
        assert read_study(tmp_path).settings == SETTINGS
    assert second() == "opened\n"


def test_a_process_killed_after_a_result_has_lost_nothing(tmp_path):
    script = f"""
import os, pathlib, signal
from mgu.study.ledger import Ledger
from samples import RESULT, SETTINGS, TRIALS
with Ledger.open(pathlib.Path({str(tmp_path / "study")!r}), SETTINGS) as ledger:
    keys = ledger.add(TRIALS, SETTINGS)
    ledger.begin(keys[0], {{}})
    ledger.end(keys[0], RESULT)
    ledger.begin(keys[1], {{}})
    ledger.progress(keys[1], 4.0)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    process = subprocess.run([sys.executable, "-c", script], cwd=TESTS, check=False)
    assert process.returncode == -signal.SIGKILL
    with Ledger.open(tmp_path / "study", SETTINGS) as ledger:
        records = ledger.view().records
    assert records[0].result == RESULT
    assert (records[1].status, records[1].lost_s) == ("running", 4.0)


def test_folders_that_are_no_study(tmp_path):
    with pytest.raises(InputError, match="no study here"):
        read_study(tmp_path)
    (tmp_path / FILE).write_bytes(b"not a database, but long enough to be read as one" * 30)
    with pytest.raises(InputError, match="not a readable ledger"):
        read_study(tmp_path)
    with pytest.raises(InputError, match="not a readable ledger"), Ledger.open(tmp_path, SETTINGS):
        pass


def changed(folder, column, change):
    """The study with what ``change`` makes of the first trial's cell."""
    with Ledger.open(folder, SETTINGS) as ledger:
        key = ledger.add(TRIALS, SETTINGS)[0]
        ledger.end(key, replace(RESULT, test_answers=Answers(((1, 0), (0, 1)), 0.5)))
        (cell,) = ledger._connection.execute(f"SELECT {column} FROM trials WHERE key = ?", (key,)).fetchone()
        ledger._change(f"{column} = ?", key, change(cell))
    return folder


def edited(**fields):
    return lambda cell: json.dumps({**json.loads(cell), **fields})


DAMAGED = (
    r"ledger\.sqlite: trial 1 \(A_001, seed 0\) cannot be read \(.*{}.*\): .* damaged, .* newer mgu.*update mgu, or"
)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda cell: "{", "Expecting property name"),
        (lambda cell: "null", "NoneType"),
        (edited(mood="fine"), "'mood'"),
        (edited(history=[{"epoch": 1, "mood": "fine"}]), "'mood'"),
        (edited(history=[{"epoch": 1}]), "train_loss"),
        (edited(test_answers={"confusion": [[1]], "log_loss": 0.5, "mood": "fine"}), "'mood'"),
        (edited(test_answers={"confusion": [[1]]}), "log_loss"),
        (lambda cell: '{"status": "finished"}', "history"),
    ],
)
def test_a_result_that_is_damaged_or_newer_is_refused_by_name(tmp_path, change, reason):
    with pytest.raises(InputError, match=DAMAGED.format(reason)):
        read_study(changed(tmp_path, "result", change))


@pytest.mark.parametrize("change", [lambda cell: "{", lambda cell: "[]", edited(mood="fine")])
def test_a_trial_that_is_damaged_or_newer_is_refused_by_its_place(tmp_path, change):
    with pytest.raises(InputError, match=r"ledger\.sqlite: trial 1 .*cannot be read"):
        read_study(changed(tmp_path, "trial", change))


def test_settings_that_are_damaged_are_refused(tmp_path):
    with Ledger.open(tmp_path, SETTINGS) as ledger:
        ledger._write("UPDATE study SET value = ? WHERE name = 'settings'", ("{",))
    with pytest.raises(InputError, match=r"ledger\.sqlite: the study's settings cannot be read"):
        read_study(tmp_path)
    with pytest.raises(InputError, match="settings cannot be read"), Ledger.open(tmp_path, SETTINGS):
        pass


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be written"), Ledger.open(tmp_path / "file" / "study", SETTINGS):
        pass


def test_a_folder_that_can_only_be_read_holds_no_new_study(unprivileged):
    folder, reading = unprivileged
    with reading(folder), pytest.raises(InputError, match="cannot be written"), Ledger.open(folder / "study", SETTINGS):
        pass
    assert not list(folder.iterdir())


def test_writes_are_synchronous_and_logged_ahead(tmp_path):
    with Ledger.open(tmp_path, SETTINGS) as ledger:
        pragma = {
            name: ledger._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")
        }
    assert pragma == {"journal_mode": "wal", "synchronous": 2}


def test_a_ledger_that_may_grow_no_further_says_so_and_keeps_what_it_has(tmp_path):
    with Ledger.open(tmp_path, SETTINGS) as ledger:
        first, second = ledger.add(TRIALS, SETTINGS)
        for key in (first, second):
            ledger.begin(key, {})
        ledger.end(first, RESULT)
        pages = ledger._connection.execute("PRAGMA page_count").fetchone()[0]
        ledger._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(InputError, match=r"cannot be written .*; what it holds is kept: make room"):
            ledger.end(second, replace(RESULT, message="m" * 100_000))
    assert [record.result for record in read_study(tmp_path).records] == [RESULT, None]
