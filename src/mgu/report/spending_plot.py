"""The picture of what each trial took: its energy, or its time where no trial has energy on record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mgu.history import Result
from mgu.report.plots import add_legend, norm_of, plain_text, point_style, say_if_empty
from mgu.report.summary import Row, Summary
from mgu.study.trial import ENDED, StudyView

_SOURCES = ("measured", "estimated")
_CROSS: Mapping[str, Any] = {"marker": "x", "color": "#000000", "markersize": 9, "linestyle": "none", "zorder": 5}


@dataclass(frozen=True)
class _Point:
    row: Row
    result: Result

    def figure(self, source: str) -> float | None:
        """Wh by that source, or the seconds."""
        if source == "time":
            return self.result.tts_s
        kwh = getattr(self.result.usage, f"{source}_kwh", None)
        return None if kwh is None else 1000 * kwh

    @property
    def is_disturbed(self) -> bool:
        return bool(self.result.usage and self.result.usage.disturbed)


def spending_figure(view: StudyView, summary: Summary) -> Figure:
    """A row a model, best first, and a point a trial at its energy in Wh, what was measured and what was estimated in
    panels of their own; at its time to solution in seconds where no energy is known. A cross marks a trial that was not
    alone on its machine."""
    points = _points(view, summary)
    known = [source for source in _SOURCES if any(point.figure(source) is not None for point in points)]
    sources = known or ["time"]
    rows = [row for row in summary.rows if any(point.row is row for point in points)]
    figure = Figure(figsize=(5.4, 1.9 + 0.19 * max(len(rows), 3)), layout="constrained")
    for axes, source in zip(figure.subplots(1, len(sources), sharey=True, squeeze=False)[0], sources, strict=True):
        _draw(axes, points, rows, source)
    disturbed = sum(point.is_disturbed for point in points)
    add_legend(figure, point_style, {norm_of(row) for row in rows}, {"not alone": _CROSS} if disturbed else {})
    what = f"Energy, {' and '.join(known)}," if known else "Time to solution"
    crossed = f" Crosses: {disturbed} not alone on the machine." if disturbed else ""
    figure.set_label(f"{what} of {len(points)} trained networks, a row a model, the best first.{crossed}")
    return figure


def _points(view: StudyView, summary: Summary) -> list[_Point]:
    """Every ended trial, and every hardened network."""
    rows = {row.model_name: row for row in summary.rows}
    networks = [found for record in view.records for found in (record, record.hardened) if found]
    return [_Point(rows[r.trial.model_name], r.result) for r in networks if r.status in ENDED and r.result]


def _draw(axes: Axes, points: Sequence[_Point], rows: Sequence[Row], source: str) -> None:
    for point in points:
        figure = point.figure(source)
        if figure is None:
            continue
        place = rows.index(point.row)
        style = point_style(norm_of(point.row), point.row.residual)
        axes.plot(figure, place, **{**style, "markersize": style["markersize"] * 0.7, "alpha": 0.8})
        if point.is_disturbed:
            axes.plot(figure, place, **_CROSS)
    axes.set_xlabel("time to solution, s" if source == "time" else f"energy, {source}, Wh")
    axes.set_xlim(left=0)
    axes.set_yticks(range(len(rows)), [plain_text(row.model_name) for row in rows], fontsize=8)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(alpha=0.25)
    say_if_empty(axes)
