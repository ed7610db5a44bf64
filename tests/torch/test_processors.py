"""The further processors on their own, in a unit, and one of a user's own as the documentation shows it."""

import contextlib
import copy
import re
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

import reference
from mgu.errors import InputError
from mgu.torch import OPERATIONS, MultiGatedUnit, explain, harden
from mgu.torch.gates import mix
from mgu.torch.layers import Wrapped
from mgu.wiring import PROCESSORS, Processor, evaluate

ALL = ("rms_norm", "group_norm", "instance_norm", "squeeze_excite")
DOCUMENTED = Path(__file__).parents[2] / "docs" / "unit.md"


def test_every_processor_is_tested_here_and_has_an_operation():
    assert set(ALL) == PROCESSORS.keys()
    assert PROCESSORS.keys() <= OPERATIONS.keys()


def shapes(draw, channels, channel_axis):
    positions = draw(st.lists(st.integers(1, 4), max_size=3))
    batch = draw(st.integers(1, 3))
    return (batch, channels, *positions) if channel_axis == 1 else (batch, *positions, channels)


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=60, deadline=None)
@given(data=st.data(), channels=st.integers(1, 40), channel_axis=st.sampled_from([1, -1]))
def test_a_processor_is_its_equations_on_any_shape(name, data, channels, channel_axis):
    shape = shapes(data.draw, channels, channel_axis)
    wrapped = Wrapped(nn.Identity(), channels, channels, channel_axis)
    module = OPERATIONS[name](wrapped, nn.Identity()).double()
    assume(np.prod(shape[1:]) > getattr(module, "groups", 0))
    rng = np.random.default_rng(0)
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(torch.from_numpy(rng.normal(size=weight.shape)))
    x = rng.normal(size=shape)
    weights = {key: value.numpy() for key, value in module.state_dict().items()}
    expected = {**reference.NORMS, **reference.RECALIBRATIONS}[name](x, weights, channel_axis)
    np.testing.assert_allclose(module(torch.from_numpy(x)).detach().numpy(), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("channels", "width"), [(8, 4), (64, 4), (65, 4), (80, 5), (256, 16)])
def test_squeeze_excite_is_a_sixteenth_wide_and_at_least_4(channels, width):
    module = OPERATIONS["squeeze_excite"](Wrapped(nn.Identity(), channels, channels, 1), nn.Identity())
    assert module.squeeze.weight.shape == (width, channels)
    assert module.excite.weight.shape == (channels, width)


@pytest.mark.parametrize(("channels", "groups"), [(1, 1), (6, 6), (8, 8), (12, 6), (32, 8), (36, 6), (41, 1)])
def test_group_norm_has_the_largest_divisor_up_to_8(channels, groups):
    module = OPERATIONS["group_norm"](Wrapped(nn.Identity(), channels, channels, 1), nn.Identity())
    assert module.groups == groups


@pytest.mark.parametrize(
    ("layer", "shape", "name"),
    [
        (nn.Linear(3, 16), (4, 3), "instance_norm"),
        (nn.Conv2d(3, 16, 3), (4, 3, 3, 3), "instance_norm"),
        (nn.Linear(3, 8), (4, 3), "group_norm"),
        (nn.Conv1d(3, 7, 2), (1, 3, 2), "group_norm"),
    ],
)
def test_what_has_no_variance_is_refused_in_words(layer, shape, name):
    unit = MultiGatedUnit(layer, processors=(name,))
    for training in (True, False):
        with pytest.raises(
            InputError, match=r"Norm: values of shape .* one value in each of the \d+ groups of channels"
        ):
            unit.train(training)(torch.randn(shape))


def everything(gates="squeeze"):
    torch.manual_seed(0)
    return MultiGatedUnit(nn.Conv2d(3, 16, 3), gates=gates, prior="neutral", processors=ALL)


