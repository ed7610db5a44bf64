"""``harden`` on units whose gates are certain, where the plain network must be the same function, and on soft ones."""

import copy
import math
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import reference
from mgu.errors import InputError
from mgu.layouts import Layout
from mgu.spaces import Architecture
from mgu.torch import MultiGatedUnit, build_network, explain, harden
from mgu.torch.harden import decide
from mgu.wiring import gates

LAYERS = {
    "linear": (lambda: nn.Linear(3, 4), (6, 3)),
    "linear-rank3": (lambda: nn.Linear(3, 4), (6, 5, 3)),
    "conv1d": (lambda: nn.Conv1d(3, 4, 3), (6, 3, 7)),
    "conv2d": (lambda: nn.Conv2d(3, 4, 3, stride=2), (6, 3, 7, 7)),
    "conv3d": (lambda: nn.Conv3d(3, 4, 2), (6, 3, 4, 4, 4)),
}


class Readout(nn.Module):
    """The mean over all axes but the batch and the channels, as logits."""

    def __init__(self, axis):
        super().__init__()
        self.axis = axis

    def forward(self, x):
        return x.movedim(self.axis, 1).flatten(2).mean(2) if x.ndim > 2 else x


def certain_network(make, decision, processors=()):
    """A unit whose channel gates are at the decision for all that floats can say, with lived-in statistics."""
    unit = MultiGatedUnit(make().double(), gates="channel", processors=processors)
    with torch.no_grad():
        for norm in ("bn", "bn_post"):
            unit.operations[norm].running_mean.normal_()
            unit.operations[norm].running_var.uniform_(0.5, 2)
            unit.operations[norm].weight.uniform_(0.5, 2)
        for name in processors:
            for weight in unit.operations[name].parameters():
                weight.uniform_(-1, 2)
        for logits, gate in zip(unit.gates.logits, gates(unit.chain), strict=True):
            logits.fill_(60.0 if decision[gate.name] == gate.open else -60.0)
    return nn.Sequential(unit, Readout(unit.channel_axis))


@pytest.mark.parametrize("layer", LAYERS)
def test_a_certain_network_hardens_to_the_same_function(layer):
    make, shape = LAYERS[layer]
    torch.manual_seed(0)
    for decision in reference.decisions(gates(MultiGatedUnit(make()).chain)):
        soft = certain_network(make, decision)
        x = torch.randn(shape, dtype=torch.float64)
        with torch.no_grad():
            own_answers = soft.eval()(x)
        hardened = harden(soft, [(x, own_answers)], loss=F.mse_loss)
        assert hardened.largest_difference < 1e-9
        assert {d.gate: d.side for d in hardened.decisions}.items() <= decision.items()
        assert not any(type(module).__module__.startswith("mgu") for module in hardened.model[0].modules())


NORMS = ("rms_norm", "group_norm", "instance_norm")


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("layer", [*LAYERS, "linear-rank6"])
def test_a_certain_network_with_processors_hardens_to_the_same_function(layer, norm):
    """All decisions of its own gates; a linear layer without positions has but one value in a group of channels."""
    make, shape = {**LAYERS, "linear-rank6": (lambda: nn.Linear(3, 4), (6, 2, 3, 2, 2, 3))}[layer]
    processors = (norm, "squeeze_excite") if layer != "linear" or norm == "rms_norm" else ("squeeze_excite",)
    torch.manual_seed(0)
    chain = MultiGatedUnit(make(), processors=processors).chain
    own = [gate for gate in gates(chain) if gate.name.startswith(("with_", "norm", "residual"))]
    for part in reference.decisions(own):
        decision = {"bn_order": "bn_pre", "bn_ln": "bn_order", "skip": "residual", **part}
        soft = certain_network(make, decision, processors)
        x = torch.randn(shape, dtype=torch.float64)
        with torch.no_grad():
            own_answers = soft.eval()(x)
        hardened = harden(soft, [(x, own_answers)], loss=F.mse_loss)
        assert hardened.largest_difference < 1e-9
        assert {d.gate: d.side for d in hardened.decisions}.items() <= decision.items()
        assert not any(type(module).__module__.startswith("mgu") for module in hardened.model[0].modules())


