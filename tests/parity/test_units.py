"""A unit of either half with the same weights: the same outputs, gradients and running statistics, in float32."""

import itertools

import keras
import numpy as np
import pytest
import torch
from keras import layers
from torch import nn

import keras_backend
from mgu import keras as keras_half
from mgu import torch as torch_half
from mgu.errors import InputError
from mgu.keras.bypass import BYPASSES
from mgu.keras.weights import _entries as keras_entries
from mgu.wiring import FORMS, PROCESSORS

OUTPUT, GRADIENT = 1e-5, 1e-4

#: PyTorch's layer, Keras's, and an input in PyTorch's order of axes. "same" padding with a stride agrees where the
#: stride does not divide the positions.
LAYERS = {
    "linear": (lambda: nn.Linear(5, 7), lambda: layers.Dense(7), (6, 5)),
    "linear-rank4": (lambda: nn.Linear(3, 4, bias=False), lambda: layers.Dense(4, use_bias=False), (2, 3, 2, 3)),
    "conv1d": (lambda: nn.Conv1d(3, 6, 3, 2), lambda: layers.Conv1D(6, 3, 2), (4, 3, 9)),
    "conv2d": (
        lambda: nn.Conv2d(3, 8, 3, 2, padding=1),
        lambda: layers.Conv2D(8, 3, 2, padding="same"),
        (4, 3, 7, 5),
    ),
    "conv2d-kept": (
        lambda: nn.Conv2d(4, 4, 3, padding=1),
        lambda: layers.Conv2D(4, 3, padding="same"),
        (3, 4, 4, 6),
    ),
    "conv2d-dilated": (
        lambda: nn.Conv2d(2, 5, (3, 2), dilation=(2, 1)),
        lambda: layers.Conv2D(5, (3, 2), dilation_rate=(2, 1)),
        (3, 2, 8, 5),
    ),
    "conv2d-grouped": (lambda: nn.Conv2d(4, 6, 3, groups=2), lambda: layers.Conv2D(6, 3, groups=2), (3, 4, 5, 5)),
    "conv2d-depthwise": (
        lambda: nn.Conv2d(4, 8, 3, groups=4),
        lambda: layers.DepthwiseConv2D(3, depth_multiplier=2),
        (3, 4, 5, 5),
    ),
    "conv2d-no-bias": (
        lambda: nn.Conv2d(3, 4, (3, 1), bias=False),
        lambda: layers.Conv2D(4, (3, 1), use_bias=False),
        (3, 3, 5, 4),
    ),
    "conv2d-first": (
        lambda: nn.Conv2d(3, 5, 3, (2, 1)),
        lambda: layers.Conv2D(5, 3, (2, 1), data_format="channels_first"),
        (3, 3, 6, 5),
    ),
    "conv3d": (lambda: nn.Conv3d(2, 4, 2), lambda: layers.Conv3D(4, 2), (3, 2, 4, 3, 4)),
}


def randomised(unit):
    """Give every weight and statistic a value that is not its start, so that no term can hide."""
    torch.manual_seed(1)
    with torch.no_grad():
        for name, value in unit.state_dict().items():
            if value.is_floating_point():
                value.copy_(torch.rand_like(value) + 0.5 if "running_var" in name else torch.randn_like(value) * 0.5)
    return unit


def both(layer, tmp_path, **options):
    """A unit of each half with the same weights, an input in PyTorch's order, and how to bring values in Keras's."""
    make_torch, make_keras, shape = LAYERS[layer]
    first, second = (
        torch_half.MultiGatedUnit(make_torch(), **options),
        keras_half.MultiGatedUnit(make_keras(), **options),
    )
    moved = first.channel_axis == 1 and second.channel_axis == -1
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    second.build(np.moveaxis(x, 1, -1).shape if moved else shape)
    torch_half.save_weights(randomised(first), tmp_path / "weights")
    keras_half.load_weights(second, tmp_path / "weights")
    return first, second, x, (lambda value: np.moveaxis(value, 1, -1)) if moved else np.asarray


def assert_near(found, expected, tolerance):
    """The largest difference, of the largest value where that is above 1."""
    assert found.shape == tuple(expected.shape)
    assert np.abs(found - expected).max() <= tolerance * max(1.0, np.abs(expected).max())


