"""The unit's output against the float64 reference, and its gradients against finite differences."""

import numpy as np
import pytest
import torch
from torch import nn

import reference
from mgu.torch import GATES, MultiGatedUnit
from mgu.wiring import FORMS

LAYERS = {
    "linear": (lambda: nn.Linear(5, 7), (6, 5)),
    "linear-rank3": (lambda: nn.Linear(5, 7), (4, 3, 5)),
    "linear-rank5": (lambda: nn.Linear(3, 4), (2, 2, 3, 2, 3)),
    "conv1d": (lambda: nn.Conv1d(3, 6, 3, stride=2), (4, 3, 9)),
    "conv2d": (lambda: nn.Conv2d(3, 8, 3, stride=2, padding=1), (4, 3, 7, 6)),
    "conv2d-dilated": (lambda: nn.Conv2d(2, 5, (3, 2), dilation=(2, 1)), (3, 2, 8, 5)),
    "conv2d-grouped": (lambda: nn.Conv2d(4, 6, 3, groups=2), (3, 4, 5, 5)),
    "conv2d-depthwise": (lambda: nn.Conv2d(4, 4, 3, groups=4, padding=1), (3, 4, 4, 4)),
    "conv2d-1x1": (lambda: nn.Conv2d(4, 6, 1), (8, 4, 1, 1)),
    "linear-no-bias": (lambda: nn.Linear(5, 7, bias=False), (4, 3, 5)),
    "conv2d-no-bias": (lambda: nn.Conv2d(3, 4, 3, bias=False, padding="same"), (3, 3, 5, 4)),
    "conv3d": (lambda: nn.Conv3d(2, 4, 2), (3, 2, 4, 3, 4)),
}


def randomised(unit):
    """Give every weight and statistic a value that is not its start, so that no term can hide."""
    torch.manual_seed(1)
    with torch.no_grad():
        for name, value in unit.state_dict().items():
            if value.is_floating_point():
                value.copy_(torch.rand_like(value) + 0.5 if "running_var" in name else torch.randn_like(value) * 0.5)
    return unit


def arrays(module):
    return {name: value.numpy() for name, value in module.state_dict().items()}


