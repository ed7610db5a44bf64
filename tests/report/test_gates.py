"""The pictures of a diagnosis draw its numbers, for every unit and gate that is there, and say so in words."""

import math
import re
import subprocess
import sys
from dataclasses import replace
from xml.etree import ElementTree

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.patches import FancyArrowPatch, Rectangle
from torch import nn

from mgu.diagnosis import Diagnosis, GateReport, UnitReport
from mgu.errors import InputError
from mgu.history import Decision, Epoch
from mgu.report.architecture import architecture_figure, chosen_chains, placed
from mgu.report.gate_panels import effects_figure, epochs_figure
from mgu.report.gates import histograms_figure, means_figure, write_pictures
from mgu.report.plots import figure_svg
from mgu.torch import MultiGatedUnit, explain, harden
from mgu.wiring import FORMS, INPUT, Gate, Op, evaluate, form_chain, gates
from mgu.wiring import harden as harden_chain


def decision(unit, gate, side):
    return Decision(unit, gate, side, certainty=1.0, loss_change=0.0)


def unit(name, *means, losses=True, form="code", residual_gate=True):
    """A unit whose gates have these means, in gate order."""
    chain = form_chain(form, residual_gate=residual_gate)
    reports = [
        GateReport(
            gate.name,
            gate.open,
            gate.closed,
            mean,
            median=mean,
            minimum=0.0,
            maximum=1.0,
            certainty=abs(2 * mean - 1),
            saturated=0.0,
            histogram=(number, 2, 3, 4),
            loss_open=1 + 2 * mean if losses else None,
            loss_closed=1 - mean if losses else None,
        )
        for number, (gate, mean) in enumerate(zip(gates(chain), means, strict=True))
    ]
    return UnitReport(name, (3, 8, 8), tuple(reports), chain)


#: A plain layer, one without the residual gate, one that adds its bypass, and one that is skipped.
NETWORK = Diagnosis(
    (
        unit("one", 0.9, 0.8, 0.7, 0.6, 0.1),
        unit("two", 0.2, 0.3, 0.4, 0.05, residual_gate=False),
        unit("three", 0.1, 0.7, 0.9, 0.2, 0.3),
        unit("four", 0.5, 0.5, 0.5, 0.5, 0.95),
    ),
    loss=1.0,
)
HISTORY = tuple(
    Epoch(i, 1.0, 0.5, 1.0, 0.5, float(i), {"one": {"norm": i / 10, "skip": 0.5}, "two": {"skip": 1 - i / 10}})
    for i in (1, 2, 3)
)


def words(axes):
    return [text.get_text() for text in axes.texts]


def test_histograms_draw_the_counts_and_the_mean_of_each_gate():
    figure = histograms_figure(NETWORK)
    panels = iter(figure.axes)
    for report in NETWORK.units:
        found = {gate.name: gate for gate in report.gates}
        for name in ("bn_order", "bn_ln", "norm", "residual", "skip"):
            axes = next(panels)
            if name not in found:
                assert (words(axes), list(axes.patches)) == (["none"], [])
                continue
            (stairs,) = axes.patches
            assert tuple(stairs.get_data().values) == found[name].histogram
            assert list(stairs.get_data().edges) == [0, 0.25, 0.5, 0.75, 1]
            assert list(axes.get_lines()[0].get_xdata()) == [found[name].mean] * 2
    assert next(panels, None) is None
    assert [axes.get_title() for axes in figure.axes[:5]] == ["bn_order", "bn_ln", "norm", "residual", "skip"]
    assert figure.axes[-1].get_xlabel() == "0 Processed\n1 Bypass"