def trained_like_network():
    torch.manual_seed(0)
    network = build_network(Architecture(Layout(3, 1, 2, 2, 1.5), start_filters=4), (1, 8, 8), 3)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "gates" in name:
                parameter.add_(torch.randn_like(parameter))
    return network


def batches(count=2):
    generator = torch.Generator().manual_seed(1)
    return [(torch.randn(9, 1, 8, 8, generator=generator), torch.arange(9) % 3) for _ in range(count)]


def test_each_gate_takes_the_side_with_the_lower_loss_those_before_it_in_force():
    """The same search by brute force, with the gates' logits set to certainty instead of the chain cut."""
    network, samples = trained_like_network(), batches()
    hardened = harden(network, samples)
    forced = copy.deepcopy(network).eval()
    x, labels = (torch.cat(parts) for parts in zip(*samples, strict=True))

    def force(unit, name, side):
        inner, gate = unit.gate_logits, next(gate for gate in gates(unit.chain) if gate.name == name)
        value = 80.0 if side == gate.open else -80.0
        unit.gate_logits = lambda x: {**(found := inner(x)), name: torch.full_like(found[name], value)}
        return inner

    with torch.no_grad():
        loss = F.cross_entropy(forced(x), labels).item()
        for decision in hardened.decisions:
            unit, losses = forced.get_submodule(decision.unit), {}
            for side in next(gate for gate in gates(unit.chain) if gate.name == decision.gate).inputs:
                before = force(unit, decision.gate, side)
                losses[side] = F.cross_entropy(forced(x), labels).item()
                unit.gate_logits = before
            chosen = min(losses, key=losses.get)
            assert decision.side == chosen
            assert decision.loss_change == pytest.approx(losses[chosen] - loss, abs=1e-5)
            force(unit, decision.gate, chosen)
            loss = losses[chosen]
        assert hardened.hard_loss == pytest.approx(loss, abs=1e-5)


def test_gates_that_are_decided_as_opened_heed_no_loss():
    network, samples = trained_like_network(), batches()
    found = explain(network, [x for x, _ in samples])
    opened_for = {(unit.name, gate.name): gate.opened_for for unit in found.units for gate in unit.gates}
    everywhere = {gate for _, gate in opened_for}
    by_loss = {(d.unit, d.gate): d.side for d in decide(network, samples)[1]}
    as_opened = {(d.unit, d.gate): d.side for d in decide(network, samples, as_opened=everywhere)[1]}
    assert as_opened.items() <= opened_for.items()
    assert not by_loss.items() <= opened_for.items()


def test_where_too_much_is_lost_the_warning_says_how_much_and_names_the_units():
    network, samples = trained_like_network(), batches()
    x = torch.cat([x for x, _ in samples])
    with torch.no_grad():  # labelled by the soft network itself, which is then always right
        labels = network.eval()(x).argmax(dim=1)
    hardened = harden(network, [(x, labels)])
    lost = 100 * (1 - hardened.hard_acc)
    assert lost > 1
    assert hardened.warning.startswith(f"hardening loses {lost:.2f} points of accuracy, more than 1.00; ")
    risen = {}
    for decision in hardened.decisions:
        risen[decision.unit] = risen.get(decision.unit, 0) + max(0, decision.loss_change)
    worst = max(risen, key=risen.get)
    assert f"raised the loss most: {worst} (" in hardened.warning
    assert hardened.text().endswith(f"warning: {hardened.warning}")
    assert "ms a batch of 18" in hardened.text()
    tolerant = harden(network, [(x, labels)], tolerance=lost / 100)
    assert tolerant.warning == ""
    assert "warning" not in tolerant.text()


