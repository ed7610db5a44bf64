"""The runner: order, failures that do not stop the study, and what a second run repeats."""

from dataclasses import replace

import pytest

from inline import Inline
from mgu.errors import InputError
from mgu.history import Epoch, Result
from mgu.progress import Silent
from mgu.study.ledger import Ledger, read_study
from mgu.study.runner import Trained, run, trial_folder
from samples import RESULT, SETTINGS, TRIALS


class Told(Silent):
    def __init__(self):
        self.events = []

    def trial_began(self, index, total, trial):
        self.events.append(f"{index}/{total} {trial.model_name} began")

    def epoch_ended(self, trial, epoch):
        self.events.append(f"{trial.model_name} epoch {epoch.epoch}")

    def trial_ended(self, index, total, record):
        self.events.append(f"{record.trial.model_name} {record.status}")


def jobs(train):
    """The job of each trial: to train it, and to write its files."""

    def job_of(trial):
        def job(common, place):
            trained, save = train(trial, place.tell)
            try:
                place.folder.mkdir(parents=True, exist_ok=True)
                save(place.folder)
            except OSError as error:
                return Trained(trained, unwritable=str(error))
            except Exception as error:
                return Trained(trained, unsaved=f"{type(error).__name__}: {error}")
            return Trained(trained)

        return job

    return job_of


def run_with(folder, train):
    told = Told()
    with Ledger.open(folder, SETTINGS) as ledger:
        keys = ledger.add(TRIALS, SETTINGS)
        run(ledger, keys, jobs(train), Inline(), told)
        return told.events, [ledger.record(key) for key in keys]


def succeed(trial, on_epoch):
    on_epoch(Epoch(1, 0.5, 0.5, 0.5, 0.5, 1.0))
    return RESULT, lambda folder: (folder / "weights").write_text(trial.model_name)


def test_trials_in_order_and_none_twice(tmp_path):
    events, records = run_with(tmp_path, succeed)
    assert events == [
        "1/2 A_001 began",
        "A_001 epoch 1",
        "A_001 finished",
        "2/2 A_MGU_001 began",
        "A_MGU_001 epoch 1",
        "A_MGU_001 finished",
    ]
    assert [record.result for record in records] == [RESULT, RESULT]
    assert run_with(tmp_path, succeed)[0] == []
    for trial in TRIALS:
        assert (trial_folder(tmp_path, trial) / "weights").read_text() == trial.model_name


def test_files_that_cannot_be_written_stop_the_study_before_the_trial_counts_as_done(tmp_path):
    in_the_way = trial_folder(tmp_path, TRIALS[0])
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_text("a file")
    with pytest.raises(InputError, match=r"the trial's files cannot be written .*make room"):
        run_with(tmp_path, succeed)
    in_the_way.unlink()
    events, records = run_with(tmp_path, succeed)
    assert events[0] == "1/2 A_001 began"
    assert [(record.result, record.attempts) for record in records] == [(RESULT, 2), (RESULT, 1)]
    assert (in_the_way / "weights").exists()


def test_files_that_cannot_be_made_are_told_of_and_the_next_trial_goes_on(tmp_path):
    def unsaved(trial, on_epoch):
        def save(folder):
            raise TypeError(f"cannot write {folder}/weights")

        return (replace(RESULT, message="not hardened"), save) if trial == TRIALS[0] else succeed(trial, on_epoch)

    events, records = run_with(tmp_path, unsaved)
    assert events[-1] == "A_MGU_001 finished"
    message = "not hardened; not saved: TypeError: cannot write trials/A_001-seed0/weights"
    assert records[0].result == replace(RESULT, message=message)
    assert (records[0].status, records[0].attempts, records[0].lost_s) == ("finished", 1, 0)
    assert records[1].result == RESULT
    assert run_with(tmp_path, succeed)[0] == []


def test_a_full_disk_stops_the_study_and_is_no_failure_of_the_trial(tmp_path):
    def fill(ledger):
        ledger._connection.execute(
            f"PRAGMA max_page_count = {ledger._connection.execute('PRAGMA page_count').fetchone()[0]}"
        )

    def train(trial, on_epoch):
        if trial == TRIALS[1]:
            fill(current[0])
        for number in range(1, 400):
            on_epoch(Epoch(number, 0.5, 0.5, 0.5, 0.5, 1.0))
        return replace(RESULT, message="much " * 50_000), lambda folder: None

    current = []
    with Ledger.open(tmp_path, SETTINGS) as ledger:
        current.append(ledger)
        keys = ledger.add(TRIALS, SETTINGS)
        with pytest.raises(InputError, match=r"cannot be written \(database or disk is full\)"):
            run(ledger, keys, jobs(train), Inline(), Silent())
    statuses = [record.status for record in read_study(tmp_path).records]
    assert statuses == ["finished", "running"]
    assert run_with(tmp_path, succeed)[0][0] == "2/2 A_MGU_001 began"


def test_a_failures_text_names_no_path_of_the_machine(tmp_path):
    def fail(trial, on_epoch):
        raise OSError(f"cannot map {tmp_path.resolve()}/trials/x")

    _, records = run_with(tmp_path, fail)
    assert records[0].result.message == "OSError: cannot map trials/x"


def test_a_failure_is_recorded_with_its_cost_and_the_next_trial_goes_on(tmp_path):
    def first_fails(trial, on_epoch):
        if trial == TRIALS[0]:
            raise MemoryError("no room for 3 GB")
        return RESULT, lambda folder: None

    _, records = run_with(tmp_path, first_fails)
    assert [record.status for record in records] == ["failed", "finished"]
    assert records[0].result.message == "MemoryError: no room for 3 GB"
    cost = records[0].result.tts_s
    assert cost > 0
    events, records = run_with(tmp_path, succeed)
    assert events[-1] == "A_001 finished"
    assert records[0].lost_s == pytest.approx(cost)
    assert [record.attempts for record in records] == [2, 1]


def test_a_divergence_is_a_result(tmp_path):
    def diverge(trial, on_epoch):
        result = Result("diverged", tts_s=1.0, message="the loss was not finite in epoch 1")
        return result, lambda folder: None

    _, records = run_with(tmp_path, diverge)
    assert [record.status for record in records] == ["diverged", "diverged"]
    assert run_with(tmp_path, succeed)[0] == []


def test_ctrl_c_stops_and_the_trial_is_begun_again(tmp_path):
    def interrupt(trial, on_epoch):
        on_epoch(Epoch(1, 0.5, 0.5, 0.5, 0.5, 1.0))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_with(tmp_path, interrupt)
    _, records = run_with(tmp_path, succeed)
    assert [(record.status, record.attempts) for record in records] == [("finished", 2), ("finished", 1)]
    assert records[0].lost_s > 0