def test_the_heat_map_has_each_mean_and_the_side_it_is_open_for():
    figure = means_figure(NETWORK)
    axes = figure.axes[0]
    (mesh,) = axes.collections
    names = ["bn_order", "bn_ln", "norm", "residual", "skip"]
    means = [{gate.name: gate.mean for gate in report.gates} for report in NETWORK.units]
    drawn = mesh.get_array().filled(-1).ravel()
    assert drawn == pytest.approx([column.get(name, -1) for name in names for column in means])
    assert (mesh.norm.vmin, mesh.norm.vmax) == (0, 1)
    cells = words(axes)
    assert cells[0] == "0.90\nBN-before-\nactivation"
    assert cells[12:16] == ["0.60\nNo-residual", "none", "0.20\nResidual", "0.50\nResidual"]
    assert cells[16:] == ["0.10\nProcessed", "0.05\nProcessed", "0.30\nProcessed", "0.95\nBypass"]
    assert [label.get_text() for label in axes.get_yticklabels()] == names
    assert [label.get_text() for label in axes.get_xticklabels()] == ["one", "two", "three", "four"]
    assert "residual is open for No-residual in 1 and Residual in 2" in figure.get_label()
    assert "skip is open for Processed in 3 and Bypass in 1" in figure.get_label()


@given(st.floats(0, 1, allow_subnormal=False))  # other tests have them taken for 0
def test_the_words_in_a_cell_can_be_read(mean):
    """WCAG asks for a contrast of 4.5; relative luminance is worked out here from its definition."""

    def luminance(colour):
        return sum(
            weight * (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4)
            for weight, part in zip((0.2126, 0.7152, 0.0722), colour, strict=False)
        )

    axes = means_figure(Diagnosis((unit("one", mean, 0.5, 0.5, 0.5, 0.5),))).axes[0]
    ground = luminance(axes.collections[0].to_rgba([mean])[0])
    ink = {"black": 0.0, "white": 1.0}[axes.texts[0].get_color()]
    assert (max(ground, ink) + 0.05) / (min(ground, ink) + 0.05) >= 4.5


