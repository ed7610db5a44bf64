"""The table of a network: its weights against torch's own counts, its gates against their values."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mgu.hardening import decided
from mgu.spaces import load_space
from mgu.summary import PARTS
from mgu.torch import GATES, MultiGatedUnit, build_network, count_weights, summary
from mgu.torch.explain import gate_means
from mgu.wiring import FORMS, PRIORS


def perturbed(model):
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))
    return model


def numbers(*modules):
    return sum(p.numel() for module in modules for p in module.parameters())


@given(
    kind=st.sampled_from(list(GATES)),
    form=st.sampled_from(list(FORMS)),
    bypass=st.sampled_from(["shortcut", "normed", "replica"]),
    processors=st.sets(st.sampled_from(["rms_norm", "group_norm", "squeeze_excite"])),
    channels=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    bias=st.booleans(),
)
def test_the_parts_are_those_that_torch_counts(kind, form, bypass, processors, channels, bias):
    layer = nn.Conv1d(*channels, 3, padding=1, bias=bias)
    options = {"gates": kind, "form": form, "bypass": bypass, "processors": sorted(processors)}
    unit = MultiGatedUnit(layer, nn.PReLU(), **options)
    (row,) = summary(unit).rows
    norms = [m for name, m in unit.operations.items() if "norm" in type(m).__name__.lower() and name != "bypass"]
    statistics = 2 * channels[1]  # a batch norm's
    assert row.weights["layer"] == numbers(layer)
    assert row.weights["norms"] == numbers(*norms) + 2 * statistics
    assert row.weights["gates"] == numbers(unit.gates)
    assert row.weights["bypass"] == numbers(unit.operations["bypass"]) + statistics * (bypass == "normed")
    assert sum(row.weights.values()) == count_weights(unit)
    assert summary(unit).trained == numbers(unit)
    assert (row.kind, list(row.means)) == (kind, list(unit.gate_names))
    assert row.layer == f"Conv1d({channels[0]}, {channels[1]})"


@pytest.mark.parametrize("model_name", ["DIG_001", "DIG_008", "DIG_MGU_001"])
def test_a_whole_network_is_counted_as_keras_counts(model_name):
    network = build_network(load_space("digits").models()[model_name], (1, 8, 8), 10)
    found = summary(network)
    assert (found.weights, found.trained) == (count_weights(network), numbers(network))
    assert [row.name for row in found.rows] == ["layer_1", "layer_2", "layer_3", "layer_4", "readout"]
    assert [bool(row.kind) for row in found.rows] == ["MGU" in model_name] * 4 + [False]
    assert found.rows[-1].weights == {"layer": numbers(network.readout)}


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("bias", [True, False])
def test_without_inputs_a_gate_says_its_bias_and_with_them_its_mean(kind, bias):
    model = perturbed(nn.Sequential(MultiGatedUnit(nn.Conv1d(2, 4, 3, bias=bias), gates=kind)))
    model[0].sharpness = 2.0
    nothing = torch.zeros(1, 2, 5)
    if kind == "squeeze":
        with torch.no_grad():
            model[0].gates.squeeze.bias.zero_()  # then zeros give the bias alone, as in all other kinds
    (row,) = summary(model).rows
    expected = {gate: torch.sigmoid(v).mean().item() for gate, v in model[0].gate_logits(nothing).items()}
    assert row.means == pytest.approx(expected, rel=1e-5)
    x = torch.randn(6, 2, 7)
    assert summary(model, x).rows[0].means == pytest.approx(gate_means(model, x)["0"])


def test_shared_weights_count_once_frozen_ones_are_not_trained_and_decided_gates_are_gone():
    shared = nn.Linear(4, 4)
    model = nn.ModuleDict({"a": shared, "unit": MultiGatedUnit(nn.Linear(4, 4)), "b": nn.Sequential(shared)})
    model["tied"] = nn.Linear(4, 4)
    model["tied"].weight = shared.weight
    shared.bias.requires_grad_(False)
    with decided(model["unit"], {"skip": "residual"}):
        found = summary(model)
    assert [(row.name, sum(row.weights.values())) for row in found.rows if not row.kind] == [("a", 20), ("tied", 4)]
    assert (found.weights, found.trained) == (count_weights(model), numbers(model) - 4)
    assert list(found.rows[1].means) == ["bn_order", "bn_ln", "norm", "residual"]


def test_the_text_has_every_figure_in_its_column():
    unit = MultiGatedUnit(nn.Linear(3, 3), processors=["rms_norm"])
    model = nn.Sequential(unit, nn.ReLU(), nn.Linear(3, 2000))
    found = summary(model)
    header, first, second, total, counts, *legend = found.text().splitlines()
    columns = header.split()
    parts = [part for part in PARTS if part in columns]
    assert parts == ["layer", "norms", "gates"]  # no bypass, no other: they have no weights here
    assert columns == ["unit", *parts, "kind", *unit.gate_names]
    at = {part: header.index(part) + len(part) for part in parts}
    end = f"{1 / (1 + math.exp(-PRIORS['plain'])):.2f}"
    assert first.split()[:3] == ["0", "Linear(3,", "3)"]
    assert [int(first[: at[part]].split()[-1]) for part in parts] == [12, 33, 18]
    assert first.split()[6:] == ["channel", "0.50", end, end, end, end, "0.02"]
    assert second.split() == ["2", "Linear(3,", "2000)", "8,000"]
    assert total.split() == ["total", "8,012", "33", "18"]
    assert counts == f"1 unit, {count_weights(model):,} weights, {numbers(model):,} of them trained"
    assert "  with_rms_norm: 1 is No-RMSNorm, 0 is RMSNorm" in legend
    assert repr(found) == found.text()
    assert found._repr_html_() == f"<pre>{found.text().replace(chr(39), '&#x27;')}</pre>"
    assert "kind" not in summary(nn.Linear(2, 2)).text()
