"""``explain`` on networks whose gates are known."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mgu.errors import InputError
from mgu.torch import GATES, ChainBlock, MultiGatedUnit, explain
from mgu.torch.explain import gate_means
from mgu.torch.layers import Wrapped
from mgu.wiring import FORMS, gates, harden


def small_network(kind="squeeze"):
    torch.manual_seed(0)
    return nn.Sequential(
        MultiGatedUnit(nn.Conv2d(2, 4, 3), gates=kind),
        MultiGatedUnit(nn.Conv2d(4, 4, 3), gates=kind),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )


def batches(count=2):
    generator = torch.Generator().manual_seed(1)
    return [
        (torch.randn(5, 2, 7, 7, generator=generator), torch.randint(3, (5,), generator=generator))
        for _ in range(count)
    ]


@pytest.mark.parametrize("kind", GATES)
def test_statistics_are_those_of_the_gates_values(kind):
    model = small_network(kind)
    with torch.no_grad():
        for parameter in model[1].gates.parameters():
            parameter.add_(torch.randn_like(parameter))
    found = explain(model, batches())
    assert [(unit.name, unit.input_shape) for unit in found.units] == [("0", (2, 7, 7)), ("1", (4, 5, 5))]
    model.eval()
    with torch.no_grad():
        parts = [torch.sigmoid(model[1].gate_logits(model[0](x))["norm"]).numpy().ravel() for x, _ in batches()]
    values = np.concatenate(parts)
    report = found.units[1].gates[2]
    assert (report.name, report.open, report.closed) == ("norm", "bn_ln", "no_norm")
    stated = (report.mean, report.median, report.minimum, report.maximum, report.certainty)
    expected = (values.mean(), np.median(values), values.min(), values.max(), np.abs(2 * values - 1).mean())
    assert stated == pytest.approx(expected, abs=1e-6)
    assert sum(report.histogram) == len(values)
    assert report.histogram == tuple(np.histogram(values, 20, (0, 1))[0])
    assert report.saturated == pytest.approx(np.mean((values < 0.001) | (values > 0.999)))


def test_the_effect_of_a_gate_is_the_loss_of_the_network_with_it_decided():
    model, samples = small_network(), batches()
    found = explain(model, samples)
    model.eval()
    x, labels = (torch.cat(parts) for parts in zip(*samples, strict=True))
    with torch.no_grad():
        assert found.loss == pytest.approx(F.cross_entropy(model(x), labels).item(), abs=1e-6)
        for gate, report in zip(gates(model[0].chain), found.units[0].gates, strict=True):
            for side, stated in ((gate.open, report.loss_open), (gate.closed, report.loss_closed)):
                logits = dict(model[0].gate_logits(x))
                logits[gate.name] = torch.full_like(logits[gate.name], 80.0 if side == gate.open else -80.0)
                clamped = model[0].gate_logits
                model[0].gate_logits = lambda x, logits=logits: logits
                loss = F.cross_entropy(model(x), labels).item()
                model[0].gate_logits = clamped
                assert stated == pytest.approx(loss, abs=1e-6)
    assert len({report.loss_closed for report in found.units[0].gates}) > 1


@pytest.mark.parametrize("kind", GATES)
def test_gate_means_are_those_of_the_diagnosis(kind):
    model = small_network(kind).append(MultiGatedUnit(nn.Linear(3, 3), gates=kind, residual_gate=False)).train()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x = torch.cat([x for x, _ in batches()])
    found = gate_means(model, x)
    expected = {unit.name: {gate.name: gate.mean for gate in unit.gates} for unit in explain(model, [x]).units}
    assert found.keys() == expected.keys()
    for name, means in expected.items():
        assert found[name] == pytest.approx(means, abs=1e-6)
    assert all(module.training for module in model.modules())
    assert not any(module._forward_hooks for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_gates_that_see_no_input_need_no_pass_and_plain_networks_neither():
    for model in (small_network("channel"), nn.Linear(2, 2)):
        model.register_forward_pre_hook(lambda *arguments: pytest.fail("a forward pass"))
        means = gate_means(model, torch.randn(3, 2, 7, 7))
        assert set(means) == ({"0", "1"} if isinstance(model, nn.Sequential) else set())


def test_the_chain_of_each_unit_is_in_its_report():
    assert [unit.chain for unit in explain(small_network(), batches()).units] == [FORMS["code"]] * 2


def test_without_labels_there_are_gates_but_no_losses():
    found = explain(small_network(), [x for x, _ in batches()])
    assert found.loss is None
    assert {gate.loss_open for unit in found.units for gate in unit.gates} == {None}


def test_the_model_is_as_before():
    model = small_network().train()
    model[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    chains = [model[i].chain for i in (0, 1)]
    explain(model, batches())
    assert model[0].training
    assert not model[1].training
    assert [model[i].chain for i in (0, 1)] == chains
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not model[0]._forward_pre_hooks


def test_a_network_trained_to_skip_raises_the_alarm_and_one_at_its_start_does_not():
    """Where only the bypass can carry the answer: the processed path of every unit is shut by a zero activation."""
    torch.manual_seed(0)

    class Zero(nn.Module):
        def forward(self, x):
            return x * 0

    model = nn.Sequential(
        *(MultiGatedUnit(nn.Linear(4, 4), Zero(), gates="channel", residual_gate=False) for _ in range(2))
    )
    model.append(nn.Linear(4, 4))
    x = torch.randn(256, 4)
    labels = x.argmax(dim=1)
    assert "all-skip" not in [alarm.kind for alarm in explain(model, [(x, labels)]).alarms()]
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        F.cross_entropy(model(x), labels).backward()
        optimizer.step()
    assert "all-skip" in [alarm.kind for alarm in explain(model, [(x, labels)]).alarms()]


def alarms(model, batches):
    return {alarm.kind for alarm in explain(model, batches).alarms()}


def learnt(model, x, labels, steps=200):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(x), labels).backward()
        optimizer.step()
    return model


def test_at_its_start_a_network_is_said_to_be_undecided_where_it_is_and_no_more():
    torch.manual_seed(0)
    x = torch.randn(128, 6)
    units = [MultiGatedUnit(nn.Linear(6, 6)) for _ in range(3)]
    network = nn.Sequential(*units, nn.Linear(6, 3))
    assert alarms(network, [x]) == {"undecided"}
    (alarm,) = explain(network, [x]).alarms()
    assert alarm.message == "3 gates stay near one half: 0.bn_order, 1.bn_order, 2.bn_order"


def test_gates_driven_to_their_ends_are_saturated():
    torch.manual_seed(0)
    certain = MultiGatedUnit(nn.Linear(6, 6), prior=[9, 9, 9, 9, -9])
    assert "saturated" in alarms(nn.Sequential(certain), [torch.randn(20, 6)])
    assert "saturated" not in alarms(nn.Sequential(MultiGatedUnit(nn.Linear(6, 6))), [torch.randn(20, 6)])


def test_a_norm_that_every_layer_needs_is_uniform_and_one_that_none_does_is_not():
    """Labels by the sign of a product; inputs of very different scales make the norm matter in each layer."""
    torch.manual_seed(0)
    x = torch.randn(256, 2)
    labels = (x.prod(dim=1) > 0).long()
    prior = [4, 4, 4, 4, -4]
    model = nn.Sequential(*(MultiGatedUnit(nn.Linear(n, 16), prior=prior) for n in (2, 16)), nn.Linear(16, 2))
    assert "uniform" not in alarms(model, [x])
    trained = learnt(model.train(), x, labels).eval()
    found = explain(trained, [(x, labels)])
    uniform = [alarm.message for alarm in found.alarms() if alarm.kind == "uniform"]
    assert any("gate skip is opened for Processed in all 2 units" in message for message in uniform)


def test_what_cannot_be_explained_is_named():
    layer = nn.Linear(2, 2)
    plain = ChainBlock(Wrapped.of(layer), harden(MultiGatedUnit(layer).chain, {"skip": "bypass"}))
    with pytest.raises(InputError, match="ChainBlock has no MultiGatedUnit to explain"):
        explain(plain, [torch.randn(2, 2)])
    with pytest.raises(InputError, match="no batch was given"):
        explain(small_network(), [])
