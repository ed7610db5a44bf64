"""The compiled kernel of gates by position against the same unit in float64; where it is used and where not."""

import copy
from contextlib import contextmanager
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from kernels import ACTIVATIONS, assert_agrees, randomised, run
from mgu.torch import MultiGatedUnit, fused, gated, tail
from mgu.wiring import harden

pytestmark = pytest.mark.skipif(not fused.available(), reason=f"no kernel: {fused.why_not()}")


@contextmanager
def counted():
    """Counts the calls of the kernel."""
    with mock.patch.object(gated._Gated, "apply", wraps=gated._Gated.apply) as calls:
        yield calls


def assert_kernel_agrees(unit, x, calls=1):
    twin = copy.deepcopy(unit).double()
    with counted() as counter:
        expected = run(twin, x.double())
        assert counter.call_count == 0
        found = run(unit, x)
        assert counter.call_count == calls
    assert_agrees(found, expected, tolerance=5e-4)


def unit(layer, activation="selu", **options):
    return randomised(MultiGatedUnit(layer, activation, gates="replica", **{"bypass": "replica", **options}))


def normal(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    data=st.data(),
    axes=st.integers(0, 3),
    batch=st.integers(1, 5),
    outputs=st.integers(1, 70),
    residual_gate=st.booleans(),
    bypass=st.sampled_from(["replica", "normed", "shortcut"]),
    bias=st.booleans(),
)
def test_values_gradients_and_statistics_are_those_of_float64(data, axes, batch, outputs, residual_gate, bypass, bias):
    positions = data.draw(st.lists(st.integers(1, 6), min_size=axes, max_size=axes or 3))
    if axes:
        layer = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[axes - 1](3, outputs, 1, bias=bias)
        x = normal(batch, 3, *positions)
    else:
        layer, x = nn.Linear(3, outputs, bias=bias), normal(batch, *positions, 3)
    made = unit(layer, bypass=bypass, residual_gate=residual_gate)
    assert_kernel_agrees(made, x, calls=0 if x.numel() == 3 else 1)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda module: type(module).__name__)
def test_every_activation(activation):
    assert_kernel_agrees(unit(nn.Conv2d(3, 19, 3), activation), normal(4, 3, 6, 6))


def test_sharper_gates():
    made = unit(nn.Conv2d(3, 5, 3))
    made.sharpness = 2.5
    assert_kernel_agrees(made, normal(4, 3, 6, 6))


def test_one_gate_decided_leaves_the_others_to_the_kernel():
    made = unit(nn.Conv2d(3, 5, 3))
    made.chain = harden(made.chain, {"residual": "sum"})
    assert_kernel_agrees(made, normal(4, 3, 6, 6))


@pytest.mark.parametrize(
    "make",
    [
        lambda: unit(nn.Conv2d(3, 5, 3), form="equations"),
        lambda: unit(nn.Conv2d(3, 5, 3), processors=["rms_norm"]),
        lambda: unit(nn.Conv2d(3, 5, 3), nn.Softplus()),
        lambda: unit(nn.Conv2d(3, 6, 3, groups=3)),
    ],
    ids=["equations", "processor", "softplus", "groups"],
)
def test_units_that_it_does_not_take(make):
    assert_kernel_agrees(make(), normal(4, 3, 6, 6), calls=0)


def test_the_number_of_threads_changes_nothing():
    made, merged = unit(nn.Conv2d(3, 33, 1)), normal(9, 20, 20, 7 * 33)
    assert merged.numel() > 7 * 3 * tail.GRAIN
    blend, slices = made._blends[made.chain[-1].name], ["linear", "bypass"]
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            leaf = merged.clone().requires_grad_()
            rest = (leaf, slices, made.gate_names, 1.0)
            output = gated.gated(blend.parts, blend.between, made.operations, None, *rest)
            output.square().sum().backward()
            results.append([output.detach(), leaf.grad])
    finally:
        torch.set_num_threads(before)
    for result in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(result, results[0], strict=True))


def test_a_nan_stays_one():
    x = normal(6, 3)
    x[2, 1] = float("nan")
    with counted() as calls:
        assert MultiGatedUnit(nn.Linear(3, 5), gates="replica")(x).isnan().all()
    assert calls.call_count == 1