def assert_one_unit(layer, tmp_path, **options):
    """Output and gradients by the input and each weight, in training, and in evaluation with the running statistics
    that it has moved."""
    first, second, x, order = both(layer, tmp_path, **options)
    entries = {id(entry.variable): entry for entry in keras_entries(second)}
    for training in (True, False):
        tensor = torch.from_numpy(x).requires_grad_()
        first.train(training).zero_grad()
        output = first(tensor)
        cotangent = np.random.default_rng(1).normal(size=output.shape).astype("float32")
        (output * torch.from_numpy(cotangent)).sum().backward()
        found, (of_x, *of_weights) = keras_backend.gradients(second, order(x), order(cotangent), training)
        assert_near(found, order(output.detach().numpy()), OUTPUT)
        assert_near(of_x, order(tensor.grad.numpy()), GRADIENT)
        weights = {name: value.grad for name, value in first.named_parameters()}
        assert len(weights) == len(of_weights)
        for variable, gradient in zip(second.trainable_variables, of_weights, strict=True):
            expected, found = weights[entries[id(variable)].name], entries[id(variable)].there(gradient)
            assert_near(found, np.zeros(found.shape) if expected is None else expected.numpy(), GRADIENT)


#: The layers of each of Keras's classes, by the first part of their names.
FAMILIES = [list(names) for _, names in itertools.groupby(LAYERS, lambda name: name.split("-")[0])]
KINDS = tuple(keras_half.GATES)
JAX = keras.backend.backend() == "jax"


def form_of(i, j):
    return tuple(FORMS)[(i + j) % 2]


#: Every layer with every kind of gates, and of each family every kind in both forms: they alternate where it has
#: several layers. JAX compiles for every shape: there every family has every kind in one form, with as many of its
#: layers as there are kinds.
CASES = [
    (layer, gates, form)
    for layers_of in FAMILIES
    for i, layer in enumerate(layers_of)
    for j, gates in enumerate(KINDS)
    for form in (FORMS if len(layers_of) == 1 else [form_of(i, j)])
]
ON_JAX = [
    (layers_of[j % len(layers_of)], gates, form_of(i, j))
    for i, layers_of in enumerate(FAMILIES)
    for j, gates in enumerate(KINDS)
]
#: A third of other cases, on JAX.
SHARE = 3 if JAX else 1


def test_the_cases_are_whole():
    whole = set(itertools.product(("linear", "conv1d", "conv2d", "conv3d"), KINDS, FORMS))
    assert {(layer.split("-")[0], gates, form) for layer, gates, form in CASES} == whole
    assert {case[:2] for case in CASES} == set(itertools.product(LAYERS, KINDS))
    on_jax = [(layer.split("-")[0], gates, form) for layer, gates, form in ON_JAX]
    assert {case[:2] for case in on_jax} == {case[:2] for case in whole}
    assert {case[1:] for case in on_jax} == {case[1:] for case in whole}


@pytest.mark.parametrize(("layer", "gates", "form"), ON_JAX if JAX else CASES)
def test_every_layer_with_every_kind_of_gates(layer, gates, form, tmp_path):
    assert_one_unit(layer, tmp_path, gates=gates, form=form, bypass="replica")


@pytest.mark.parametrize("layer", [name for name in LAYERS if not JAX or name not in {case[0] for case in ON_JAX}])
def test_every_layer_with_a_shortcut(layer, tmp_path):
    assert_one_unit(layer, tmp_path)


@pytest.mark.parametrize("layer", ["linear", "conv2d", "conv3d"])
def test_a_bypass_with_a_norm(layer, tmp_path):
    assert_one_unit(layer, tmp_path, bypass="normed")


