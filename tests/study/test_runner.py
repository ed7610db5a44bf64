"""The runner: order, failures that do not stop the study, and what a second run repeats."""

import pytest

from mgu.history import Epoch, Result
from mgu.progress import Silent
from mgu.study.ledger import Ledger
from mgu.study.runner import run
from samples import RESULT, SETTINGS, TRIALS


class Told(Silent):
    def __init__(self):
        self.events = []

    def trial_began(self, index, total, trial):
        self.events.append(f"{index}/{total} {trial.model_name} began")

    def epoch_ended(self, epoch):
        self.events.append(f"epoch {epoch.epoch}")

    def trial_ended(self, index, total, record):
        self.events.append(f"{record.trial.model_name} {record.status}")


def run_with(folder, train):
    told = Told()
    with Ledger.open(folder, SETTINGS) as ledger:
        keys = ledger.add(TRIALS, SETTINGS)
        run(ledger, keys, train, {}, told)
        return told.events, [ledger.record(key) for key in keys]


def succeed(trial, folder, on_epoch):
    assert folder.is_dir()
    on_epoch(Epoch(1, 0.5, 0.5, 0.5, 0.5, 1.0))
    return RESULT


def test_trials_in_order_and_none_twice(tmp_path):
    events, records = run_with(tmp_path, succeed)
    assert events == [
        "1/2 A_001 began",
        "epoch 1",
        "A_001 finished",
        "2/2 A_MGU_001 began",
        "epoch 1",
        "A_MGU_001 finished",
    ]
    assert [record.result for record in records] == [RESULT, RESULT]
    assert run_with(tmp_path, succeed)[0] == []


def test_a_failure_is_recorded_with_its_cost_and_the_next_trial_goes_on(tmp_path):
    def first_fails(trial, folder, on_epoch):
        if trial == TRIALS[0]:
            raise MemoryError("no room for 3 GB")
        return RESULT

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
    def diverge(trial, folder, on_epoch):
        return Result("diverged", tts_s=1.0, message="the loss was not finite in epoch 1")

    _, records = run_with(tmp_path, diverge)
    assert [record.status for record in records] == ["diverged", "diverged"]
    assert run_with(tmp_path, succeed)[0] == []


def test_ctrl_c_stops_and_the_trial_is_begun_again(tmp_path):
    def interrupt(trial, folder, on_epoch):
        on_epoch(Epoch(1, 0.5, 0.5, 0.5, 0.5, 1.0))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_with(tmp_path, interrupt)
    _, records = run_with(tmp_path, succeed)
    assert [(record.status, record.attempts) for record in records] == [("finished", 2), ("finished", 1)]
    assert records[0].lost_s > 0
