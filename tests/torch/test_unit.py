"""What people do with a unit: clamp it, save it, copy it, compile it, run it in half precision, hand it odd inputs."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import reference
from mgu.errors import InputError
from mgu.torch import GATES, ChainBlock, GatingUnit, MultiGatedUnit
from mgu.torch.layers import Wrapped
from mgu.wiring import FORMS, gates, harden


def clamp(unit, decision):
    """Close or open each gate for good by its logits, which is all that a trained gate could do."""
    certain = {gate.name: 60.0 if decision[gate.name] == gate.open else -60.0 for gate in gates(unit.chain)}
    with torch.no_grad():
        unit.gates.logits.copy_(torch.tensor(list(certain.values())).view(-1, 1, 1).expand_as(unit.gates.logits))
    return unit


def plain(unit, decision):
    """The plain network of a decision, with the unit's weights."""
    layer = copy.deepcopy(unit.operations["linear"])
    block = ChainBlock(Wrapped.of(layer), harden(unit.chain, decision)).to(next(unit.parameters()).dtype)
    kept = {name: value for name, value in unit.state_dict().items() if name in block.state_dict()}
    block.load_state_dict(kept)
    return block


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("make", [lambda: nn.Conv2d(3, 5, 3), lambda: nn.Linear(3, 5)], ids=["conv", "linear"])
def test_clamped_to_any_decision_it_is_the_plain_network(make, form, training):
    torch.manual_seed(0)
    x = torch.randn(4, 3) if isinstance(make(), nn.Linear) else torch.randn(4, 3, 6, 6)
    for decision in reference.decisions(gates(FORMS[form])):
        unit = clamp(MultiGatedUnit(make().double(), form=form, bypass="replica"), decision).train(training)
        block = plain(unit, decision).train(training)
        torch.testing.assert_close(unit(x.double()), block(x.double()), rtol=0, atol=1e-12)


def test_plain_prior_starts_as_the_plain_cell_and_neutral_in_the_middle():
    for form in FORMS:
        unit = MultiGatedUnit(nn.Conv2d(3, 4, 3), form=form)
        start = {
            name: torch.sigmoid(logits).mean().item()
            for name, logits in unit.gate_logits(torch.randn(2, 3, 5, 5)).items()
        }
        certain = 0.98201  # sigmoid(4)
        expected = (0.5, *[certain] * 3, {"code": 1 - certain, "equations": certain}[form])
        assert tuple(start.values()) == pytest.approx(expected, abs=1e-4)
        neutral = MultiGatedUnit(nn.Conv2d(3, 4, 3), prior="neutral", form=form)
        assert all((logits == 0).all() for logits in neutral.gate_logits(torch.randn(2, 3, 5, 5)).values())


@pytest.mark.parametrize("kind", GATES)
def test_prior_as_numbers_in_gate_order(kind):
    unit = MultiGatedUnit(nn.Conv2d(3, 4, 3), gates=kind, prior=[1, 2, 3, 4, 5])
    logits = unit.gate_logits(torch.zeros(2, 3, 5, 5))
    assert list(logits) == ["bn_order", "bn_ln", "norm", "residual", "skip"]
    for expected, value in enumerate(logits.values(), 1):
        assert (value == expected).all()


@pytest.mark.parametrize("kind", GATES)
@settings(max_examples=15, deadline=None)
@given(
    data=st.data(),
    axes=st.integers(0, 3),
    batch=st.integers(1, 3),
    inputs=st.integers(1, 5),
    outputs=st.integers(1, 5),
)
def test_any_shape_goes_through_and_comes_out_as_the_layers(kind, data, axes, batch, inputs, outputs):
    if axes == 0:
        shape = (batch, *data.draw(st.lists(st.integers(1, 3), max_size=3)), inputs)
        layer = nn.Linear(inputs, outputs)
    else:
        kernel, stride = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 2))
        shape = (batch, inputs, *data.draw(st.lists(st.integers(kernel, 5), min_size=axes, max_size=axes)))
        layer = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[axes - 1](inputs, outputs, kernel, stride)
    unit = MultiGatedUnit(layer, gates=kind)
    x = torch.randn(shape, requires_grad=True)
    for training in (True, False):
        output = unit.train(training)(x)
        assert output.shape == layer(x).shape
        assert output.isfinite().all()
    output.sum().backward()
    assert x.grad.isfinite().all()
    assert all(buffer.isfinite().all() for buffer in unit.buffers())


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("shape", [(1, 6, 1, 1), (4, 6, 1, 1), (1, 6, 3, 3)], ids=str)
def test_batch_of_one_and_single_positions(kind, shape):
    unit = MultiGatedUnit(nn.Conv2d(6, 6, 1), gates=kind)
    unit(torch.randn(shape)).sum().backward()
    assert all(buffer.isfinite().all() for buffer in unit.buffers())
    assert all(p.grad.isfinite().all() for p in unit.parameters() if p.grad is not None)