def test_a_side_that_overflows_is_not_taken_and_a_loss_that_is_not_finite_is_warned_of():
    torch.manual_seed(0)
    unit = MultiGatedUnit(nn.Linear(3, 3), prior=[0, 0, 0, 5], residual_gate=False, bypass="replica")
    with torch.no_grad():
        unit.operations["bypass"].weight.fill_(3e38)  # finite, and its outputs are not
    samples = [(1 + torch.rand(6, 3), torch.arange(6) % 3)]
    hardened = harden(nn.Sequential(unit), samples)
    assert {d.gate: d.side for d in hardened.decisions}["skip"] == "norm"
    assert math.isfinite(hardened.hard_loss)
    assert hardened.warning == ""
    with torch.no_grad():
        unit.operations["linear"].weight.fill_(3e38)
    assert "loss is not finite" in harden(nn.Sequential(unit), samples).warning


def test_figures_are_those_of_the_two_networks_and_the_soft_one_is_as_before():
    network, samples = trained_like_network().train(), batches()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    hardened = harden(network, samples)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    x, labels = (torch.cat(parts) for parts in zip(*samples, strict=True))
    with torch.no_grad():
        soft, hard = network.eval()(x), hardened.model(x)
    assert hardened.soft_loss == pytest.approx(F.cross_entropy(soft, labels).item(), abs=1e-6)
    assert hardened.hard_loss == pytest.approx(F.cross_entropy(hard, labels).item(), abs=1e-6)
    assert hardened.soft_acc == pytest.approx((soft.argmax(1) == labels).float().mean().item())
    assert hardened.hard_acc == pytest.approx((hard.argmax(1) == labels).float().mean().item())
    assert hardened.largest_difference == pytest.approx((soft - hard).abs().max().item(), abs=1e-6)
    assert f"hard: accuracy {100 * hardened.hard_acc:.2f} %" in hardened.text()


def hardened_with(norm):
    """A plain unit of a further norm and squeeze-and-excitation, and an input."""
    decision = {"bn_order": "bn_pre", "bn_ln": "bn_order", f"with_{norm}": norm, "norm": f"with_{norm}"}
    decision |= {"with_squeeze_excite": "squeeze_excite", "residual": "with_squeeze_excite", "skip": "residual"}
    soft = certain_network(LAYERS["conv2d"][0], decision, (norm, "squeeze_excite"))
    x = torch.randn(LAYERS["conv2d"][1], dtype=torch.float64)
    plain = harden(soft, [(x, soft.eval()(x).detach())], loss=F.mse_loss).model[0]
    assert {norm, "squeeze_excite_squeeze"} <= dict(plain.named_children()).keys()
    return plain, x


@pytest.mark.parametrize("norm", [None, *NORMS])
def test_the_plain_network_runs_where_mgu_cannot_be_imported(tmp_path, norm):
    plain, x = hardened_with(norm) if norm else (harden(trained_like_network(), batches()).model, batches(1)[0][0])
    torch.export.save(torch.export.export(plain, (x,)), tmp_path / "plain.pt2")
    torch.save({"x": x, "y": plain(x).detach()}, tmp_path / "sample.pt")
    script = """
import sys
sys.modules["mgu"] = None
import torch
sample = torch.load("sample.pt")
torch.testing.assert_close(torch.export.load("plain.pt2").module()(sample["x"]), sample["y"])
"""
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)


def test_a_hardened_network_trains():
    hardened = harden(trained_like_network(), batches()).model.train()
    x, labels = batches(1)[0]
    F.cross_entropy(hardened(x), labels).backward()
    assert all(parameter.grad is not None for parameter in hardened.parameters())


def test_what_hardening_needs_is_named():
    with pytest.raises(InputError, match=r"batches of \(x, labels\)"):
        harden(trained_like_network(), [])
    with pytest.raises(InputError, match=r"batches of \(x, labels\)"):
        harden(trained_like_network(), [batches(1)[0][0]])
    with pytest.raises(InputError, match="Linear has no MultiGatedUnit"):
        harden(nn.Linear(2, 2), [(torch.randn(2, 2), torch.tensor([0, 1]))])
