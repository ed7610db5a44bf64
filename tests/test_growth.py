"""The benchmarks of growth: the lines that they fit, their simulated clock, and what they show of the driver."""

import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st
from series import fit
from thousand_cells import ANSWER, BEGAN, CHECKPOINT, EPOCH, Length, simulate

from inline import Inline
from mgu.history import Epoch
from mgu.progress import Silent
from mgu.study import ledger as ledgers
from mgu.study.ledger import Ledger, read_study
from mgu.study.runner import Trained, run
from mgu.study.trial import Trial
from samples import RESULT, SETTINGS, TRIALS

SECONDS = st.lists(st.integers(1, 50), min_size=1, max_size=12)


def test_a_line_and_a_power_are_found_again():
    x = [1.0, 2.0, 4.0, 8.0]
    line, power = fit(x, [3 * each + 2 for each in x]), fit(x, [5 * each**2 for each in x])
    assert (line.slope, line.intercept, line.r2) == pytest.approx((3, 2, 1))
    assert (power.exponent, power.last_exponent) == pytest.approx((2, 2))
    assert power.r2 < 0.99
    assert line.exponent < line.last_exponent < 1  # a constant weighs least where the line is highest


@given(SECONDS, st.integers(1, 5))
def test_without_work_for_the_driver_each_worker_takes_what_is_next(seconds, workers):
    free = [0.0] * workers
    for each in seconds:
        heapq.heapreplace(free, free[0] + each)
    found = simulate([Length(each, 2) for each in seconds], workers, lambda kind, recorded: 0.0)
    assert found.makespan == found.ideal == pytest.approx(max(free))


@given(SECONDS, st.integers(1, 5))
def test_the_driver_hears_one_after_the_other(seconds, workers):
    trials = [Length(each, 3) for each in seconds]
    told = {BEGAN: 1.0, EPOCH: 10.0, CHECKPOINT: 0.0, ANSWER: 100.0}
    found = simulate(trials, workers, lambda kind, recorded: told[kind] + recorded)
    told_of = sum(kind == EPOCH for trial in trials for _, kind in trial.told())
    assert found.busy >= len(seconds) * (1 + 100) + 10 * told_of
    assert found.busy <= found.makespan <= found.busy + sum(seconds)
    alone = simulate(trials, 1, lambda kind, recorded: 7.0 if kind == ANSWER else 0.0)
    assert alone.makespan == pytest.approx(sum(seconds) + 7 * len(seconds))


def test_what_is_written_is_so_at_epochs_ends_and_seconds_apart():
    kinds = [kind for _, kind in Length(4.0, 16).told()]
    assert (kinds.count(EPOCH), kinds.count(CHECKPOINT)) == (4, 2)
    assert (kinds[0], kinds[-1]) == (BEGAN, ANSWER)


@given(
    st.lists(st.tuples(st.integers(0, 1), st.sampled_from(("begin", "resume", "progress", "end", "look"))), max_size=12)
)
def test_the_records_in_memory_are_those_in_the_file(tmp_path_factory, changes):
    folder = tmp_path_factory.mktemp("study")
    values = {"begin": ({"torch": "2"},), "resume": (0.5,), "progress": (1.5,), "end": (RESULT,)}
    with Ledger.open(folder, SETTINGS) as ledger:
        keys = ledger.add(TRIALS, SETTINGS)
        for which, change in changes:
            if change != "look":
                getattr(ledger, change)(keys[which], *values[change])
            assert ledger.records() == read_study(folder).records


def test_each_record_is_read_but_for_its_own_changes(tmp_path, monkeypatch):
    """However many are there: what is read for one trial does not grow with those before it."""
    reads, read_record = [], ledgers.read_record

    def counted(row, source):
        reads.append(row)
        return read_record(row, source)

    def job(common, place):
        place.tell(Epoch(1, 0.5, 0.5, 0.5, 0.5, 1.0))
        return Trained(RESULT)

    monkeypatch.setattr(ledgers, "read_record", counted)
    trials = [Trial("A_001", TRIALS[0].architecture, 10, seed) for seed in range(12)]
    with Ledger.open(tmp_path, SETTINGS) as ledger:
        run(ledger, ledger.add(trials, SETTINGS), lambda trial: job, Inline(), Silent())
    assert len(trials) < len(reads) <= 4 * len(trials)