@pytest.mark.parametrize("name", ALL)
def test_with_its_gate_open_a_unit_is_as_without_the_processor(name):
    certain = {"prior": [60, 60, 60, 60, -60], "gates": "channel"}
    unit = MultiGatedUnit(nn.Conv2d(3, 16, 3), **certain)
    position = 2 if name != "squeeze_excite" else 3
    certain["prior"] = [*certain["prior"][:position], 60, *certain["prior"][position:]]
    other = MultiGatedUnit(nn.Conv2d(3, 16, 3), processors=(name,), **certain)
    own = unit.state_dict()
    missing = other.load_state_dict({key: own[key] for key in own if "gates" not in key}, strict=False).missing_keys
    assert all("gates" in key or name in key for key in missing)
    x = torch.randn(4, 3, 6, 6)
    torch.testing.assert_close(other(x), unit(x))


def test_state_dict_round_trip_and_meta_device():
    x = torch.randn(3, 3, 6, 6)
    unit = everything().eval()
    with torch.device("meta"):
        ghost = everything().eval()
    assert all(value.is_meta for value in [*ghost.parameters(), *ghost.buffers()])
    assert ghost(torch.empty(2, 3, 6, 6, device="meta")).shape == (2, 16, 4, 4)
    ghost.to_empty(device="cpu").load_state_dict(unit.state_dict(), strict=True)
    torch.testing.assert_close(ghost(x), unit(x), rtol=0, atol=0)
    torch.testing.assert_close(copy.deepcopy(unit)(x), unit(x), rtol=0, atol=0)


@pytest.fixture
def compiler():
    """torch.compile as if nothing had been compiled, so that shapes of one test are not taken for changing ones."""
    torch.compiler.reset()
    yield torch.compile
    torch.compiler.reset()


@pytest.mark.parametrize("gates", ["replica", "squeeze"])
def test_it_compiles_as_one_graph(gates, compiler):
    unit, x = everything(gates), torch.randn(8, 3, 7, 7)
    compiled = compiler(copy.deepcopy(unit), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), unit(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("gates", ["replica", "squeeze"])
def test_autocast_and_channels_last_agree_with_plain_float32(gates):
    unit, x = everything(gates), torch.randn(8, 3, 7, 7)
    expected = unit(x)
    with torch.autocast("cpu", torch.bfloat16):
        half = unit(x)
    half.sum().backward()
    torch.testing.assert_close(half.float(), expected, rtol=0.1, atol=0.1)
    last = unit.to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last))
    assert last.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(last, expected, rtol=1e-4, atol=1e-5)