def test_epochs_draw_a_line_a_unit_in_the_panel_of_each_gate():
    figure = epochs_figure((Epoch(0, 1, 0.5, 1, 0.5, 0), *HISTORY), gates(FORMS["code"]))
    norm, skip = figure.axes
    (line,) = norm.get_lines()
    assert (list(line.get_xdata()), list(line.get_ydata())) == ([1, 2, 3], [0.1, 0.2, 0.3])
    one, two = skip.get_lines()
    assert list(one.get_ydata()) == [0.5] * 3
    assert list(two.get_ydata()) == pytest.approx([0.9, 0.8, 0.7])
    assert one.get_color() == line.get_color() != two.get_color()
    assert [label.get_text() for label in norm.get_yticklabels()] == ["No-norming", "½", "Norming"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one", "two"]
    assert "After epoch 3, over the units: norm from 0.30 to 0.30; skip from 0.50 to 0.70." in figure.get_label()


def test_lines_of_many_units_can_be_told_apart():
    means = {f"layer_{i}": {"skip": i / 15} for i in range(15)}
    lines = epochs_figure([Epoch(i, 1, 1, 1, 1, i, means) for i in (1, 2)]).axes[0].get_lines()
    assert len({(line.get_color(), line.get_linestyle(), str(line._dash_pattern)) for line in lines}) == 15


def test_one_epoch_is_visible():
    assert epochs_figure(HISTORY[:1]).axes[0].get_lines()[0].get_marker() == "o"


def test_effects_are_the_losses_less_the_networks_own():
    figure = effects_figure(NETWORK)
    for name, axes in zip(("bn_order", "bn_ln", "norm", "residual", "skip"), figure.axes, strict=True):
        having = [(i, g) for i, report in enumerate(NETWORK.units) for g in report.gates if g.name == name]
        opened, closed = axes.containers
        for bars, side, added in ((opened, -1, lambda mean: 2 * mean), (closed, 1, lambda mean: -mean)):
            assert [bar.get_height() for bar in bars] == pytest.approx([added(gate.mean) for _, gate in having])
            middles = [bar.get_x() + bar.get_width() / 2 for bar in bars]
            assert middles == pytest.approx([i + 0.2 * side for i, _ in having])
    assert figure.axes[0].get_title(loc="left") == "bn_order: open BN-before-activation, closed BN-after-activation"
    assert "The most, +1.9, comes from skip of four switched open." in figure.get_label()


@pytest.mark.parametrize("loss", [math.inf, math.nan])
def test_a_switch_that_breaks_the_network_is_named_and_does_not_crash(loss):
    broken = replace(NETWORK.units[0].gates[1], loss_closed=loss)
    figure = effects_figure(replace(NETWORK, units=(replace(NETWORK.units[0], gates=(broken,)),)))
    assert "comes from bn_ln of one switched closed" in figure.get_label()
    assert words(figure.axes[0]) == [str(loss)]
    ElementTree.fromstring(figure_svg(figure))


def test_sides_that_differ_by_unit_are_not_given_one_name():
    mixed = Diagnosis((unit("a", *[0.9] * 5), unit("b", *[0.9] * 5, form="equations")))
    labels = [axes.get_xlabel() for axes in histograms_figure(mixed).axes[5:]]
    assert labels[0] == labels[4] == "0 closed\n1 open"
    assert labels[1] == "0 LN\n1 BN"


def test_the_chosen_architecture_has_what_remains_of_each_unit():
    figure = architecture_figure(NETWORK)
    (axes,) = figure.axes
    assert words(axes) == [
        *("one", "layer", "batch norm", "activation"),
        *("two", "layer", "activation"),
        *("three", "layer", "bypass", "activation", "batch norm", "+"),
        *("four", "bypass", "the layer is skipped"),
    ]
    arrows = [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
    chains = chosen_chains(NETWORK).values()
    assert len(arrows) == sum(1 + sum(len(node.inputs) for node in chain) for chain in chains)
    assert figure.get_label() == (
        "What the gates chose. one: layer, batch norm, activation. two: layer, activation. "
        "three: layer, activation, batch norm, beside it bypass. four: bypass (the layer is skipped)."
    )


def test_given_decisions_replace_what_the_gates_are_open_for():
    decisions = [decision("one", "skip", "residual"), decision("one", "residual", "norm")]
    decisions += [decision("one", "norm", "no_norm"), decision("four", "skip", "bypass")]
    found = chosen_chains(NETWORK, iter(decisions))
    assert [node.kind for node in found["one"]] == ["layer", "activation"]
    assert [node.kind for node in found["four"]] == ["bypass"]
    assert found["two"] == NETWORK.units[1].chain
    assert "norm?" in words(architecture_figure(NETWORK, decisions).axes[0])


def test_decisions_that_do_not_fit_are_named():
    with pytest.raises(InputError, match="on unit 'five'; the diagnosis has one, two, three, four"):
        chosen_chains(NETWORK, [decision("five", "skip", "bypass")])
    with pytest.raises(InputError, match="the chain has no gate 'residual'"):
        chosen_chains(NETWORK, [decision("two", "residual", "sum")])


@st.composite
def chains(draw):
    """Any form, with any of its gates decided."""
    chain = FORMS[draw(st.sampled_from(sorted(FORMS)))]
    return harden_chain(chain, {g.name: draw(st.sampled_from(g.inputs)) for g in gates(chain) if draw(st.booleans())})


@given(chains())
def test_boxes_of_any_chain_keep_apart_and_arrows_run_to_the_right(chain):
    places = placed(chain)
    assert places.keys() == {INPUT, *(node.name for node in chain)}
    assert len(set(places.values())) == len(places)
    for node in chain:
        assert all(places[name][0] < places[node.name][0] for name in node.inputs)
    longest = evaluate(chain, 0, lambda op, *depths: 1 + max(depths), lambda gate, *depths: 1 + max(depths))
    main = sorted(column for column, lane in places.values() if lane == 0)
    assert main == list(range(longest + 1))


@given(chains())
def test_no_box_lies_on_another(chain):
    figure = architecture_figure(Diagnosis((UnitReport("unit", (4,), (), chain),)))
    boxes = [patch.get_bbox() for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    assert len(boxes) == len(chain)
    width, height = figure.get_size_inches()
    assert all(box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height for box in boxes)
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_a_chain_of_ones_own_is_drawn():
    chain = (Op("a", "layer", (INPUT,)), Op("b", "fold_in", ("a",)), Op("c", "add", ("b", "a", INPUT)))
    figure = architecture_figure(Diagnosis((UnitReport("", (4,), (), chain),)))
    assert words(figure.axes[0]) == ["unit", "layer", "fold in", "+"]
    ElementTree.fromstring(figure_svg(figure))


@pytest.fixture(scope="module")
def linear():
    """A trained-like network of Linear units, one without the residual gate, with its diagnosis and hardening."""
    torch.manual_seed(0)
    model = nn.Sequential(
        MultiGatedUnit(nn.Linear(4, 6), gates="replica", prior="neutral"),
        MultiGatedUnit(nn.Linear(6, 3), residual_gate=False),
    )
    batches = [(torch.randn(16, 4), torch.randint(3, (16,)))]
    return explain(model, batches), harden(model, batches)


def test_units_of_linear_layers_are_drawn_as_explained_and_as_hardened(linear):
    diagnosis, hardened = linear
    assert sum(histograms_figure(diagnosis).axes[0].patches[0].get_data().values) == 16 * 6
    chains = chosen_chains(diagnosis, hardened.decisions)
    for name, chain in chains.items():
        assert not any(isinstance(node, Gate) for node in chain)
        layers = [type(module) for module in hardened.model.get_submodule(name).children()]
        assert sum(node.kind in ("layer", "bypass") for node in chain) == layers.count(nn.Linear)
        assert sum(node.kind == "batch_norm" for node in chain) == layers.count(nn.BatchNorm1d)
        assert sum(node.kind == "layer_norm" for node in chain) == layers.count(nn.LayerNorm)


def test_write_pictures_writes_what_there_is_to_show(tmp_path, linear):
    diagnosis, hardened = linear
    paths = write_pictures(diagnosis, tmp_path / "new", HISTORY, hardened.decisions)
    names = {"gates-histograms", "gates-means", "gates-effects", "gates-epochs", "architecture"}
    assert {path.name for path in paths} == {f"{name}.svg" for name in names}
    for path in paths:
        root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
        assert root.get("aria-label") == root.find("{*}title").text != ""
        assert "image" not in {element.tag.split("}")[1] for element in root.iter()}  # vectors only
    unlabelled = replace(NETWORK, loss=None)
    kept = write_pictures(unlabelled, str(tmp_path / "less"), (Epoch(1, 1.0, 0.5, 1.0, 0.5, 1.0),))
    assert {path.stem for path in kept} == {"gates-histograms", "gates-means", "architecture"}


def test_what_cannot_be_drawn_is_named():
    with pytest.raises(InputError, match="no losses; explain the network on batches of"):
        effects_figure(replace(NETWORK, loss=None))
    with pytest.raises(InputError, match="the history has no gates"):
        epochs_figure([Epoch(1, 1.0, 0.5, 1.0, 0.5, 1.0)])
    for draw in (histograms_figure, means_figure, effects_figure):
        with pytest.raises(InputError, match="no gate to draw"):
            draw(Diagnosis((), loss=1.0))
    with pytest.raises(InputError, match="no unit to draw"):
        architecture_figure(Diagnosis(()))


@pytest.mark.parametrize("name", ["$\\frac{$", "<b>", "features.0.block.conv1"])
def test_names_are_text(name):
    diagnosis = replace(NETWORK, units=(replace(NETWORK.units[0], name=name),))
    history = [Epoch(1, 1, 1, 1, 1, 1, {name: {"skip": 0.5}})]
    figures = (means_figure, histograms_figure, effects_figure, architecture_figure)
    for figure in (*(draw(diagnosis) for draw in figures), epochs_figure(history)):
        svg = re.sub(r"<title>.*?</title>", "", figure_svg(figure), flags=re.S)
        assert name in "".join(ElementTree.fromstring(svg).itertext())


def test_explaining_needs_no_matplotlib():
    code = "import sys, mgu.torch, mgu.diagnosis; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
