"""The pictures of a self-diagnosis: what each gate of each unit does, over units, over epochs, and to the loss.

They draw a ``Diagnosis`` and a history, and compute nothing. Figures and colours are as in ``mgu.report.plots``.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from mgu.diagnosis import Diagnosis, GateReport, side_words
from mgu.files import write_whole
from mgu.history import Decision, Epoch
from mgu.report.architecture import architecture_figure
from mgu.report.gate_panels import effects_figure, epochs_figure
from mgu.report.gate_words import CLOSED_COLOUR, OPEN_COLOUR, by_gate, chosen, ends, name_units, unit_name, wrapped
from mgu.report.plots import figure_svg, plain_text

#: Steps from closed over white to open; fewer than 50, so that its legend too is drawn in vectors.
_SCALE = LinearSegmentedColormap.from_list("gate", (CLOSED_COLOUR, "#FFFFFF", OPEN_COLOUR), N=20).with_extremes(
    bad="#E5E5E5"  # no such gate
)


def write_pictures(
    diagnosis: Diagnosis,
    folder: Path | str,
    history: Sequence[Epoch] = (),
    decisions: Iterable[Decision] | None = None,
) -> list[Path]:
    """Write the pictures of a diagnosis as SVG files into ``folder``, made where it is not there; return their paths.

    They are ``gates-histograms.svg``, ``gates-means.svg`` and ``architecture.svg``, with losses ``gates-effects.svg``,
    and with a ``history`` that has gates ``gates-epochs.svg``. ``decisions`` are those of ``mgu.torch.harden``, for the
    architecture that it left; without them each gate passes on the side that it is open for.

    Raises InputError for a diagnosis without a gate and for a decision that does not fit it, and OSError where a file
    cannot be written; each file is whole or absent.
    """
    figures = {
        "gates-histograms": histograms_figure(diagnosis),
        "gates-means": means_figure(diagnosis),
        "architecture": architecture_figure(diagnosis, decisions),
    }
    if diagnosis.loss is not None:
        figures["gates-effects"] = effects_figure(diagnosis)
    if any(epoch.gates for epoch in history):
        figures["gates-epochs"] = epochs_figure(history, [gate for unit in diagnosis.units for gate in unit.gates])
    paths = {name: Path(folder) / f"{name}.svg" for name in figures}
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        write_whole(paths[name], figure_svg(figure).encode())
    return list(paths.values())


def histograms_figure(diagnosis: Diagnosis) -> Figure:
    """A histogram of each gate's values from 0 to 1, a row a unit and a column a gate, with a line at the mean.

    Each panel has a height of its own. Raises InputError for a diagnosis without a gate.
    """
    table = by_gate(diagnosis)
    units = [unit_name(unit.name) for unit in diagnosis.units]
    figure = Figure(figsize=(0.9 + 0.95 * len(table), 1.4 + 0.5 * len(units)), layout="constrained")
    panels = figure.subplots(len(units), len(table), sharex=True, squeeze=False)
    for column, (gate, reports) in enumerate(table.items()):
        for row, unit in enumerate(units):
            _draw_histogram(panels[row, column], reports.get(unit))
        panels[0, column].set_title(plain_text(gate), fontsize=9)
        closed, opened = ends(reports.values())[gate]
        panels[-1, column].set_xlabel(f"0 {wrapped(closed)}\n1 {wrapped(opened)}", fontsize=8, loc="left")
    for row, unit in enumerate(units):
        panels[row, 0].set_ylabel(plain_text(unit), fontsize=8, rotation=0, ha="right", va="center")
    figure.set_label(
        f"Histograms of the values of {len(table)} gates in {len(units)} units, from 0 (closed) to 1 (open), with the "
        f"mean marked. {chosen(table)}"
    )
    return figure


def means_figure(diagnosis: Diagnosis) -> Figure:
    """A heat map of the gates' means, a row a gate and a column a unit, with the side that each gate is open for.

    Raises InputError for a diagnosis without a gate.
    """
    table = by_gate(diagnosis)
    units = [unit_name(unit.name) for unit in diagnosis.units]
    figure = Figure(figsize=(max(5.4, 1.1 + 0.8 * len(units)), 1.5 + 0.52 * len(table)), layout="constrained")
    axes = figure.subplots()
    means = [[reports[unit].mean if unit in reports else math.nan for unit in units] for reports in table.values()]
    mesh = axes.pcolormesh(means, cmap=_SCALE, vmin=0, vmax=1, edgecolors="white", linewidth=2)
    for row, reports in enumerate(table.values()):
        for column, unit in enumerate(units):
            _write_cell(axes, column + 0.5, row + 0.5, reports.get(unit))
    axes.invert_yaxis()
    name_units(axes, units, 0.5)
    axes.set_yticks([row + 0.5 for row in range(len(table))], [plain_text(gate) for gate in table], fontsize=9)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    width = figure.get_figwidth()
    legend = figure.colorbar(mesh, ax=axes, location="bottom", aspect=8 * width)
    legend.set_label("mean of the gate, 0 closed to 1 open", fontsize=9)
    legend.ax.tick_params(labelsize=8)
    figure.set_label(f"Mean of each gate in each of {len(units)} units. {chosen(table)}")
    return figure


def _draw_histogram(axes: Axes, report: GateReport | None) -> None:
    axes.set(xlim=(0, 1), yticks=[])
    axes.set_xticks([0, 0.5, 1], ["0", "", "1"], fontsize=8)
    axes.spines[["left", "top", "right"]].set_visible(False)
    if report:
        edges = [i / len(report.histogram) for i in range(len(report.histogram) + 1)]
        axes.stairs(report.histogram, edges, fill=True, color=CLOSED_COLOUR)
        axes.axvline(report.mean, color=OPEN_COLOUR, linewidth=1.5)
    else:
        axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center", va="center", fontsize=8)


def _write_cell(axes: Axes, x: float, y: float, report: GateReport | None) -> None:
    text = f"{report.mean:.2f}\n{wrapped(side_words(report.name, report.opened_for))}" if report else "none"
    colour = _readable(_SCALE(report.mean if report else math.nan))
    axes.text(x, y, text, ha="center", va="center", fontsize=8, color=colour)


def _readable(ground: tuple[float, float, float, float]) -> str:
    """Black or white, whichever has the higher contrast on a ground (WCAG 2.2, relative luminance)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in ground[:3]]
    return "black" if sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True)) > 0.179 else "white"