def test_explain_says_what_the_gates_are_between():
    network = nn.Sequential(everything(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    found = explain(network, [(torch.randn(4, 3, 6, 6), torch.arange(4))])
    lines = found.text().splitlines()
    rules = [line for line in lines if line.startswith("Gate rule")]
    assert rules[2:] == [
        "Gate rule: `gate * No-RMSNorm + (1 - gate) * RMSNorm`",
        "Gate rule: `gate * No-GroupNorm + (1 - gate) * GroupNorm`",
        "Gate rule: `gate * No-InstanceNorm + (1 - gate) * InstanceNorm`",
        "Gate rule: `gate * Norming + (1 - gate) * No-norming`",
        "Gate rule: `gate * No-SE + (1 - gate) * SE`",
        "Gate rule: `gate * No-residual + (1 - gate) * Residual`",
        "Gate rule: `gate * Bypass + (1 - gate) * Processed`",
    ]
    assert "Analysing 'Gate6 - any norm or no norming at all'" in lines
    assert "Analysing 'Gate7 - as it is or recalibrated by squeeze-and-excitation'" in lines
    assert all(gate.loss_open != gate.loss_closed for gate in found.units[0].gates)


@contextlib.contextmanager
def own_processors():
    """The registries, as before afterwards."""
    with patch.dict(PROCESSORS), patch.dict(OPERATIONS):
        yield


def documented_example():
    blocks = re.findall(r"^```python\n(.*?)^```", DOCUMENTED.read_text(), re.DOTALL | re.MULTILINE)
    (example,) = [block for block in blocks if "PROCESSORS[" in block]
    return example


def test_the_documented_processor_of_ones_own_runs_explains_itself_and_hardens(capsys):
    torch.manual_seed(0)
    example, names = documented_example(), {}
    with own_processors():
        exec(compile(example, str(DOCUMENTED), "exec"), names)
        stated = re.search(r"print\(unit.gate_names\)  # (.*)", example)[1]
        assert capsys.readouterr().out == f"{stated}\n"
        unit, x = names["unit"].eval(), torch.randn(2, 3, 16, 16)
        with torch.no_grad():
            own = torch.selu(unit.operations["linear"](x))
            own = nn.functional.local_response_norm(own, 5)
            certain = {"with_response_norm": -60.0, "skip": -60.0}
            biases = torch.tensor([certain.get(name, 60.0) for name in unit.gate_names])
            unit.gates.logits.copy_(biases[:, None, None].expand_as(unit.gates.logits))
            torch.testing.assert_close(unit(x), own)
        text = explain(unit, [x]).text()
        assert "Gate rule: `gate * No-response_norm + (1 - gate) * response_norm`" in text
        assert "Gate rule: `gate * Norming + (1 - gate) * No-norming`" in text
        hardened = harden(unit, [(x, own)], loss=nn.functional.mse_loss)
        assert ("with_response_norm", "response_norm") in {(d.gate, d.side) for d in hardened.decisions}
        torch.testing.assert_close(hardened.model(x), own)
        assert any(isinstance(module, nn.LocalResponseNorm) for module in hardened.model.modules())


def test_a_processor_without_an_operation_is_named():
    with own_processors():
        PROCESSORS["forgotten"] = Processor(reads="no_norm", beside="bn_ln")
        with pytest.raises(InputError, match=r"'forgotten' has no module; add one by OPERATIONS\['forgotten'\]"):
            MultiGatedUnit(nn.Linear(3, 4), processors=("forgotten",))


def test_unknown_processors_are_named():
    with pytest.raises(InputError, match=f"unknown processor 'rms'; allowed: {', '.join(ALL)}"):
        MultiGatedUnit(nn.Linear(3, 4), processors=("rms",))
    with pytest.raises(InputError, match="prior has 5 numbers; it needs 6"):
        MultiGatedUnit(nn.Linear(3, 4), processors=("rms_norm",), prior=[1, 2, 3, 4, 5])


@pytest.mark.parametrize("gates", ["channel", "squeeze", "replica"])
@pytest.mark.parametrize("form", ["code", "equations"])
@pytest.mark.parametrize(("reads", "beside"), [("norm", "norm"), ("bn_post", "bn_ln"), ("bn", "bn_ln")])
def test_a_step_is_that_of_the_chain_run_gate_by_gate_statistics_too_whatever_reads_what(gates, form, reads, beside):
    torch.manual_seed(0)
    with own_processors():
        PROCESSORS["tempered"] = Processor(reads=reads, beside=beside)
        OPERATIONS["tempered"] = lambda wrapped, activation: nn.Tanh()
        unit = MultiGatedUnit(nn.Conv2d(3, 8, 3), gates=gates, form=form, prior="neutral", processors=("tempered",))
    twin, x = copy.deepcopy(unit), torch.randn(6, 3, 7, 7)
    logits = twin.gate_logits(x)

    def operate(op, *inputs):
        return twin.operations[op.name](*inputs)

    expected = evaluate(twin.chain, x, operate, lambda gate, *sides: mix(logits[gate.name], 1, *sides))
    torch.testing.assert_close(unit(x), expected, atol=1e-5, rtol=1e-4)
    for (name, found), moved in zip(unit.named_buffers(), twin.buffers(), strict=True):
        torch.testing.assert_close(found, moved, atol=1e-6, rtol=1e-4, msg=name)
