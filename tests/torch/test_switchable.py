"""Switchable normalization against its equations, and against torch's norms where one has all the weight."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from mgu.errors import InputError
from mgu.torch.norms import EPSILON, MOMENTUM
from mgu.torch.switchable import SwitchableNorm

SHAPES = {1: (4, 5, 7), 2: (3, 6, 4, 5), 3: (2, 3, 2, 3, 4)}
CERTAIN = 60.0


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum()


def reference(x, state, *, training):
    """(batch, channels, *positions): each norm's mean and variance over the axes that it is defined over."""
    positions = tuple(range(2, x.ndim))
    axes = [(1, *positions), (0, *positions)]
    axes = [positions, *axes] if positions else axes
    means = [x.mean(axis, keepdims=True) for axis in axes]
    variances = [x.var(axis, keepdims=True) for axis in axes]
    column = (1, -1, *(1 for _ in positions))
    if not training:
        means[-1] = state["running_mean"].reshape(column)
        variances[-1] = state["running_var"].reshape(column)
    mean = sum(w * m for w, m in zip(softmax(state["mean_logits"]), means, strict=True))
    var = sum(w * v for w, v in zip(softmax(state["var_logits"]), variances, strict=True))
    return (x - mean) / np.sqrt(var + EPSILON) * state["weight"].reshape(column) + state["bias"].reshape(column)