@pytest.mark.parametrize("residual_gate", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_forms(form, residual_gate, tmp_path):
    assert_one_unit("conv1d", tmp_path, form=form, residual_gate=residual_gate)


@pytest.mark.parametrize("activation", [name for name in keras_half.ACTIVATIONS if name != "selu"])
def test_activations(activation, tmp_path):
    assert_one_unit("linear", tmp_path, activation=activation)


@pytest.mark.parametrize(
    ("processors", "layer"),
    list(itertools.product([*[(name,) for name in PROCESSORS], tuple(PROCESSORS)], ["linear-rank4", "conv2d-first"]))[
        ::SHARE
    ],
)
def test_processors(processors, layer, tmp_path):
    assert_one_unit(layer, tmp_path, processors=processors)


def test_the_halves_have_the_same_names():
    assert list(keras_half.GATES) == list(torch_half.GATES)
    assert list(keras_half.ACTIVATIONS) == list(torch_half.ACTIVATIONS)
    assert keras_half.OPERATIONS.keys() == torch_half.OPERATIONS.keys()
    assert list(BYPASSES) == ["replica", "normed", "shortcut"]
    assert {*keras_half.__all__} - {"GateHistory", "GateWarning"} <= {*torch_half.__all__}


def test_sharpness(tmp_path):
    first, second, x, order = both("conv2d", tmp_path)
    first.sharpness = second.sharpness = 3.0
    with torch.no_grad():
        expected = first.eval()(torch.from_numpy(x))
    assert_near(keras_backend.output(second, order(x)), order(expected.numpy()), OUTPUT)


@pytest.mark.parametrize(
    ("layer", "bypass", "gates"),
    list(zip(LAYERS, itertools.cycle(BYPASSES), itertools.cycle(keras_half.GATES), strict=False)),
)
def test_weights_go_there_and_back_to_the_last_bit(layer, bypass, gates, tmp_path):
    options = {"bypass": bypass, "gates": gates, "processors": ("rms_norm", "squeeze_excite")}
    first, second, _, _ = both(layer, tmp_path, **options)
    keras_half.save_weights(second, tmp_path / "back")
    third = torch_half.MultiGatedUnit(LAYERS[layer][0](), **options)
    torch_half.load_weights(third, tmp_path / "back")
    for name, value in first.state_dict().items():
        assert torch.equal(third.state_dict()[name], value), name


@pytest.mark.parametrize(
    ("options", "other", "message"),
    [
        ({}, {"form": "equations"}, "the chain of the unit is"),
        ({"processors": ("rms_norm",)}, {}, "the chain of the unit is"),
        ({}, {"gates": "squeeze"}, "gates.squeeze.weight is missing there"),
        ({"gates": "replica"}, {}, "gates.logits is missing there"),
        ({"bypass": "normed"}, {"bypass": "replica"}, r"operations.bypass.weight is missing there"),
    ],
)
def test_weights_of_another_unit_are_refused(options, other, message, tmp_path):
    torch_half.save_weights(torch_half.MultiGatedUnit(nn.Linear(5, 7), **options), tmp_path / "weights")
    unit = keras_half.MultiGatedUnit(layers.Dense(7), **other)
    unit.build((None, 5))
    with pytest.raises(InputError, match=message):
        keras_half.load_weights(unit, tmp_path / "weights")


def test_same_padding_that_is_another_in_each_half_is_refused(tmp_path):
    """Six positions and a stride of 2: TensorFlow pads behind only, PyTorch both sides."""
    torch_half.save_weights(torch_half.MultiGatedUnit(nn.Conv1d(3, 4, 3, 2, padding=1)), tmp_path / "weights")
    unit = keras_half.MultiGatedUnit(layers.Conv1D(4, 3, 2, padding="same"))
    unit.build((None, 6, 3))
    with pytest.raises(InputError, match=r"'padding': \[\[1, 1\]\].* there and .*'padding': \[\[0, 1\]\]"):
        keras_half.load_weights(unit, tmp_path / "weights")


@pytest.mark.parametrize("content", [None, b"", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_what_is_no_file_of_weights(content, tmp_path):
    if content is not None:
        (tmp_path / "weights").write_bytes(content)
    unit = keras_half.MultiGatedUnit(layers.Dense(7))
    with pytest.raises(InputError, match="has no weights yet"):
        keras_half.load_weights(unit, tmp_path / "weights")
    unit.build((None, 5))
    with pytest.raises(InputError, match="no weights can be read here"):
        keras_half.load_weights(unit, tmp_path / "weights")


@pytest.mark.parametrize("gates", keras_half.GATES)
def test_what_is_not_drawn_starts_as_in_the_other_half(gates):
    make_torch, make_keras, shape = LAYERS["conv2d-kept"]
    start = torch_half.MultiGatedUnit(make_torch(), gates=gates, processors=("rms_norm",)).state_dict()
    unit = keras_half.MultiGatedUnit(make_keras(), gates=gates, processors=("rms_norm",))
    unit.build((None, *shape[2:], shape[1]))
    compared = set()
    for entry in keras_entries(unit):
        found = entry.there(keras_backend.to_numpy(entry.variable.value))
        drawn = np.ptp(found) > 0 and not entry.name.endswith(("bias", "logits"))
        if not drawn and ".linear." not in entry.name:
            assert np.array_equal(found, start[entry.name].numpy()), entry.name
            compared.add(entry.name)
    assert len(compared) == {"replica": 17, "depthwise": 13, "squeeze": 14, "channel": 12}[gates]
