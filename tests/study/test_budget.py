"""What a study may take, by hand-made trials."""

from dataclasses import replace

import pytest

from inline import Inline
from mgu.errors import InputError
from mgu.history import Energy, Hardening, Usage
from mgu.measure import combined
from mgu.progress import Silent
from mgu.study.budget import Budget
from mgu.study.ledger import Ledger
from mgu.study.runner import Trained, run
from mgu.study.trial import Record
from samples import RESULT, SETTINGS, TRIALS


def usage(cpu, ram):
    energy = (
        Energy("cpu", cpu, "measured", "RAPL"),
        Energy("ram", ram, "estimated", "20 W"),
        Energy("gpu", None, "absent", ""),
    )
    return Usage(energy, None, None, None, None, None, None, None, None, None, 1.0)


def record(**changes):
    return Record(TRIALS[0], "finished", 1, replace(RESULT, **changes))


def hardened(soft_usage=None):
    """1.5 s of the hardened network's 3.5 s are the soft one's first epoch, and 0.1 s of its 0.4 s of compilation."""
    hard = replace(RESULT, tts_s=3.5, compile_s=0.4, usage=usage(0.07, 0.14))
    hardening = Hardening(1, 20, (), 0.1, 64, 0.2, 0.1, "", hard, soft_usage)
    return record(hardening=hardening, usage=usage(1.0, 2.0))


def test_what_a_trial_took():
    assert record().spent_s == pytest.approx(2.5 + 0.1)
    assert replace(record(), lost_s=4.0).spent_s == pytest.approx(2.5 + 0.1 + 4.0)
    assert hardened().spent_s == pytest.approx(2.5 + 0.1 + 2.0 + 0.3)
    assert Record(TRIALS[0], "running", 1, lost_s=7.0).spent_s == 7.0
    assert record().spent_kwh == 0.0
    assert record(usage=usage(0.25, 0.5)).spent_kwh == pytest.approx(0.75)
    gap = combined(usage(0.25, 0.5), replace(usage(0, 0), energy=(Energy("cpu", None, "absent", "gave nothing"),)))
    assert record(usage=gap).spent_kwh == pytest.approx(0.75)  # what is known of was taken, and perhaps more
    assert hardened().spent_kwh == pytest.approx(3.0 + 0.21 * 2.0 / 3.5)  # as its time has it
    assert hardened(usage(0.03, 0.08)).spent_kwh == pytest.approx(3.0 + 0.04 + 0.06)  # as both were measured


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        (Budget(), ""),
        (Budget(time_h=0.01), ""),
        (Budget(time_h=0.001), "the budget of 0.001 h is spent (0.002 h)"),
        (Budget(time_h=0.01, energy_kwh=1.6), ""),
        (Budget(time_h=0.01, energy_kwh=1.5), "the budget of 1.5 kWh is spent (1.5 kWh)"),
    ],
)
def test_which_budget_is_spent(budget, said):
    records = [replace(record(usage=usage(0.5, 0.25)), lost_s=1.0)] * 2  # 3.6 s and 0.75 kWh each
    assert budget.exceeded(records) == said


@pytest.mark.parametrize(
    "figures", [{"time_h": 0}, {"energy_kwh": -1}, {"time_h": float("nan")}, {"time_h": float("inf")}]
)
def test_what_is_no_budget(figures):
    with pytest.raises(InputError, match=r"a budget of (time|energy) must be above 0; .* was given"):
        Budget(**figures)


def test_a_study_begins_no_trial_once_its_budget_is_spent_and_goes_on_with_a_larger_one(tmp_path):
    trained = []

    def job_of(trial):
        trained.append(trial)
        return lambda common, place: Trained(RESULT)

    def go_on(budget):
        with Ledger.open(tmp_path, SETTINGS) as ledger:
            return run(ledger, ledger.add(TRIALS, SETTINGS), job_of, Inline(), Silent(), budget)

    assert go_on(Budget(time_h=2 / 3600)) == "the budget of 0.000555556 h is spent (0.000722 h)"
    assert trained == TRIALS[:1]
    assert go_on(Budget(time_h=2 / 3600)) != ""
    assert trained == TRIALS[:1]
    assert go_on(Budget(time_h=3 / 3600)) == ""
    assert trained == TRIALS
