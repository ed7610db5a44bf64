"""The compiled kernel against the same unit in float64, which runs torch's own operations; where it is used and not."""

import copy
import os
import subprocess
import sys
from contextlib import contextmanager
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import reference
from kernels import ACTIVATIONS, assert_agrees, randomised, run
from mgu.torch import MultiGatedUnit, fused, tail
from mgu.wiring import FORMS, NORMS, gates, harden

KINDS = ["channel", "squeeze"]
pytestmark = pytest.mark.skipif(not fused.available(), reason=f"no kernel: {fused.why_not()}")


@contextmanager
def counted():
    """Counts the calls of the kernel."""
    with mock.patch.object(fused, "tail", wraps=tail.tail) as calls:
        yield calls


def assert_kernel_agrees(unit, x, calls=1):
    twin = copy.deepcopy(unit).double()
    with counted() as counter:
        expected = run(twin, x.double())
        assert counter.call_count == 0
        found = run(unit, x)
        assert counter.call_count == calls
    assert_agrees(found, expected)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None, derandomize=True)  # a slope that jumps may fall on either side of 0
@given(
    data=st.data(),
    axes=st.integers(0, 3),
    batch=st.integers(1, 5),
    outputs=st.integers(1, 70),
    residual_gate=st.booleans(),
    form=st.sampled_from(sorted(FORMS)),
)
def test_values_gradients_and_statistics_are_those_of_float64(kind, data, axes, batch, outputs, residual_gate, form):
    positions = data.draw(st.lists(st.integers(1, 6), min_size=axes, max_size=axes or 3))
    if axes:
        layer, shape = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[axes - 1](3, outputs, 1), (batch, 3, *positions)
    else:
        layer, shape = nn.Linear(3, outputs), (batch, *positions, 3)
    unit = randomised(MultiGatedUnit(layer, gates=kind, residual_gate=residual_gate, form=form))
    x = torch.randn(shape, generator=torch.Generator().manual_seed(outputs))
    one_row = x.numel() == 3
    assert_kernel_agrees(unit, x, calls=0 if one_row else 1)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_with_any_two_gates_decided(form, kind):
    for decision in reference.decisions(gates(FORMS[form])):
        for left in list(decision)[:3]:
            unit = randomised(MultiGatedUnit(nn.Conv2d(2, 5, 2), gates=kind, form=form))
            unit.chain = harden(unit.chain, {name: side for name, side in decision.items() if name in (left, "skip")})
            twin = copy.deepcopy(unit).double()
            x = torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(0))
            assert_agrees(run(unit, x), run(twin, x.double()))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("residual", ["norm", "sum"])
def test_with_the_norm_and_the_residual_decided(norm, residual):
    unit = randomised(MultiGatedUnit(nn.Conv2d(2, 5, 2)))
    unit.chain = harden(unit.chain, {**NORMS[norm], "residual": residual})
    x = torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    assert_kernel_agrees(unit, x, calls=0 if norm == "no_norm" else 1)


@pytest.mark.parametrize("groups", [1, 6])
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda module: type(module).__name__)
def test_every_activation_over_a_wide_range(activation, groups):
    torch.manual_seed(0)
    inputs = [torch.randn(6, 70, 19) * 20, torch.randn(6, 70, 19), torch.rand(5, groups, 19), torch.randn(6, 19)]
    grad, eps = torch.randn(6, 70, 19), (1e-3, 2e-3, 3e-3)
    known = tail.ACTIVATIONS[type(activation)](activation)
    found = [value.clone().requires_grad_() for value in inputs]
    expected = [value.double().requires_grad_() for value in inputs]
    output, moments, _ = tail.tail(*found, known, eps)
    output.backward(grad)
    wanted = equations(*expected, activation, eps)
    wanted.backward(grad.double())
    z = activation(inputs[0].double()).flatten(0, 1)
    rows = inputs[0].double().flatten(0, 1)
    statistics = torch.stack([rows.mean(0), rows.var(0, correction=0), z.mean(0), z.var(0, correction=0)])
    torch.testing.assert_close(moments, statistics, rtol=1e-6, atol=1e-5)
    for a, b in zip([output, *(v.grad for v in found)], [wanted, *(v.grad for v in expected)], strict=True):
        torch.testing.assert_close(a.double(), b, rtol=0, atol=3e-6 * b.abs().max().item())


