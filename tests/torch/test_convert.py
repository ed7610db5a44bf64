"""``convert`` on models as others write them: the same function at first, gates that learn, and a plain model back."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mgu.errors import InputError
from mgu.torch import GATES, MultiGatedUnit, convert, explain, fine_tune, harden, sharpen
from mgu.torch.explain import gate_means
from mgu.wiring import evaluate
from others import BasicBlock, ConvNeXt, ResNet, lived_in


class Functional(nn.Module):
    """Functions for activations, and a batch norm behind one."""

    def __init__(self):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, 6, 3, stride=2), nn.BatchNorm2d(6, eps=1e-4, momentum=0.3)
        self.conv2, self.norm2 = nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.conv3, self.conv4 = nn.Conv2d(6, 6, 1), nn.Conv2d(6, 6, 1)
        self.head = nn.Linear(6, 4)

    def forward(self, x):
        x = F.relu(self.norm1(self.conv1(x)), inplace=True)
        x = self.norm2(F.leaky_relu(self.conv2(x), 0.2))
        x = torch.tanh(self.conv3(x)) + self.conv4(x).relu()
        return self.head(x.mean((2, 3)))


class TwoModes(nn.Module):
    """Another forward in training than in evaluation, which a graph of either would forget."""

    def __init__(self):
        super().__init__()
        self.layer, self.norm = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6)

    def forward(self, x):
        y = F.relu(self.norm(self.layer(x)))
        return y * 2 if self.training else y


class Conditional(nn.Module):
    """What torch.fx cannot follow: a condition on the numbers."""

    def __init__(self):
        super().__init__()
        self.first, self.norm1, self.act = nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU()
        self.second, self.norm2 = nn.Linear(8, 8), nn.BatchNorm1d(8)
        self.third, self.norm3 = nn.Linear(8, 8), nn.BatchNorm1d(8)
        self.fourth, self.act4 = nn.Linear(8, 3), nn.GELU()

    def forward(self, x):
        if x.mean() > 100:
            x = x / 100
        x = self.act(self.norm1(self.first(x)))
        x = F.silu(self.norm2(self.second(x)))
        y = self.third(x)
        return self.act4(self.fourth(self.norm3(y) + y))


def mlp():
    norms = nn.LayerNorm(8), nn.BatchNorm1d(8, affine=False), nn.LayerNorm(8, elementwise_affine=False)
    groups = [
        (nn.Linear(5, 8), norms[0], nn.GELU()),
        (nn.Linear(8, 8), nn.SiLU(), norms[1]),
        (nn.Linear(8, 8), nn.Identity(), nn.ELU(0.5, inplace=True), norms[2]),
        (nn.Linear(8, 8, bias=False), nn.Tanh(), nn.Dropout(0.1)),
    ]
    return nn.Sequential(*(module for group in groups for module in group), nn.Linear(8, 3))


def stack(axes):
    conv, norm = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[axes - 1], (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[axes - 1]
    return nn.Sequential(
        nn.Sequential(conv(2, 4, 3, stride=2), norm(4), nn.SiLU()), conv(4, 4, 1), nn.ReLU(), norm(4), nn.Flatten()
    )


MODELS = {
    "resnet": (lambda: ResNet(8, blocks=1), (6, 3, 32, 32)),
    "convnext": (ConvNeXt, (4, 3, 32, 32)),
    "functional": (Functional, (4, 3, 9, 9)),
    "two modes": (TwoModes, (4, 3, 7, 7)),
    "conditional": (Conditional, (9, 5)),
    "mlp": (mlp, (9, 5)),
    "mlp-positions": (lambda: nn.Sequential(nn.Linear(5, 8), nn.LayerNorm(8), nn.ReLU()), (4, 7, 5)),
    **{f"stack{axes}d": (lambda axes=axes: stack(axes), (4, 2, *[7] * axes)) for axes in (1, 2, 3)},
}


def made(name):
    torch.manual_seed(0)
    make, shape = MODELS[name]
    return lived_in(make()), torch.randn(shape)


def units(model):
    return {name: module for name, module in model.named_modules() if isinstance(module, MultiGatedUnit)}


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("name", MODELS)
def test_a_converted_model_is_the_same_function_in_both_modes(name, kind):
    model, x = made(name)
    converted = convert(model, x, gates=kind)
    assert units(converted.model).keys() == converted.converted.keys() != set()
    for training in (False, True):
        ours, theirs = (copy.deepcopy(either).train(training) for either in (converted.model, model))
        with torch.random.fork_rng():
            torch.manual_seed(1)
            expected = theirs(x)
        torch.manual_seed(1)
        difference = (ours(x) - expected).abs().max().item()
        assert difference < 1e-5
        shown = converted.training_difference if training else converted.largest_difference
        assert shown == pytest.approx(difference, abs=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_in_float64_the_difference_is_rounding(name):
    model, x = made(name)
    converted = convert(model.double(), x.double())
    assert max(converted.largest_difference, converted.training_difference) < 1e-12


GROUPS = {
    "resnet": {
        "conv1": "ReLU(BN(Conv2d))",
        **{f"layer{i}.0.conv1": "ReLU(BN(Conv2d))" for i in range(1, 5)},
        **{f"layer{i}.0.conv2": "BN(Conv2d)" for i in range(1, 5)},
        **{f"layer{i}.0.downsample.0": "BN(Conv2d)" for i in range(2, 5)},
    },
    "convnext": {
        "stem.0": "LN(Conv2d)",
        **{f"{block}.dwconv": "LN(Conv2d)" for block in ("stage1.0", "stage1.1", "stage2.0")},
        **{f"{block}.pwconv1": "GELU(Linear)" for block in ("stage1.0", "stage1.1", "stage2.0")},
    },
    "functional": {
        "conv1": "ReLU(BN(Conv2d))",
        "conv2": "BN(LeakyReLU(Conv2d))",
        "conv3": "Tanh(Conv2d)",
        "conv4": "ReLU(Conv2d)",
    },
    "two modes": {"layer": "BN(Conv2d)"},
    "conditional": {"first": "ReLU(BN(Linear))", "second": "BN(Linear)", "fourth": "GELU(Linear)"},
    "mlp": {"0": "GELU(LN(Linear))", "3": "BN(SiLU(Linear))", "6": "LN(ELU(Linear))", "10": "Tanh(Linear)"},
    "stack2d": {"0.0": "SiLU(BN(Conv2d))", "1": "BN(ReLU(Conv2d))"},
}


@pytest.mark.parametrize("name", GROUPS)
def test_the_groups_are_those_that_the_model_is_written_with(name):
    model, x = made(name)
    assert dict(convert(model, x).converted) == GROUPS[name]


def test_a_unit_has_the_models_own_weights_settings_and_statistics_and_the_model_stays_as_it_is():
    model, x = made("functional")
    before = copy.deepcopy(model.state_dict())
    converted = convert(model.train(), x).model
    assert model.training
    assert converted.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert type(model.conv1) is nn.Conv2d
    operations = converted.conv1.operations
    assert torch.equal(operations["linear"].weight, model.conv1.weight)
    for name, value in model.norm1.state_dict().items():
        assert torch.equal(operations["bn"].state_dict()[name], value)
    for norm in (operations["bn"], operations["bn_post"]):
        assert (norm.eps, norm.momentum) == (1e-4, 0.3)
    fine_tune(converted, [(x, torch.arange(4))], epochs=1)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("kind", ["channel", "squeeze"])
@pytest.mark.parametrize("name", ["resnet", "convnext", "functional", "conditional", "mlp"])
def test_gates_learn_from_the_first_step_on(name, kind):
    model, x = made(name)
    converted = convert(model, x, gates=kind).model.train()
    F.cross_entropy(converted(x), torch.arange(len(x)) % 3).backward()
    for unit in units(converted).values():
        gates = unit.gates.logits if kind == "channel" else unit.gates.excite.bias
        by_gate = gates.grad.view(len(unit.gate_names), -1).abs().amax(1)
        learn = dict(zip(unit.gate_names, by_gate.tolist(), strict=True))
        assert learn["residual"] > 0
        assert learn["skip"] > 0
        assert learn["norm"] > 0
    before, means = opened(converted, x), gate_means(converted, x)
    fine_tune(converted, [(x, torch.arange(len(x)) % 3)] * 20, epochs=1, lr=0.01)
    after = opened(converted, x)
    for name, values in before.items():
        assert (after[name] - values).abs().max() > 1e-4
    assert gate_means(converted, x).values() != means.values()


def opened(model, x):
    """The values of all gates but the order's of batch norm, by unit and gate."""
    found = {}

    def listen(name):
        def hook(unit, arguments):
            for gate, logits in unit.gate_logits(*arguments).items():
                if gate not in ("bn_order", "bn_ln"):
                    found[name, gate] = torch.sigmoid(logits).detach()

        return hook

    hooks = [unit.register_forward_pre_hook(listen(name)) for name, unit in units(model).items()]
    with torch.no_grad():
        model(x)
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize("name", MODELS)
def test_hardened_by_its_own_answers_it_is_the_model_again(name):
    model, x = made(name)
    with torch.no_grad():
        expected = model.eval()(x)
    hardened = harden(convert(model.double(), x.double()).model, [(x.double(), expected.double())], F.mse_loss)
    assert not units(hardened.model)
    with torch.no_grad():
        torch.testing.assert_close(hardened.model(x.double()).float(), expected, atol=1e-5, rtol=1e-5)
    weights = {
        name: sum(parameter.numel() for parameter in found.parameters())
        for name, found in (("before", model), ("after", hardened.model))
    }
    assert weights["after"] <= weights["before"] + 64