class Mixer(nn.Module):
    """A module of a user's own, with a channel axis and no attribute that says how many."""

    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(3, 4, 3, padding=1)
        self.up = nn.Conv2d(4, 6, 1)

    def forward(self, x):
        return self.up(torch.tanh(self.down(x)))


@pytest.mark.parametrize("kind", ["replica", "squeeze", "channel"])
def test_a_users_own_module(kind):
    unit = MultiGatedUnit(Mixer(), gates=kind, bypass="replica", in_channels=3, out_channels=6)
    assert unit(torch.randn(2, 3, 4, 4)).shape == (2, 6, 4, 4)
    assert not torch.equal(unit.operations["bypass"].up.weight, unit.operations["linear"].up.weight)


def test_what_a_users_own_module_must_say():
    with pytest.raises(InputError, match=r"Mixer cannot be read.*in_channels=.*out_channels="):
        MultiGatedUnit(Mixer())
    with pytest.raises(InputError, match="depthwise gates need a Linear or Conv layer, not Mixer"):
        MultiGatedUnit(Mixer(), gates="depthwise", bypass="replica", in_channels=3, out_channels=6)
    with pytest.raises(InputError, match=r"a shortcut bypass needs a Linear or Conv layer, not Mixer"):
        MultiGatedUnit(Mixer(), in_channels=3, out_channels=6)


