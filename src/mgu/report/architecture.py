"""The architecture that a network's gates chose, drawn from the chains that are left when the gates are decided."""

from collections.abc import Iterable, Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from mgu.diagnosis import Diagnosis, UnitReport
from mgu.errors import InputError
from mgu.history import Decision
from mgu.report.gate_words import unit_name
from mgu.report.plots import plain_text
from mgu.wiring import INPUT, Chain, Gate, Node, harden

#: What each kind of operation is called in its box, and the box's colour.
BOXES: Mapping[str, tuple[str, str]] = {
    "layer": ("layer", "#D5E8F5"),
    "bypass": ("bypass", "#FBE3D1"),
    "activation": ("activation", "#FFFFFF"),
    "batch_norm": ("batch norm", "#CFEDE3"),
    "layer_norm": ("layer norm", "#F6E1EC"),
    "add": ("+", "#FFFFFF"),
}
_GATE_COLOUR = "#EEEEEE"

# All lengths are inches, which the axes have for units.
_PITCH, _LANE, _HEIGHT, _GAP, _MARGIN = 0.95, 0.4, 0.26, 0.22, 0.12
_LETTER, _BOLD = 0.072, 0.088


def chosen_chains(diagnosis: Diagnosis, decisions: Iterable[Decision] | None = None) -> dict[str, Chain]:
    """By unit, what is left of its chain when each gate passes on the side that it is open for, or that the
    ``decisions`` name; a gate without a decision then stays.

    Raises InputError for a diagnosis without a unit, and for a decision on a unit, gate or side that is not there.
    """
    if not diagnosis.units:
        raise InputError("the diagnosis has no unit to draw; explain a network with a MultiGatedUnit")
    if decisions is None:
        return {unit.name: harden(unit.chain, _opened(unit)) for unit in diagnosis.units}
    by_unit: dict[str, dict[str, str]] = {unit.name: {} for unit in diagnosis.units}
    for decision in decisions:
        if decision.unit not in by_unit:
            raise InputError(f"a decision is on unit {decision.unit!r}; the diagnosis has {', '.join(by_unit)}")
        by_unit[decision.unit][decision.gate] = decision.side
    return {unit.name: harden(unit.chain, by_unit[unit.name]) for unit in diagnosis.units}


def architecture_figure(diagnosis: Diagnosis, decisions: Iterable[Decision] | None = None) -> Figure:
    """One row a unit: the operations left in ``chosen_chains`` as boxes from input to output, a residual as an arc.

    Raises what ``chosen_chains`` raises.
    """
    chains = chosen_chains(diagnosis, decisions)
    places = {name: placed(chain) for name, chain in chains.items()}
    left = 2 * _MARGIN + _BOLD * max(len(unit_name(name)) for name in chains)
    columns = max(column for place in places.values() for column, _ in place.values())
    lanes = [max(lane for _, lane in place.values()) for place in places.values()]
    width = max(5.4, left + (columns + 0.5) * _PITCH + 0.35)
    height = sum(_HEIGHT + _GAP + _LANE * lane for lane in lanes) + _GAP
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    y = 0.0
    for (name, chain), lane in zip(chains.items(), lanes, strict=True):
        y += _HEIGHT + _GAP + _LANE * lane
        middle = y - _HEIGHT / 2
        axes.text(_MARGIN, middle, plain_text(unit_name(name)), va="center", fontsize=9, weight="bold")
        points = {node: (left + (c - 0.35) * _PITCH, middle - _LANE * n) for node, (c, n) in places[name].items()}
        _draw_chain(axes, chain, {**points, INPUT: (left, middle)})
    figure.set_label(
        "What the gates chose. " + " ".join(f"{unit_name(name)}: {said(chain)}." for name, chain in chains.items())
    )
    return figure


