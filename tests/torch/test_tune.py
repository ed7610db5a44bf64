"""Fine-tuning and sharpening, on a task that a unit learns in a second."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mgu.errors import InputError
from mgu.torch import MultiGatedUnit, explain, fine_tune, harden, sharpen


@pytest.fixture
def task():
    """A network of two units, and batches of points labelled by the sign of their product."""
    torch.manual_seed(0)
    network = nn.Sequential(
        MultiGatedUnit(nn.Linear(2, 16), prior="neutral"),
        MultiGatedUnit(nn.Linear(16, 16), prior="neutral"),
        nn.Linear(16, 2),
    )
    x = torch.randn(512, 2)
    y = (x.prod(dim=1) > 0).long()
    return network, list(zip(x.split(64), y.split(64), strict=True))


def loss_of(model, batches):
    with torch.no_grad():
        return sum(F.cross_entropy(model(x), y).item() for x, y in batches) / len(batches)


def test_fine_tuning_makes_a_hardened_network_better_and_tells_each_epoch(task):
    network, batches = task
    fine_tune(network, batches, epochs=20, lr=0.01)
    model = harden(network, batches).model
    before, told = loss_of(model, batches), []
    fine_tune(model, batches, epochs=5, on_epoch=told.append)
    assert loss_of(model, batches) < before
    assert told == [1, 2, 3, 4, 5]
    assert not any(module.training for module in model.modules())


def test_the_learning_rate_falls_linearly_to_0(task, monkeypatch):
    network, batches = task
    rates = []
    step = torch.optim.NAdam.step
    monkeypatch.setattr(torch.optim.NAdam, "step", lambda self: (rates.append(self.param_groups[0]["lr"]), step(self)))
    fine_tune(network, batches[:2], epochs=2, lr=0.4)
    assert rates == pytest.approx([0.4, 0.3, 0.2, 0.1])


def test_sharpening_makes_gates_decide_and_hardening_change_less(task):
    network, batches = task
    fine_tune(network, batches, epochs=20, lr=0.01)
    sharp = copy.deepcopy(network)
    sharpen(sharp, batches, epochs=10, lr=0.003, sharpness=20.0)

    def certainty(model):
        found = [gate.certainty for unit in explain(model, batches).units for gate in unit.gates]
        return sum(found) / len(found)

    assert certainty(sharp) > certainty(network) + 0.2
    soft, hard = (harden(model, batches) for model in (network, sharp))
    assert hard.hard_loss - hard.soft_loss < soft.hard_loss - soft.soft_loss
    assert all(unit.sharpness == pytest.approx(20) for unit in sharp.modules() if isinstance(unit, MultiGatedUnit))


def test_nothing_to_train_on_is_refused(task):
    network, batches = task
    with pytest.raises(InputError, match="2 epochs of 0 batches are nothing to train on"):
        fine_tune(network, [], epochs=2)
    with pytest.raises(InputError, match="0 epochs of 8 batches"):
        sharpen(network, batches, epochs=0)
    with pytest.raises(InputError, match=r"sharpness of at least 1; 0\.5 was given"):
        sharpen(network, batches, epochs=1, sharpness=0.5)
    with pytest.raises(InputError, match="sharpening needs a MultiGatedUnit"):
        sharpen(nn.Linear(2, 2), batches, epochs=1)
