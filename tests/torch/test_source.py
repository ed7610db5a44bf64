"""The source against the module built from the same data, for every layer of the table and for random graphs."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mgu.torch.build import build
from mgu.torch.plain import INPUT, Layer, Network, Step, Value
from mgu.torch.source import source
from mgu.torch.trace import trace
from mgu.torch.vocabulary import FUNCTIONS, LAYERS, METHODS, OPERATORS
from mgu.torch.vocabulary import settings as layer_settings

CONVOLUTION = {"stride": 2, "padding": 2, "dilation": 2, "groups": 2, "bias": False, "padding_mode": "reflect"}
#: Layers of settings of their own, with the shape of their input.
EXAMPLES = [
    (nn.Linear(4, 3), (4,)),
    (nn.Linear(4, 3, bias=False), (5, 4)),
    *((kind(4, 6, 3, **CONVOLUTION), (4, *[7] * axes)) for axes, kind in enumerate((nn.Conv1d, nn.Conv2d), 1)),
    (nn.Conv3d(4, 4, (1, 2, 3), groups=4, padding=(0, 1, 1), padding_mode="circular"), (4, 5, 5, 5)),
    (nn.Conv2d(4, 4, (1, 3), padding="same", dilation=(1, 2)), (4, 7, 7)),
    (nn.Conv1d(4, 4, 3, padding="valid"), (4, 7)),
    (nn.BatchNorm1d(4, eps=0.001, momentum=0.01), (4,)),
    (nn.BatchNorm2d(4, affine=False, momentum=None), (4, 3, 3)),
    (nn.BatchNorm3d(4), (4, 2, 2, 2)),
    (nn.InstanceNorm1d(4, eps=0.001, affine=True), (4, 5)),
    (nn.InstanceNorm2d(4), (4, 3, 3)),
    (nn.InstanceNorm3d(4, affine=True, track_running_stats=True), (4, 2, 2, 2)),
    (nn.LayerNorm(4, eps=0.001), (5, 4)),
    (nn.LayerNorm((5, 4), bias=False), (5, 4)),
    (nn.LayerNorm(4, elementwise_affine=False), (4,)),
    (nn.RMSNorm(4, eps=0.001), (4,)),
    (nn.RMSNorm(4), (5, 4)),
    (nn.GroupNorm(2, 4, eps=0.001), (4, 5)),
    (nn.GroupNorm(1, 4, affine=False), (4, 3, 3)),
    (nn.AvgPool1d(3, 2, 1, count_include_pad=False), (4, 7)),
    (nn.AvgPool2d((3, 2), ceil_mode=True), (4, 8, 8)),
    (nn.AvgPool3d(2, divisor_override=3), (4, 4, 4, 4)),
    (nn.MaxPool1d(3, 2), (4, 7)),
    (nn.MaxPool2d((2, 3), padding=1, dilation=(2, 1)), (4, 8, 8)),
    (nn.MaxPool3d(2, ceil_mode=True), (4, 5, 5, 5)),
    (nn.AdaptiveAvgPool1d(2), (4, 7)),
    (nn.AdaptiveAvgPool2d((2, None)), (4, 7, 7)),
    (nn.AdaptiveAvgPool3d(1), (4, 3, 3, 3)),
    (nn.Flatten(2), (4, 3, 3)),
    *((kind(0.25), (4, 3)) for kind in (nn.Dropout, nn.AlphaDropout)),
    *((kind(0.25), (4, *[3] * axes)) for axes, kind in enumerate((nn.Dropout1d, nn.Dropout2d, nn.Dropout3d), 1)),
    *((kind(), (4,)) for kind in (nn.Identity, nn.SELU, nn.ReLU, nn.SiLU, nn.Tanh, nn.Sigmoid)),
    (nn.ReLU(inplace=True), (4,)),
    (nn.ELU(alpha=0.5), (4,)),
    (nn.GELU("tanh"), (4,)),
    (nn.LeakyReLU(0.3), (4,)),
    (nn.Softmax(dim=1), (4,)),
]


def from_source(network):
    text = source(network, input_shape=(), dtype="float64", classes=None, weights="w", sha256="0")
    scope = {"__file__": "model.py"}
    exec(compile(text, "model.py", "exec"), scope)
    return scope["Network"]()


def test_every_layer_has_an_example():
    assert {type(layer).__name__ for layer, _ in EXAMPLES} == set(LAYERS)


@pytest.mark.parametrize(("layer", "shape"), EXAMPLES, ids=[repr(layer) for layer, _ in EXAMPLES])
def test_a_layer_comes_back_with_all_its_settings(layer, shape):
    torch.manual_seed(0)
    layer = layer.double().eval()
    with torch.no_grad():
        for weight in layer.state_dict().values():
            weight.copy_(torch.rand(weight.shape) + 0.5)
        network, weights = trace(layer)
        written = from_source(network)
        written.load_state_dict(weights, assign=True)
        x = torch.randn(2, *shape, dtype=torch.float64)
        expected = layer(x.clone())
        for again in (build(Network.from_json(network.to_json()), weights, shape), written.eval()):
            (child,) = again.children()
            assert type(child) is type(layer)
            assert layer_settings(child) == layer_settings(layer)
            assert repr(child) == repr(layer)
            torch.testing.assert_close(again(x.clone()), expected, rtol=0, atol=0)


@st.composite
def graphs(draw):
    """Networks of square (batch, 3, 3) values, each step of which reads any values before it, and x any time."""
    names, steps = [INPUT, "scaled"], [Step("scaled", "layer", "scale", (Value(INPUT),))]
    for number in range(draw(st.integers(1, 12))):
        value, other = (Value(draw(st.sampled_from(names))) for _ in range(2))
        op, target, args = draw(
            st.sampled_from(
                [
                    ("layer", "scale", (value,)),
                    ("method", "transpose", (value, 1, -1)),
                    ("function", "torch.cat", ((value, other), 0)),
                    ("operator", "add", (value, other)),
                    ("operator", "sub", (-1.5, value)),
                    ("function", "torch.tanh", (value,)),
                ]
            )
        )
        if target == "torch.cat":
            name, taken = f"wide_{number}", f"value_{number}"
            steps.append(Step(name, op, target, args))
            steps.append(Step(taken, "operator", "getitem", (Value(name), 0)))
            steps.append(Step(f"{taken}_added", "operator", "add", (value, Value(taken))))
            names.append(f"{taken}_added")
        else:
            steps.append(Step(f"value_{number}", op, target, args))
            names.append(f"value_{number}")
    layers = {"scale": Layer("Linear", {"in_features": 3, "out_features": 3, "bias": True})}
    return Network(layers, tuple(steps), draw(st.sampled_from(names))).checked()


@given(graphs())
@settings(max_examples=150, deadline=None)
def test_a_graph_and_its_source_are_the_same_function(network):
    torch.manual_seed(0)
    weights = {f"scale.{name}": value.double() for name, value in nn.Linear(3, 3).state_dict().items()}
    written = from_source(network)
    written.load_state_dict(weights, assign=True)
    x = torch.randn(2, 3, 3, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(written(x), build(network, weights, (3, 3))(x), rtol=0, atol=0, equal_nan=True)


def test_the_names_in_the_tables_are_those_of_torch():
    for name, function in FUNCTIONS.items():
        assert eval(name, {"torch": torch, "nn": nn}) is function
    assert all(callable(getattr(torch.Tensor, name)) for name in METHODS)
    for function, text in OPERATORS.values():
        assert eval(text.format("[1, 2, 3]" if "[" in text else 7, 2)) == function(
            *(([1, 2, 3], 2) if "[" in text else (7, 2))
        )