def equations(layer, bypass, weights, norms, activation, eps):
    c = weights.unsqueeze(2)
    w1, b1, w2, b2, w3, b3 = norms
    z = activation(layer)
    x1, x2, x3 = (
        (v - v.mean(d, True)) / (v.var(d, correction=0, keepdim=True) + e).sqrt()
        for v, d, e in zip((layer, z, z), ((0, 1), (0, 1), -1), eps, strict=True)
    )
    return c[0] * activation(w1 * x1 + b1) + c[1] * (w2 * x2 + b2) + c[2] * (w3 * x3 + b3) + c[3] * z + c[4] * bypass


def test_statistics_of_values_far_from_zero_do_not_cancel():
    torch.manual_seed(0)
    layer = torch.randn(2000, 9) + torch.linspace(-1e4, 1e4, 9)
    layer[0] = 3e4  # nor do they depend on the first row
    known = tail.ACTIVATIONS[nn.Identity](nn.Identity())
    _, moments, _ = tail.tail(layer, layer, torch.ones(5, 1, 9), torch.ones(6, 9), known, (1e-3,) * 3)
    torch.testing.assert_close(moments[0], layer.double().mean(0), rtol=1e-6, atol=1e-4)
    torch.testing.assert_close(moments[1], layer.double().var(0, correction=0), rtol=1e-5, atol=0)


def test_a_nan_stays_one():
    for activation in ("selu", "relu", "tanh", "silu", "gelu"):
        unit = MultiGatedUnit(nn.Linear(3, 5), activation)
        x = torch.randn(6, 3)
        x[2, 1] = float("nan")
        with counted() as calls:
            assert unit(x).isnan().all()
        assert calls.call_count == 1


@pytest.mark.parametrize("groups", [1, 7])
def test_the_number_of_threads_changes_nothing(groups):
    torch.manual_seed(0)
    inputs = [torch.randn(7, 500, 33), torch.randn(7, 500, 33), torch.rand(5, groups, 33), torch.randn(6, 33)]
    assert inputs[0].numel() > 3 * tail.GRAIN
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            leaves = [value.clone().requires_grad_() for value in inputs]
            output, moments, _ = tail.tail(*leaves, tail.ACTIVATIONS[nn.SELU](nn.SELU()), (1e-3,) * 3)
            output.square().sum().backward()
            results.append([output.detach(), moments, *(leaf.grad for leaf in leaves)])
    finally:
        torch.set_num_threads(before)
    for result in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(result, results[0], strict=True))