def placed(chain: Chain) -> dict[str, tuple[float, int]]:
    """Column and lane of each value of a chain, the input's being (0, 0). Its longest way from input to output is on
    lane 0, a column a node; what runs beside it lies in the middle of its span, on the first lane that is free there.
    """
    depth = {INPUT: 0}
    for node in chain:
        depth[node.name] = 1 + max(depth[name] for name in node.inputs)
    nodes = {node.name: node for node in chain}
    way = [chain[-1].name]
    while way[-1] != INPUT:
        way.append(max(nodes[way[-1]].inputs, key=depth.__getitem__))
    places: dict[str, tuple[float, int]] = {name: (depth[name], 0) for name in way}
    taken: list[tuple[int, int, int]] = []
    for node in (node for node in chain if node.name not in places):
        start = max(depth[name] for name in node.inputs)
        end = min(depth[reader.name] for reader in chain if node.name in reader.inputs)
        lane = 1
        while any(other == lane and start < last and first < end for other, first, last in taken):
            lane += 1
        taken.append((lane, start, end))
        places[node.name] = ((start + end) / 2, lane)
    return places


def said(chain: Chain) -> str:
    """A chain in words: its operations from input to output, and what is added to them."""
    places = placed(chain)
    main = [_words(node) for node in chain if places[node.name][1] == 0 and _words(node) != "+"]
    beside = [_words(node) for node in chain if places[node.name][1]]
    text = ", ".join(main) + (f", beside it {', '.join(beside)}" if beside else "")
    return text if _has_layer(chain) else f"{text} (the layer is skipped)"


def _opened(unit: UnitReport) -> dict[str, str]:
    return {gate.name: gate.opened_for for gate in unit.gates}


def _has_layer(chain: Chain) -> bool:
    return any(not isinstance(node, Gate) and node.kind == "layer" for node in chain)


def _words(node: Node) -> str:
    if isinstance(node, Gate):
        return f"{node.name}?"
    return BOXES[node.kind][0] if node.kind in BOXES else node.kind.replace("_", " ")


def _draw_chain(axes: Axes, chain: Chain, points: Mapping[str, tuple[float, float]]) -> None:
    axes.plot(*points[INPUT], marker="o", color="black", markersize=5)
    half = {INPUT: 0.05}
    for node in chain:
        text = _words(node)
        half[node.name] = max(0.13, 0.06 + _LETTER / 2 * len(text))
        colour = _GATE_COLOUR if isinstance(node, Gate) else BOXES.get(node.kind, ("", "#FFFFFF"))[1]
        _draw_box(axes, text, points[node.name], half[node.name], colour)
        for name in node.inputs:
            _draw_arrow(axes, points[name], half[name], points[node.name], half[node.name])
    x, y = points[chain[-1].name]
    start = x + half[chain[-1].name]
    _arrow(axes, (start, y), (start + 0.25, y), "arc3")
    if not _has_layer(chain):
        axes.text(start + 0.4, y, "the layer is skipped", va="center", fontsize=8, style="italic")


def _draw_box(axes: Axes, text: str, point: tuple[float, float], half: float, colour: str) -> None:
    x, y = point
    box = Rectangle((x - half, y - _HEIGHT / 2), 2 * half, _HEIGHT, facecolor=colour, edgecolor="black", linewidth=0.8)
    axes.add_patch(box)
    axes.text(x, y, plain_text(text), ha="center", va="center", fontsize=8)


def _draw_arrow(
    axes: Axes, source: tuple[float, float], source_half: float, target: tuple[float, float], target_half: float
) -> None:
    """Straight along a lane; from lane to lane, and over what lies between, in an arc."""
    (x, y), (to_x, to_y) = source, target
    if to_y < y:
        _arrow(axes, (x, y - min(source_half, _HEIGHT / 2)), (to_x - target_half, to_y), "angle3,angleA=90,angleB=0")
    elif to_y > y:
        _arrow(axes, (x + source_half, y), (to_x, to_y - _HEIGHT / 2), "angle3,angleA=0,angleB=90")
    elif to_x - x > 1.5 * _PITCH:
        _arrow(axes, (x, y - _HEIGHT / 2), (to_x, to_y - _HEIGHT / 2), "arc3,rad=-0.3")
    else:
        _arrow(axes, (x + source_half, y), (to_x - target_half, to_y), "arc3")


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], way: str) -> None:
    axes.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            connectionstyle=way,
            mutation_scale=9,
            shrinkA=0,
            shrinkB=0,
            color="black",
            linewidth=0.9,
        )
    )
