"""Networks that a stranger described: what would take all memory, or all time, is found without either."""

import tracemalloc

import pytest
import torch

from mgu.errors import InputError
from mgu.torch.build import build
from mgu.torch.plain import INPUT, Layer, Network, Step, Value

X = Value(INPUT)


def doubled(op, target, start, times):
    """``times`` steps, each of which does it to what the one before gave, and itself."""
    steps = [Step("v0", op, target, start)]
    return [*steps, *(Step(f"v{i}", op, target, (Value(f"v{i - 1}"), Value(f"v{i - 1}"))) for i in range(1, times))]


AVERAGE = Layer("AdaptiveAvgPool1d", {"output_size": 10**12})

#: Each is a few lines of JSON.
HUGE = {
    "numbers of 2^100 digits": ({}, [*doubled("operator", "mul", (10**9, 10**9), 100)]),
    "tuples of 2^100 entries": ({}, [*doubled("operator", "add", ((1,), (1,)), 100)]),
    "a tuple repeated": ({}, [Step("v0", "operator", "mul", ((0,), 10**11))]),
    "a shape repeated": (
        {},
        [Step("s", "method", "size", (X,)), Step("v0", "operator", "mul", (Value("s"), 10**11))],
    ),
    "a layer that makes terabytes": ({"pool": AVERAGE}, [Step("v0", "layer", "pool", (X,))]),
    "concatenated again and again": (
        {},
        [Step("v0", "function", "torch.cat", ((X, X), 1))]
        + [Step(f"v{i}", "function", "torch.cat", ((Value(f"v{i - 1}"),) * 9, 1)) for i in range(1, 20)],
    ),
    "lengths that only two samples leave small": (
        {},
        [
            Step("s", "method", "size", (X, 0)),
            Step("m", "operator", "sub", (Value("s"), 2)),
            *doubled("operator", "mul", (Value("m"), 5), 60),
        ],
    ),
    "values that are held together": (
        {"pool": Layer("AdaptiveAvgPool1d", {"output_size": 2**26})},
        [Step(f"v{i}", "layer", "pool", (X,)) for i in range(3)]
        + [Step("sum", "operator", "add", (Value("v0"), Value("v1")))]
        + [Step("all", "operator", "add", (Value("sum"), Value("v2")))],
    ),
    "lengths that no memory has": ({}, [Step("v0", "operator", "mul", (2**62, 2**62))]),
}


@pytest.mark.parametrize("case", HUGE)
def test_what_is_huge_is_found_without_memory(case):
    layers, steps = HUGE[case]
    network = Network(layers, tuple(steps), INPUT).checked()
    with pytest.raises(InputError, match="the network does not run"):
        build(network, {}, (3, 8))  # torch has imported what it needs
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="the network does not run"):
            build(network, {}, (3, 8))
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


def test_what_is_not_huge_is_built():
    steps = (Step("s", "method", "size", (X, 0)), Step("v", "method", "view", (X, Value("s"), -1)))
    built = build(Network({}, steps, "v"), {}, (3, 8))
    assert torch.equal(built(torch.ones(4, 3, 8)), torch.ones(4, 24))


def convolution(**settings):
    window = {"kernel_size": 1, "stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": False}
    return {"in_channels": 3, "out_channels": 3, **window, "padding_mode": "replicate"} | settings


WINDOWS = {
    "padding": Layer("Conv1d", convolution(padding=10**10)),
    "kernel_size": Layer(
        "MaxPool1d", {"kernel_size": 10**12, "stride": 1, "padding": 0, "dilation": 1, "ceil_mode": True}
    ),
}


@pytest.mark.parametrize("setting", WINDOWS)
def test_a_window_larger_than_any_is_refused(setting):
    network = Network({"a": WINDOWS[setting]}, (Step("v", "layer", "a", (X,)),), "v")
    with pytest.raises(InputError, match=f"its {setting} is 10000000000.*; at most 65,536 is allowed"):
        network.checked()


def test_what_a_layer_pads_is_counted_too():
    layer = Layer("Conv2d", convolution(padding=2**16, stride=2**16))
    network = Network({"a": layer}, (Step("v", "layer", "a", (X,)),), "v").checked()
    with pytest.raises(InputError, match="the network does not run: a value has"):
        build(network, {"a.weight": torch.ones(3, 3, 1, 1)}, (3, 8, 8))


@pytest.mark.parametrize("dimensions", [(), (0,)])
def test_a_network_gives_a_tensor(dimensions):
    with pytest.raises(InputError, match="one tensor is needed"):
        build(Network({}, (Step("s", "method", "size", (X, *dimensions)),), "s"), {}, (3, 8))


def test_what_does_not_fit_is_said_in_one_line():
    layer = Layer("Linear", {"in_features": 5, "out_features": 2, "bias": False})
    network = Network({"a": layer}, (Step("v", "layer", "a", (X,)),), "v")
    with pytest.raises(InputError, match="the network does not run: a and b must have") as refused:
        build(network, {"a.weight": torch.ones(2, 5)}, (3, 8))
    assert "\n" not in str(refused.value)