def test_without_gradients_of_the_layer_the_rest_is_as_before():
    unit = randomised(MultiGatedUnit(nn.Linear(3, 5).requires_grad_(False)))
    assert_kernel_agrees(unit, torch.randn(8, 3, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("shape", [(1, 3), (4, 3, 5, 5)], ids=str)
def test_running_statistics_are_those_of_torch(shape):
    layer = nn.Linear(3, 4) if len(shape) == 2 else nn.Conv2d(3, 4, 3)
    unit = randomised(MultiGatedUnit(layer))
    norm = copy.deepcopy(unit.operations["bn"])
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    norm(layer(x))
    unit(x)
    for name, value in norm.named_buffers():
        torch.testing.assert_close(dict(unit.operations["bn"].named_buffers())[name], value)


@pytest.mark.parametrize(
    "unit",
    [
        lambda: MultiGatedUnit(nn.Linear(3, 4)).eval(),
        lambda: MultiGatedUnit(nn.Linear(3, 4), gates="replica", form="equations"),
        lambda: MultiGatedUnit(nn.Linear(3, 4), gates="depthwise"),
        lambda: MultiGatedUnit(nn.Linear(3, 4), nn.Softplus()),
        lambda: MultiGatedUnit(nn.Linear(3, 4), nn.PReLU()),
        lambda: MultiGatedUnit(nn.Linear(3, 4), nn.GELU("tanh")),
    ],
    ids=["eval", "replica", "depthwise", "softplus", "prelu", "gelu of another formula"],
)
def test_units_that_it_does_not_take(unit):
    with counted() as calls:
        assert unit()(torch.randn(5, 2, 3)).isfinite().all()
    assert calls.call_count == 0


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")  # torch's forward mode
def test_hooks_autocast_and_function_transforms_still_work():
    unit, x = MultiGatedUnit(nn.Linear(3, 4), gates="channel"), torch.randn(6, 3)
    seen = []
    with counted() as calls:
        hook = unit.operations["bn"].register_forward_hook(lambda *arguments: seen.append(arguments))
        unit(x)
        hook.remove()
        with torch.autocast("cpu", torch.bfloat16):
            unit(x)

        def loss(weights, buffers):
            return torch.func.functional_call(unit, (weights, buffers), (x,)).square().sum()

        torch.func.grad(loss)(dict(unit.named_parameters()), dict(unit.named_buffers()))
        with torch.autograd.forward_ad.dual_level():
            unit(torch.autograd.forward_ad.make_dual(x, torch.ones_like(x)))
        assert calls.call_count == 0
        unit(x)
    assert calls.call_count == 1
    assert len(seen) == 1


def test_a_bypass_of_another_memory_layout():
    unit = randomised(MultiGatedUnit(nn.Conv2d(1, 6, 3), gates="channel"))  # one channel: the layouts cannot be told
    x = torch.randn(3, 1, 7, 7, generator=torch.Generator().manual_seed(0))
    assert_kernel_agrees(unit, x)
    assert unit(x).is_contiguous(memory_format=torch.channels_last)


@pytest.fixture
def fresh():
    tail.library.cache_clear()
    yield
    tail.library.cache_clear()


@pytest.mark.usefixtures("fresh")
def test_without_a_compiler_torch_does_it(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    assert not fused.available()
    assert fused.why_not() == "no C compiler was found: $CC, cc, gcc, clang"
    unit = randomised(MultiGatedUnit(nn.Conv2d(2, 5, 2)))
    assert_kernel_agrees(unit, torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(0)), calls=0)


@pytest.mark.usefixtures("fresh")
def test_a_compiler_that_fails_is_as_good_as_none(monkeypatch, tmp_path):
    compiler = tmp_path / "cc"
    compiler.write_text('#!/bin/sh\n[ "$1" = --version ] || { echo "no such flag" >&2; exit 1; }\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    assert not fused.available()
    assert fused.why_not().endswith("failed: no such flag")


@pytest.mark.usefixtures("fresh")
def test_a_cache_that_cannot_be_written_is_done_without(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MGU_CACHE", str(tmp_path / "file"))
    assert fused.available()


@pytest.mark.usefixtures("fresh")
def test_a_damaged_library_is_made_anew(monkeypatch, tmp_path):
    monkeypatch.setenv("MGU_CACHE", str(tmp_path / "whole"))
    assert fused.available()
    (whole,) = (tmp_path / "whole" / "native").iterdir()
    monkeypatch.setenv("MGU_CACHE", str(tmp_path / "damaged"))
    damaged = tmp_path / "damaged" / "native" / whole.name
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"not a library")
    tail.library.cache_clear()
    assert fused.available()
    assert damaged.read_bytes()[:4] == whole.read_bytes()[:4] == b"\x7fELF"


def test_two_processes_may_compile_at_once(tmp_path):
    script = (
        "import torch; from mgu.torch import fused; print(fused.available(), (torch.tensor(1e-38) * 0.1).item() > 0)"
    )
    environment = {**os.environ, "MGU_CACHE": str(tmp_path)}
    command = [sys.executable, "-c", script]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(2)]
    answers = [process.communicate()[0] for process in running]
    assert answers == ["True True\n"] * 2  # and denormal numbers are still there
    assert [file.suffix for file in (tmp_path / "native").iterdir()] == [".so"]


def test_a_network_learns_the_same_with_and_without():
    torch.manual_seed(0)
    layers = [MultiGatedUnit(nn.Conv2d(1, 8, 3)), MultiGatedUnit(nn.Conv2d(8, 12, 3)), nn.Flatten(), nn.Linear(192, 3)]
    network = nn.Sequential(*layers)
    x, y = torch.randn(32, 1, 8, 8), torch.randint(3, (32,))
    losses = []
    for dtype in (torch.float32, torch.float64):
        model = copy.deepcopy(network).to(dtype)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        for _ in range(8):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x.to(dtype)), y)
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