class Bare(nn.Module):
    """A module whose weights nothing draws anew."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3))

    def forward(self, x):
        return x @ self.weight.T


def test_a_replica_must_have_weights_of_its_own():
    with pytest.raises(InputError, match=r"Bare: the weights 'weight' cannot be drawn anew .* reset_parameters"):
        MultiGatedUnit(Bare(), bypass="replica", in_channels=3, out_channels=4, channel_axis=-1)


def test_a_frozen_layer_has_a_bypass_and_gates_that_learn():
    layer = nn.Conv2d(3, 4, 3).requires_grad_(False)
    unit = MultiGatedUnit(layer, gates="replica")
    assert not any(p.requires_grad for p in unit.operations["linear"].parameters())
    assert all(p.requires_grad for p in [*unit.operations["bypass"].parameters(), *unit.gates.parameters()])


def test_depthwise_gates_pad_as_the_layer_does():
    layer = nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")
    unit = MultiGatedUnit(layer, gates="depthwise")
    with torch.no_grad():
        unit.gates.window.weight.fill_(1.0)
    logits = unit.gate_logits(torch.ones(1, 1, 4, 4))["norm"]
    torch.testing.assert_close(logits, torch.full((1, 1, 4, 4), 4.0 + 9.0))


@pytest.mark.parametrize("kind", GATES)
def test_state_dict_round_trip_and_deepcopy(kind):
    x = torch.randn(3, 3, 6, 6)
    unit = MultiGatedUnit(nn.Conv2d(3, 4, 3), gates=kind)
    unit(x)
    unit.eval()
    other = MultiGatedUnit(nn.Conv2d(3, 4, 3), gates=kind).eval()
    other.load_state_dict(unit.state_dict(), strict=True)
    twin = copy.deepcopy(unit)
    torch.testing.assert_close(other(x), unit(x), rtol=0, atol=0)
    torch.testing.assert_close(twin(x), unit(x), rtol=0, atol=0)
    with torch.no_grad():
        twin.operations["linear"].weight.add_(1)
    assert not torch.equal(twin(x), unit(x))


@pytest.mark.parametrize("kind", GATES)
def test_meta_device_then_real_weights(kind):
    with torch.device("meta"):
        ghost = MultiGatedUnit(nn.Conv2d(3, 4, 3), gates=kind)
    assert all(value.is_meta for value in [*ghost.parameters(), *ghost.buffers()])
    assert ghost(torch.empty(2, 3, 6, 6, device="meta")).shape == (2, 4, 4, 4)
    real = MultiGatedUnit(nn.Conv2d(3, 4, 3), gates=kind).eval()
    ghost.to_empty(device="cpu").load_state_dict(real.state_dict())
    x = torch.randn(2, 3, 6, 6)
    torch.testing.assert_close(ghost.eval()(x), real(x))


@pytest.mark.parametrize("kind", GATES)
def test_channels_last_stays_and_agrees(kind):
    torch.manual_seed(0)
    unit = MultiGatedUnit(nn.Conv2d(3, 8, 3), gates=kind)
    x = torch.randn(4, 3, 7, 7)
    expected = unit(x)
    output = unit.to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last))
    assert output.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("make", [lambda: nn.Conv2d(3, 8, 3), lambda: nn.Linear(7, 8)], ids=["conv", "linear"])
def test_autocast_is_close_to_float32(make, kind):
    torch.manual_seed(0)
    unit = MultiGatedUnit(make(), gates=kind)
    x = torch.randn(16, 3, 7, 7)
    with torch.autocast("cpu", torch.bfloat16):
        half = unit(x)
    half.sum().backward()
    assert half.isfinite().all()
    torch.testing.assert_close(half.float(), unit(x), rtol=0.1, atol=0.1)


@pytest.mark.parametrize("kind", GATES)
def test_it_compiles_as_one_graph(kind):
    torch.manual_seed(0)
    unit = MultiGatedUnit(nn.Conv2d(3, 4, 3), gates=kind)
    compiled = torch.compile(copy.deepcopy(unit), fullgraph=True, backend="aot_eager")
    x = torch.randn(3, 3, 6, 6)
    torch.testing.assert_close(compiled(x), unit(x))


def test_activation_by_name_or_module_with_weights_of_its_own_for_each_place():
    unit = MultiGatedUnit(nn.Linear(3, 4), activation=nn.PReLU(4))
    places = [operation for operation in unit.operations.values() if isinstance(operation, nn.PReLU)]
    assert len({id(place.weight) for place in places}) == len(places) == 2
    with pytest.raises(InputError, match=r"unknown activation 'selux'; allowed: selu, relu"):
        MultiGatedUnit(nn.Linear(3, 4), "selux")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gates": "fancy"}, "unknown gates 'fancy'; allowed: replica, depthwise, squeeze, channel"),
        ({"prior": "best"}, "unknown prior 'best'; allowed: plain, neutral"),
        ({"prior": [0.0, 1.0]}, "prior has 2 numbers; it needs 5, one for each of bn_order"),
        ({"form": "text"}, "unknown form 'text'; allowed: code, equations"),
        ({"channel_axis": 2}, "channel_axis must be 1 or -1; 2 was given"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(InputError, match=message):
        MultiGatedUnit(nn.Conv2d(3, 4, 3), **options)


def test_bad_layers_and_inputs_are_named():
    with pytest.raises(InputError, match="a layer must be a torch"):
        MultiGatedUnit("conv")
    with pytest.raises(InputError, match="a lazy layer has no channels yet"):
        MultiGatedUnit(nn.LazyConv2d(4, 3))
    with pytest.raises(InputError, match=r"shape \(3, 6, 6\) arrived; \(batch, channels, positions, positions\)"):
        MultiGatedUnit(nn.Conv2d(3, 4, 3))(torch.randn(3, 6, 6))
    with pytest.raises(InputError, match=r"shape \(2, 5, 6, 6\) arrived; 3 channels are needed on axis 1"):
        MultiGatedUnit(nn.Conv2d(3, 4, 3))(torch.randn(2, 5, 6, 6))
    with pytest.raises(InputError, match=r"shape \(3,\) arrived; it needs a batch axis"):
        MultiGatedUnit(nn.Linear(3, 4))(torch.randn(3))


@pytest.mark.parametrize("kind", GATES)
def test_gating_unit_mixes_two_values_by_its_input(kind):
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 4, 3)
    gate = GatingUnit(layer, kind, prior=1.5)
    x = torch.zeros(2, 3, 6, 6)
    opened, closed = torch.randn(2, 4, 4, 4), torch.randn(2, 4, 4, 4)
    g = 1 / (1 + 2.718281828459045**-1.5)
    torch.testing.assert_close(gate(x, opened, closed), g * opened + (1 - g) * closed)
    assert not any(torch.equal(weight, layer.weight) for weight in gate.parameters())


def test_the_wrapped_layers_weights_are_left_alone():
    layer = nn.Conv2d(3, 4, 3)
    before = layer.weight.clone()
    unit = MultiGatedUnit(layer, gates="replica", bypass="replica")
    assert unit.operations["linear"] is layer
    assert torch.equal(layer.weight, before)
    assert not torch.equal(unit.operations["bypass"].weight, before)


def test_running_statistics_move_as_keras_moves_them():
    unit = MultiGatedUnit(nn.Conv2d(3, 4, 3))
    x = torch.randn(8, 3, 6, 6)
    linear = unit.operations["linear"](x)
    unit(x)
    expected = 0.99 * torch.zeros(4) + 0.01 * linear.mean(dim=(0, 2, 3))
    torch.testing.assert_close(unit.operations["bn"].running_mean, expected)
