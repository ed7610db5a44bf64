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
    "lengths that no memory has": ({}, [Step("v0", "operator", "mul", (2**62, 2**62))]),
}


@pytest.mark.parametrize("case", HUGE)
def test_what_is_huge_is_found_without_memory(case):
    layers, steps = HUGE[case]
    network = Network(layers, tuple(steps), INPUT).checked()
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