class Odd(nn.Module):
    """Layers that stay, each for a reason of its own."""

    def __init__(self):
        super().__init__()
        self.twice, self.both, self.group, self.tied = (nn.Linear(6, 6) for _ in range(4))
        self.norm, self.over_positions, self.grouped = nn.LayerNorm(6), nn.BatchNorm1d(4), nn.GroupNorm(2, 4)
        self.inner, self.gate, self.unused, self.last = (nn.Linear(6, 6) for _ in range(4))
        self.own = nn.TransformerEncoderLayer(6, 2, 8, batch_first=True)

    def forward(self, x):
        x = torch.relu(self.twice(torch.relu(self.twice(x))))
        y = self.both(x)
        x = self.norm(y) + y
        x = self.over_positions(self.inner(x)) + self.grouped(self.group(x))
        x = F.relu(self.tied(x)) * F.sigmoid(self.gate(x))
        return self.last(self.own(F.linear(x, self.tied.weight)))


def test_each_layer_that_stays_is_named_with_its_reason():
    torch.manual_seed(0)
    x = torch.randn(3, 4, 6)
    converted = convert(nn.Sequential(Odd(), nn.Tanh()), x)
    assert converted.converted == {}
    behind = "no norm or activation that a unit takes"
    assert {name: reason for name, reason in converted.left.items() if "own" not in name} == {
        "0.twice": "called 2 times in one forward of Odd",
        "0.both": "2 steps read its output",
        "0.group": f"GroupNorm is behind it, {behind}",
        "0.tied": "its weight is read besides",
        "0.inner": f"BatchNorm1d is behind it, {behind}",
        "0.gate": f"sigmoid is behind it, {behind}",
        "0.unused": "the model does not call it on the batch",
        "0.last": f"the end of Odd's forward is behind it, {behind}",
    }
    own = {reason for name, reason in converted.left.items() if "own" in name}
    assert own <= {
        "no forward that can be looked into calls it",
        "the model does not call it on the batch",
        "MultiheadAttention is no layer that a unit takes: those are linear and convolution layers",
    }
    assert converted.largest_difference == 0


