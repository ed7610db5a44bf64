"""Where trials are trained: several at once on this machine, and what is no place."""

import sys
from dataclasses import asdict, replace

import pytest
from timeless import timeless

from mgu.errors import InputError
from mgu.progress import Silent
from mgu.study.budget import Budget
from mgu.workplaces import Workplace
from tiny import tiny_comparison


@pytest.fixture(scope="module")
def comparison():
    return tiny_comparison(100)


def outcome(record):
    return record.trial, record.status, record.attempts, timeless(asdict(record.result))


class Told(Silent):
    def __init__(self):
        self.began, self.under_way, self.most = [], 0, 0

    def trial_began(self, index, total, trial):
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        self.began.append(index)

    def trial_ended(self, index, total, record):
        self.under_way -= 1


def test_two_at_once_give_what_one_after_the_other_gives_but_no_energy(comparison, tmp_path):
    trials, told = comparison.trials([0]), Told()
    alone = comparison.run(tmp_path / "alone", trials, Silent())
    both = comparison.run(tmp_path / "both", trials, told, place=Workplace(workers=2))
    assert list(map(outcome, both.records)) == list(map(outcome, alone.records))
    assert (told.began, told.most) == ([1, 2, 3], 2)
    assert (both.environment["trials at once"], "trials at once" in alone.environment) == ("2", False)
    for record in both.records:
        sources = {entry.part: (entry.source, entry.meter) for entry in record.result.usage.energy}
        reason = ("absent", "2 trials at once on this machine")
        assert (sources["cpu"], sources["ram"]) == (reason, reason)
    assert "2 trials at once on this machine" in (tmp_path / "both" / "report.md").read_text()


@pytest.mark.parametrize("place", [Workplace(workers=2), Workplace("ray")])
def test_a_budget_of_energy_needs_trials_that_are_alone(comparison, tmp_path, place):
    with pytest.raises(InputError, match=r"a budget of energy: where trials may share a machine"):
        comparison.run(tmp_path / "s", [], Silent(), budget=Budget(energy_kwh=1.0), place=place)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"on": "slurm"}, "unknown place 'slurm' to train on; allowed: local, ray"),
        ({"workers": 0}, "0 workers: give 1 or more"),
        ({"cpus": 0}, "0 CPUs a trial: give 1 or more"),
        ({"gpus": 0.0}, "0 GPUs a trial: give a share of one, or a whole number"),
        ({"gpus": 1.5}, "1.5 GPUs a trial"),
        ({"gpus": float("nan")}, "nan GPUs a trial"),
    ],
)
def test_what_is_no_place(options, said):
    with pytest.raises(InputError, match=said):
        Workplace(**options)


def test_without_ray_it_is_said_what_to_install(comparison, tmp_path, monkeypatch):
    for name in ("ray", "mgu.study.on_ray", "mgu.study.ray_node"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=r'Ray is not installed: pip install "mgu\[ray\]"'):
        comparison.run(tmp_path / "s", [], Silent(), place=Workplace("ray"))
    assert not (tmp_path / "s").exists()


def test_a_gpu_by_number_is_refused_on_ray(comparison):
    pytest.importorskip("ray")
    with pytest.raises(InputError, match=r"device 'cuda:1': Ray chooses each trial's GPU; give cuda"):
        Workplace("ray").open(replace(comparison), "cuda:1", "torch")
