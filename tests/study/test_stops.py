"""Ctrl-C and SIGTERM wait until what must not be left half done is done."""

import signal
import threading

import pytest

import deeds
from inline import Inline
from mgu.progress import Silent
from mgu.study.ledger import Ledger
from mgu.study.runner import run
from mgu.study.stops import STOPS, heard, held
from samples import RESULT, SETTINGS, TRIALS


class TerminatedError(KeyboardInterrupt):
    pass


@pytest.fixture(autouse=True)
def handlers():
    def terminate(number, frame):
        raise TerminatedError

    before = {number: signal.getsignal(number) for number in STOPS}
    signal.signal(signal.SIGTERM, terminate)
    expected = [signal.getsignal(number) for number in STOPS]
    yield
    assert [signal.getsignal(number) for number in STOPS] == expected
    for number, does in before.items():
        signal.signal(number, does)


ERRORS = [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, TerminatedError)]


@pytest.mark.parametrize(("number", "error"), ERRORS)
def test_it_waits_for_the_end(number, error):
    done = []

    @held()
    def stopped():
        signal.raise_signal(number)
        with held():
            done.append("in another block")
        done.append("to the end")

    with pytest.raises(error):
        stopped()
    assert done == ["in another block", "to the end"]
    with held(), heard():
        pass  # it comes once


@pytest.mark.parametrize(("number", "error"), ERRORS)
@pytest.mark.parametrize("before", [True, False])
def test_it_is_heard_where_that_does_no_harm(before, number, error):
    done = []

    @heard()
    def stopped():
        done.append("heard")
        signal.raise_signal(number)

    with held():
        if before:
            signal.raise_signal(number)
        with pytest.raises(error):
            stopped()
        signal.raise_signal(number)
        done.append("held again")
        with pytest.raises(error):
            stopped()
    assert done == ["heard", "held again"][before:]


def test_a_second_one_does_not_wait():
    done = []

    @held()
    def stopped():
        signal.raise_signal(signal.SIGINT)
        done.append("noted")
        signal.raise_signal(signal.SIGTERM)
        done.append("too late")

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert done == ["noted"]


def test_other_threads_hear_of_none():
    done = []

    def work():
        with held(), heard():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]


def test_an_error_is_told_rather_than_a_stop():
    @held()
    def failed():
        signal.raise_signal(signal.SIGINT)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failed()
    with held(), heard():
        pass  # it is gone with the error


def test_one_that_is_ignored_is_none():
    done, before = [], signal.signal(signal.SIGINT, signal.SIG_IGN)

    @held()
    def stopped():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        done.append("to the end")

    try:
        with pytest.raises(TerminatedError):
            stopped()
    finally:
        signal.signal(signal.SIGINT, before)
    assert done == ["to the end"]


@pytest.mark.parametrize("nth", range(1, 9))
def test_one_that_comes_while_they_are_exchanged_leaves_nothing_behind(nth, monkeypatch):
    exchange, count = signal.signal, []

    def exchange_and_stop(number, does):
        count.append(number)
        found = exchange(number, does)
        if len(count) == nth:
            signal.raise_signal(signal.SIGINT)
        return found

    monkeypatch.setattr(signal, "signal", exchange_and_stop)
    with pytest.raises(KeyboardInterrupt), held(), heard():
        pass
    monkeypatch.undo()
    with held(), heard():
        pass


def test_a_result_that_was_told_is_on_record_before_the_study_stops(tmp_path, monkeypatch):
    end, stopped = Ledger.end, []

    def end_and_stop(ledger, key, result):
        signal.raise_signal(signal.SIGINT)
        end(ledger, key, result)

    def stop(within_s):
        stopped.append(within_s)
        return iter(())

    monkeypatch.setattr(Ledger, "end", end_and_stop)
    workers = Inline(RESULT)
    workers.stop = stop
    with Ledger.open(tmp_path, SETTINGS) as ledger:
        keys = ledger.add(TRIALS, SETTINGS)
        with pytest.raises(KeyboardInterrupt):
            run(ledger, keys, lambda trial: deeds.train, workers, Silent())
        assert [record.result for record in ledger.records()] == [RESULT, None]
    assert len(stopped) == 1