class NoBias(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x) - self.bias


class WithReLU(nn.BatchNorm2d):
    def forward(self, x):
        return super().forward(x).relu()


@pytest.mark.parametrize(
    ("layer", "norm", "x"),
    [
        (nn.Linear(5, 6), NoBias(6), torch.randn(3, 5)),
        (nn.Linear(5, 6), nn.RMSNorm(6, eps=1e-5), torch.randn(3, 5)),
        (nn.Linear(5, 6), nn.BatchNorm1d(6), torch.randn(3, 6, 5)),
        (nn.Conv2d(3, 6, 3), WithReLU(6), torch.randn(2, 3, 5, 5)),
        (nn.Conv2d(3, 6, 3), nn.LayerNorm([6, 3, 3]), torch.randn(2, 3, 5, 5)),
        (nn.Conv2d(3, 6, 3, padding=(0, 1)), nn.LayerNorm(5), torch.randn(2, 3, 5, 5)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_norm_that_does_something_else_is_none(layer, norm, x):
    with torch.no_grad():
        for weight in norm.parameters():
            weight.uniform_(0.5, 1.5)
    converted = convert(nn.Sequential(layer, norm, nn.ReLU()), x)
    assert converted.left == {"0": f"{type(norm).__name__} is behind it, no norm or activation that a unit takes"}


def test_layers_are_chosen_by_pattern_or_by_function():
    model, x = made("resnet")
    assert convert(model, x, only="layer1.*").converted.keys() == {"layer1.0.conv1", "layer1.0.conv2"}
    assert convert(model, x, only=lambda name, layer: layer.out_channels == 64 if name != "fc" else False).converted
    with pytest.raises(InputError, match="chooses none of the 13 linear and convolution layers; their names: conv1, "):
        convert(model, x, only="encoder.*")
    assert not convert(model, x, only="fc").converted


def test_a_converted_model_is_converted_no_further():
    model, x = made("resnet")
    first = convert(model, x, only="layer1.*").model
    again = convert(first, x)
    assert not any(name.startswith("layer1") for name in (*again.converted, *again.left))
    assert max(again.largest_difference, again.training_difference) < 1e-5


def test_classes_stay_where_modules_suffice():
    model, x = made("resnet")
    converted = convert(model, x).model
    assert type(converted) is ResNet
    assert isinstance(converted.layer2[0].downsample, nn.Sequential)
    block = converted.layer1[0]
    assert not isinstance(block, BasicBlock)  # its ReLU is called twice
    assert type(block).__name__ == "BasicBlock"
    assert not any(type(module) is nn.BatchNorm2d for module in converted.modules())


def test_modules_that_someone_listens_to_stay():
    heard = []

    def hear(module, arguments, output):
        heard.append(module)

    model, x = made("resnet")
    model.layer1[0].bn1.register_forward_hook(hear)
    model.layer2[0].register_forward_hook(hear)
    converted = convert(model, x)
    assert converted.left["layer1.0.conv1"] == "BatchNorm2d behind it has hooks"
    assert converted.converted["layer2.0.conv1"] == "BN(Conv2d)"
    assert converted.largest_difference < 1e-5
    heard.clear()
    converted.model(x)
    assert heard == [converted.model.layer1[0].bn1, converted.model.layer2[0]]


def test_a_converted_model_is_saved_whole_and_as_weights(tmp_path):
    model, x = made("resnet")
    converted = convert(model, x).model.eval()
    with torch.no_grad():
        for parameter in converted.parameters():
            parameter.mul_(1.1)
        expected = converted(x)
        torch.save(converted, tmp_path / "whole.pt")
        assert torch.equal(torch.load(tmp_path / "whole.pt", weights_only=False)(x), expected)
        again = convert(model, x).model.eval()
        again.load_state_dict(converted.state_dict())
        assert torch.equal(again(x), expected)


def test_arguments_and_answers_may_be_several():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(5, 6), nn.LayerNorm(6), nn.ReLU())

        def forward(self, x, scale=None):
            x = self.net(x)
            return {"x": x, "scaled": [x * scale if scale is not None else x]}

    x = torch.randn(3, 5)
    for batch in (x, (x, torch.ones(1)), {"x": x, "scale": torch.tensor(2.0)}):
        converted = convert(Two(), batch)
        assert converted.converted == {"net.0": "ReLU(LN(Linear))"}
        assert max(converted.largest_difference, converted.training_difference) < 1e-5


def test_what_a_conversion_needs_is_named():
    model = nn.Sequential(nn.Linear(5, 6), nn.ReLU())
    with pytest.raises(InputError, match="Sequential does not run on the batch in evaluation mode: "):
        convert(model, torch.randn(3, 4))
    with pytest.raises(InputError, match="unknown gates 'many'; allowed: replica"):
        convert(model, torch.randn(3, 5), gates="many")
    with pytest.raises(InputError, match="unknown bypass 'none'; allowed: replica"):
        convert(model, torch.randn(3, 5), bypass="none")
    with pytest.raises(InputError, match="in training mode: "):
        convert(nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6)), torch.randn(1, 5))


