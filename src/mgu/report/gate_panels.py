"""The pictures of gates with a panel a gate: the means over epochs, and what each gate is worth in loss."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mgu.diagnosis import Diagnosis, GateReport
from mgu.errors import InputError
from mgu.history import Epoch
from mgu.report.gate_words import CLOSED_COLOUR, OPEN_COLOUR, by_gate, ends, gate_title, name_units, unit_name, wrapped
from mgu.report.plots import plain_text
from mgu.wiring import Gate

LINE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
#: Up to here, in units of the loss, the scale of its changes is linear.
LINEAR_BELOW = 0.01
_DASHES = ("solid", (0, (4, 1.5)), (0, (1, 1)))


def epochs_figure(history: Sequence[Epoch], gates: Iterable[Gate | GateReport] = ()) -> Figure:
    """Each gate's mean by epoch, a panel a gate and a line a unit; ``gates`` name the sides.

    Raises InputError for a history without gates.
    """
    epochs = [epoch for epoch in history if epoch.gates]
    if not epochs:
        raise InputError("the history has no gates; give that of a network with units, recorded with its gates")
    names = dict.fromkeys(gate for epoch in epochs for unit in epoch.gates.values() for gate in unit)
    units = dict.fromkeys(unit for epoch in epochs for unit in epoch.gates)
    sides = ends(gates)
    figure, panels = _panels(len(names), sharey=False)
    for gate, axes in zip(names, panels, strict=True):
        for number, unit in enumerate(units):
            seen = [(epoch.epoch, epoch.gates[unit][gate]) for epoch in epochs if gate in epoch.gates.get(unit, {})]
            if seen:
                axes.plot(*zip(*seen, strict=True), label=plain_text(unit_name(unit)), **_line(number, len(seen)))
        closed, opened = sides.get(gate, ("0", "1"))
        axes.set_ylim(-0.03, 1.03)
        axes.set_yticks([0, 0.5, 1], [wrapped(closed), "½", wrapped(opened)], fontsize=8)
        axes.set_title(plain_text(gate_title(gate)), fontsize=9, loc="left")
        axes.grid(alpha=0.25)
    panels[-1].set_xlabel("epoch", fontsize=9)
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[-1].tick_params(axis="x", labelsize=8)
    _add_legend(figure, panels)
    figure.set_label(
        f"Mean of {len(names)} gates by epoch, a line for each of {len(units)} units. After epoch {epochs[-1].epoch}, "
        f"over the units: {_spread(epochs[-1], names)}."
    )
    return figure


def effects_figure(diagnosis: Diagnosis) -> Figure:
    """What switching each gate alone to one side for good adds to the network's loss, a panel a gate, two bars a unit.

    The scale is linear near 0 and logarithmic beyond. Raises InputError for a diagnosis without a gate or losses.
    """
    if diagnosis.loss is None:
        raise InputError("the diagnosis has no losses; explain the network on batches of (x, labels)")
    table = by_gate(diagnosis)
    units = [unit_name(unit.name) for unit in diagnosis.units]
    figure, panels = _panels(len(table), sharey=True)
    for (gate, reports), axes in zip(table.items(), panels, strict=True):
        places = [units.index(unit) for unit in reports]
        for side, shift, colour in (("open", -0.2, OPEN_COLOUR), ("closed", 0.2, CLOSED_COLOUR)):
            added = [getattr(report, f"loss_{side}") - diagnosis.loss for report in reports.values()]
            _draw_bars(axes, [place + shift for place in places], added, color=colour, label=f"{side} for good")
        closed, opened = ends(reports.values())[gate]
        axes.set_title(plain_text(f"{gate}: open {opened}, closed {closed}"), fontsize=9, loc="left")
        axes.set_yscale("symlog", linthresh=LINEAR_BELOW)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.tick_params(axis="y", labelsize=8)
        axes.axhline(0, color="black", linewidth=0.8)
        axes.grid(axis="y", alpha=0.25)
    name_units(panels[-1], units, 0)
    _add_legend(figure, panels)
    figure.supylabel("added to the loss", fontsize=9)
    figure.set_label(
        f"What switching each of {len(table)} gates in {len(units)} units to one side for good adds to the loss, which "
        f"is {diagnosis.loss:.4g}. {_most(table, diagnosis.loss)}"
    )
    return figure


def _draw_bars(axes: Axes, places: Sequence[float], heights: Sequence[float], **style: Any) -> None:
    """Bars, and in words what has no height: a switch may break the network."""
    axes.bar(places, [height if math.isfinite(height) else math.nan for height in heights], 0.4, **style)
    for place, height in zip(places, heights, strict=True):
        if not math.isfinite(height):
            axes.text(place, 0, f"{height:g}", ha="center", va="bottom", fontsize=8)


def _most(table: Mapping[str, Mapping[str, GateReport]], loss: float) -> str:
    """The switch that adds most."""
    effects = {
        (gate, unit, side): getattr(report, f"loss_{side}") - loss
        for gate, reports in table.items()
        for unit, report in reports.items()
        for side in ("open", "closed")
    }
    (gate, unit, side), added = max(effects.items(), key=lambda entry: math.inf if math.isnan(entry[1]) else entry[1])
    return f"The most, {added:+.4g}, comes from {gate} of {unit} switched {side}."


def _panels(count: int, *, sharey: bool) -> tuple[Figure, list[Axes]]:
    """A figure with panels one below the other."""
    figure = Figure(figsize=(5.4, 1 + 1.3 * count), layout="constrained")
    return figure, list(figure.subplots(count, 1, sharex=True, sharey=sharey, squeeze=False)[:, 0])


def _add_legend(figure: Figure, panels: Sequence[Axes]) -> None:
    handles = {
        label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, frameon=False, fontsize=8)


def _line(number: int, points: int) -> dict[str, Any]:
    dash = _DASHES[number // len(LINE_COLOURS) % len(_DASHES)]
    return {"color": LINE_COLOURS[number % len(LINE_COLOURS)], "linestyle": dash, "marker": "o" if points == 1 else ""}


def _spread(epoch: Epoch, names: Iterable[str]) -> str:
    """The lowest and highest mean of each gate that the epoch has."""
    means = {name: [unit[name] for unit in epoch.gates.values() if name in unit] for name in names}
    return "; ".join(f"{name} from {min(found):.2f} to {max(found):.2f}" for name, found in means.items() if found)