def drawn(channels, channel_axis=1, seed=0):
    """A norm in float64 with weights, logits and running statistics drawn at random, and these in NumPy."""
    norm = SwitchableNorm(channels, channel_axis, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in [*norm.parameters(), norm.running_mean]:
            value.copy_(torch.randn(value.shape, generator=generator, dtype=torch.float64))
        norm.running_var.copy_(0.5 + torch.rand(channels, generator=generator, dtype=torch.float64))
    return norm, {name: value.numpy().copy() for name, value in norm.state_dict().items()}


@settings(max_examples=80, deadline=None)
@given(
    batch=st.integers(1, 4),
    channels=st.integers(1, 9),
    positions=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    training=st.booleans(),
    offset=st.sampled_from([0.0, 100.0]),
)
def test_it_is_its_equations_on_any_shape(batch, channels, positions, training, offset):
    assume(batch * np.prod(positions) > 1)
    norm, state = drawn(channels)
    x = np.random.default_rng(0).normal(offset, 2, (batch, channels, *positions))
    found = norm.train(training)(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(found, reference(x, state, training=training), rtol=0, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    batch=st.integers(2, 5),
    channels=st.integers(1, 9),
    positions=st.lists(st.integers(1, 3), max_size=2),
    training=st.booleans(),
)
def test_with_channels_last_as_linear_gives_them_each_position_is_a_sample(batch, channels, positions, training):
    norm, state = drawn(channels, -1)
    assert norm.mean_logits.shape == norm.var_logits.shape == (2,)
    x = np.random.default_rng(0).normal(1, 2, (batch, *positions, channels))
    expected = reference(x.reshape(-1, channels), state, training=training).reshape(x.shape)
    found = norm.train(training)(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("axes", SHAPES)
def test_running_statistics_are_batch_norms_of_the_same_values(axes):
    x = torch.randn(SHAPES[axes])
    norm, other = SwitchableNorm(x.shape[1]), [nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d][axes - 1]
    other = other(x.shape[1], EPSILON, MOMENTUM)
    for _ in range(3):
        norm(x), other(x)
    torch.testing.assert_close(norm.running_mean, other.running_mean)
    torch.testing.assert_close(norm.running_var, other.running_var)
    before = copy.deepcopy(norm.state_dict())
    norm.eval()(x)
    assert all(torch.equal(before[name], value) for name, value in norm.state_dict().items())


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("axes", SHAPES)
@pytest.mark.parametrize("corner", [0, 1, 2])
def test_with_all_the_weight_on_one_norm_it_is_torchs_own(corner, axes, training):
    x = 3 + 2 * torch.randn(SHAPES[axes], dtype=torch.float64)
    channels, positions = x.shape[1], x.shape[2:]
    batch = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[axes - 1](channels, EPSILON, MOMENTUM)
    instance = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)[axes - 1](channels, EPSILON)
    layer = nn.LayerNorm((channels, *positions), EPSILON, elementwise_affine=False)
    norm = SwitchableNorm(channels, dtype=torch.float64)
    with torch.no_grad():
        norm.mean_logits[corner] = norm.var_logits[corner] = CERTAIN
    expected = (instance, layer, batch)[corner].double().train(training)
    torch.testing.assert_close(norm.train(training)(x), expected(x))


@pytest.mark.parametrize(("corner", "expected"), [(0, nn.LayerNorm(6, EPSILON)), (1, nn.BatchNorm1d(6, EPSILON))])
def test_of_features_it_is_torchs_layer_or_batch_norm_at_the_corners(corner, expected):
    x, norm = 3 + 2 * torch.randn(5, 6, dtype=torch.float64), SwitchableNorm(6, -1, dtype=torch.float64)
    with torch.no_grad():
        norm.mean_logits[corner] = norm.var_logits[corner] = CERTAIN
    torch.testing.assert_close(norm(x), expected.double()(x))


def test_at_first_each_norm_has_a_third():
    norm = SwitchableNorm(4)
    torch.testing.assert_close(norm.mean_logits.softmax(0), torch.full((3,), 1 / 3))
    torch.testing.assert_close(norm.var_logits.softmax(0), torch.full((3,), 1 / 3))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("channel_axis", "shape"), [(1, (2, 3, 4)), (1, (2, 3, 2, 2)), (-1, (4, 3))])
def test_gradients(channel_axis, shape, training):
    norm = drawn(3, channel_axis)[0].train(training)
    names = list(dict(norm.named_parameters()))
    statistics = {name: value.clone() for name, value in norm.named_buffers()}

    def output(x, *parameters):
        return torch.func.functional_call(norm, {**dict(zip(names, parameters, strict=True)), **statistics}, x)

    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    parameters = tuple(parameter.detach().clone().requires_grad_() for parameter in norm.parameters())
    assert torch.autograd.gradcheck(output, (x, *parameters))
    assert torch.autograd.gradgradcheck(output, (x, *parameters))


@pytest.mark.parametrize(("channel_axis", "shape"), [(1, (1, 4, 1)), (-1, (1, 4))])
def test_a_single_value_a_channel_is_normalised_by_the_running_statistics_and_leaves_them(channel_axis, shape):
    norm, x = drawn(4, channel_axis)[0], torch.randn(shape, dtype=torch.float64)
    before = copy.deepcopy(norm.state_dict())
    torch.testing.assert_close(norm.train()(x), copy.deepcopy(norm).eval()(x))
    assert all(torch.equal(before[name], value) for name, value in norm.state_dict().items())


def test_memory_layout_state_dict_meta_device_and_autocast():
    norm, x = SwitchableNorm(8), torch.randn(4, 8, 5, 5)
    expected = norm(x)
    last = norm(x.contiguous(memory_format=torch.channels_last))
    assert last.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(last, expected)
    ghost = SwitchableNorm(8, device="meta")
    assert ghost(x.to("meta")).shape == x.shape
    ghost.to_empty(device="cpu").load_state_dict(norm.state_dict())
    torch.testing.assert_close(ghost(x), expected)
    with torch.autocast("cpu", torch.bfloat16):
        half = norm(x.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), expected, rtol=0.02, atol=0.02)


def test_it_compiles_as_one_graph():
    torch.compiler.reset()
    norm, x = SwitchableNorm(8), torch.randn(4, 8, 5, 5, requires_grad=True)
    compiled = torch.compile(copy.deepcopy(norm), fullgraph=True, backend="aot_eager")
    direction = torch.randn(4, 8, 5, 5)
    (found,), (expected,) = (torch.autograd.grad((run(x) * direction).sum(), x) for run in (compiled, norm))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    torch.compiler.reset()


@pytest.mark.parametrize(
    ("norm", "shape"),
    [
        (SwitchableNorm(4), (2, 4)),
        (SwitchableNorm(4), (2, 3, 5)),
        (SwitchableNorm(4, -1), (2, 4, 5)),
        (SwitchableNorm(4, -1), (4,)),
    ],
)
def test_other_shapes_are_refused_in_words(norm, shape):
    with pytest.raises(InputError, match=r"values of shape .* arrived; .* with 4 channels is needed"):
        norm(torch.randn(shape))
