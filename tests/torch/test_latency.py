"""Latencies on a clock of the test's own: what is timed, in which order, and in which mode."""

import time

import pytest
import torch
from torch import nn

from mgu.errors import InputError
from mgu.torch import compare_latency, latency


class Timed(nn.Module):
    """Takes the given seconds, one after the other and the last from then on, and writes its calls down."""

    def __init__(self, name, seconds, now, calls):
        super().__init__()
        self.name, self.seconds, self.now, self.calls = name, list(seconds), now, calls
        self.inner = nn.Dropout()

    def forward(self, x):
        assert not self.inner.training
        assert not torch.is_grad_enabled()
        self.calls.append(self.name)
        self.now[0] += self.seconds.pop(0) if len(self.seconds) > 1 else self.seconds[0]
        return x


@pytest.fixture
def now(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


def test_networks_are_measured_in_turn_and_the_warm_up_is_not_counted(now):
    calls = []
    soft = Timed("soft", [50, 50, 50, 4, 9, 2, 3, 5], now, calls).train()
    hard = Timed("hard", [50, 50, 50, 1, 1, 1, 2, 2], now, calls).eval()
    found = compare_latency({"soft": soft, "hard": hard}, torch.zeros(1), rounds=5)
    assert calls == ["soft", "hard"] * 8
    assert found == pytest.approx({"soft": 4.0, "hard": 1.0})
    assert soft.training
    assert soft.inner.training
    assert not hard.training


def test_one_latency_is_the_median(now):
    model = Timed("one", [7, 7, 7, 1, 3, 2, 10], now, [])
    assert latency(model, torch.zeros(1), rounds=4) == pytest.approx(2.5)


def test_something_must_be_measured():
    with pytest.raises(InputError, match="0 rounds of 1 networks"):
        latency(nn.Identity(), torch.zeros(1), rounds=0)
    with pytest.raises(InputError, match="30 rounds of 0 networks"):
        compare_latency({}, torch.zeros(1))