def test_the_text_has_a_line_for_each_layer():
    model, x = made("mlp")
    converted = convert(model, x)
    lines = converted.text().splitlines()
    assert lines[0] == "0: GELU(LN(Linear))"
    assert lines[-2] == "units: 4, layers left: 1"
    assert lines[-1] == (
        f"largest output difference: {converted.largest_difference:.4g}, "
        f"in training {converted.training_difference:.4g}"
    )


def test_explaining_sharpening_and_hardening_follow_training():
    model, x = made("convnext")
    converted = convert(model, x).model
    samples = [(x, torch.arange(len(x)))]
    assert "Gate opened for: LN" in explain(converted, samples).text()
    sharpen(converted, samples, epochs=2)
    assert all(unit.stretch == pytest.approx(1) for unit in units(converted).values())
    hardened = harden(converted, samples)
    assert not units(hardened.model)
    fine_tune(hardened.model, samples, epochs=1)


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("kind", GATES)
def test_a_units_reach_stretches_its_gates(kind, training):
    """The chain, each gate mixed on its own with 1/2 + tanh(k z / 2) / tanh(k reach / 2) / 2 of its logits z."""
    torch.manual_seed(0)
    unit = MultiGatedUnit(nn.Conv2d(3, 8, 3, padding=1), "relu", gates=kind, prior=[1.5, -3.0, 0.0, 6.0, -0.5])
    x = torch.randn(4, 3, 6, 6)
    unit.train(training)
    unit.sharpness, unit.reach = 1.5, 2.5
    logits = dict(zip(unit.gate_names, unit.gates(x), strict=True))

    def mixed(gate, opened, closed):
        g = 0.5 + torch.tanh(1.5 * logits[gate.name] / 2) / math.tanh(1.5 * 2.5 / 2) / 2
        g = g if g.ndim == 4 else g[..., None, None]
        return g * opened + (1 - g) * closed

    expected = evaluate(unit.chain, x, lambda op, *inputs: unit.operations[op.name](*inputs), mixed)
    torch.testing.assert_close(unit(x), expected, rtol=1e-4, atol=1e-5)