def padding(layer):
    """Padding in numbers; "same" at stride 1 and odd kernels is half of what the kernel spans."""
    if layer.padding == "same":
        return tuple(d * (k - 1) // 2 for d, k in zip(layer.dilation, layer.kernel_size, strict=True))
    return layer.padding


def as_function(layer):
    weights = {"bias": np.zeros(1), **arrays(layer)}
    if isinstance(layer, nn.Linear):
        return lambda x: reference.linear(x, **weights)
    settings = {name: getattr(layer, name) for name in ("stride", "dilation", "groups")} | {"padding": padding(layer)}
    return lambda x: reference.convolution(x, **weights, **settings)


def replica_gates(unit, x, axis):
    logits = [as_function(layer)(x) for layer in unit.gates.replicas]
    if unit.gates.offset is None:
        return logits
    offsets = unit.gates.offset.detach().numpy()
    return [z + reference.per_channel(offset, z.ndim, axis) for z, offset in zip(logits, offsets, strict=True)]


def channel_gates(unit, x, _):
    return list(unit.gates.logits.detach().numpy())


def squeeze_gates(unit, x, axis):
    squeeze, excite = as_function(unit.gates.squeeze), as_function(unit.gates.excite)
    logits = excite(np.maximum(squeeze(reference.pooled(x, axis)), 0))
    return np.split(logits, unit.gates.count, axis=-1)


def depthwise_gates(unit, x, axis):
    """One channel at a time: gate k's channel o sees input channel floor(o * in / out) and nothing else."""
    layer, outputs = unit.operations["linear"], unit.operations["bn"].num_features
    weight, bias = unit.gates.window.weight.detach().numpy(), unit.gates.window.bias.detach().numpy()
    gates = []
    for k in range(unit.gates.count):
        channels = []
        for o in range(outputs):
            row, source = k * outputs + o, o * x.shape[axis] // outputs
            seen = np.take(x, [source], axis=axis)
            if isinstance(layer, nn.Linear):
                channels.append(seen * weight[row] + bias[row])
                continue
            settings = {"stride": layer.stride, "padding": padding(layer), "dilation": layer.dilation}
            channels.append(
                reference.convolution(seen, weight[row : row + 1], bias[row : row + 1], **settings, groups=1)
            )
        gates.append(np.concatenate(channels, axis=axis))
    return gates


GATE_REFERENCES = {
    "replica": replica_gates,
    "channel": channel_gates,
    "squeeze": squeeze_gates,
    "depthwise": depthwise_gates,
}


def expected_output(unit, x, form, training, residual_gate, processors=()):
    axis = unit.channel_axis
    operations = unit.operations
    gates = [reference.sigmoid(logits) for logits in GATE_REFERENCES[kind_of(unit)](unit, x, axis)]
    gates = [reference.spread(gate, x.ndim, axis) if gate.ndim < x.ndim else gate for gate in gates]
    norms = {name: arrays(operations[name]) for name in ("bn", "bn_post", "ln", "ln_linear") if name in operations}
    norms |= {name: arrays(operations[name]) for name in processors}
    layer, bypass = as_function(operations["linear"]), as_function(operations["bypass"])
    return reference.FORMS[form](x, layer, bypass, gates, norms, axis, training=training, residual_gate=residual_gate)


def kind_of(unit):
    return next(name for name, kind in GATES.items() if type(unit.gates) is kind)


def test_every_gate_kind_has_a_reference():
    assert GATE_REFERENCES.keys() == GATES.keys()


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("gates", GATES)
@pytest.mark.parametrize("form", FORMS)
def test_output_is_that_of_the_equations(form, gates, layer, training):
    make, shape = LAYERS[layer]
    unit = randomised(MultiGatedUnit(make().double(), gates=gates, form=form, bypass="replica")).train(training)
    x = np.random.default_rng(0).normal(size=shape)
    expected = expected_output(unit, x, form, training, residual_gate=True)
    np.testing.assert_allclose(unit(torch.from_numpy(x)).detach().numpy(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_without_the_residual_gate_there_are_four_gates_and_no_sum(form):
    unit = randomised(
        MultiGatedUnit(nn.Conv2d(3, 4, 3).double(), gates="replica", form=form, residual_gate=False, bypass="replica")
    )
    x = np.random.default_rng(0).normal(size=(3, 3, 6, 6))
    assert len(unit.gates.replicas) == 4
    expected = expected_output(unit, x, form, True, residual_gate=False)
    np.testing.assert_allclose(unit(torch.from_numpy(x)).detach().numpy(), expected, rtol=0, atol=1e-6)


PROCESSORS = [("rms_norm",), ("group_norm",), ("instance_norm",), ("squeeze_excite",)]
PROCESSORS += [("squeeze_excite", "instance_norm", "rms_norm", "group_norm")]


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("layer", ["linear-rank3", "linear-rank5", "conv1d", "conv2d", "conv3d"])
@pytest.mark.parametrize("gates", GATES)
@pytest.mark.parametrize("processors", PROCESSORS, ids="+".join)
@pytest.mark.parametrize("form", FORMS)
def test_output_with_processors_is_that_of_the_equations(form, processors, gates, layer, training):
    make, shape = LAYERS[layer]
    unit = MultiGatedUnit(make().double(), gates=gates, form=form, processors=processors, bypass="replica")
    unit = randomised(unit).train(training)
    x = np.random.default_rng(0).normal(size=shape)
    expected = expected_output(unit, x, form, training, True, processors)
    np.testing.assert_allclose(unit(torch.from_numpy(x)).detach().numpy(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("processors", [("rms_norm",), ("squeeze_excite",)], ids="+".join)
def test_output_with_processors_without_positions_and_residual_gate(processors):
    unit = randomised(
        MultiGatedUnit(nn.Linear(5, 7).double(), residual_gate=False, processors=processors, bypass="replica")
    )
    x = np.random.default_rng(0).normal(size=(6, 5))
    expected = expected_output(unit, x, "code", True, False, processors)
    np.testing.assert_allclose(unit(torch.from_numpy(x)).detach().numpy(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("layer", ["linear", "conv1d", "conv2d-grouped", "conv3d"])
@pytest.mark.parametrize("gates", GATES)
@pytest.mark.parametrize("form", FORMS)
def test_gradients_are_those_of_finite_differences(form, gates, layer):
    make, shape = LAYERS[layer]
    unit = randomised(MultiGatedUnit(make().double(), gates=gates, form=form, bypass="replica"))
    x = torch.randn(2, *shape[1:], dtype=torch.float64, requires_grad=True)
    check_gradients(unit, x)


@pytest.mark.parametrize("layer", ["linear-rank3", "conv2d"])
@pytest.mark.parametrize("processors", PROCESSORS, ids="+".join)
def test_gradients_with_processors_are_those_of_finite_differences(processors, layer):
    make, shape = LAYERS[layer]
    unit = randomised(MultiGatedUnit(make().double(), processors=processors, bypass="replica"))
    check_gradients(unit, torch.randn(2, *shape[1:], dtype=torch.float64, requires_grad=True))


def check_gradients(unit, x):
    names, weights = zip(*unit.named_parameters(), strict=True)

    def function(x, *weights):
        return torch.func.functional_call(unit, dict(zip(names, weights, strict=True)), (x,))

    assert torch.autograd.gradcheck(function, (x, *weights), fast_mode=True)
