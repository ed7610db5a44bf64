"""The picture of what the models reached, and what that cost."""

from math import isfinite
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.text import OffsetFrom
from matplotlib.textpath import TextPath

from mgu.report import conclusion
from mgu.report.figures import mean_of
from mgu.report.plots import add_legend, any_glyphs, norm_of, plain_text, point_style, say_if_empty, tick_logarithms
from mgu.report.summary import Row, Summary
from mgu.report.words import seconds

#: Of the names, in points.
_NAME_SIZE = 9
#: Keeps words readable among points.
_GROUND = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}


def cost_figure(summary: Summary) -> Figure:
    """Validation score against time to solution (s, log scale), a point a model, and what the grid cost."""
    figure = Figure(figsize=(5.4, 5), layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel="time to solution, s (log scale)", ylabel=summary.score.axis, xscale="log")
    for row in summary.rows:
        if row.val_score and row.tts_s:
            axes.plot(row.tts_s, row.val_score.mean, **point_style(norm_of(row), row.residual))
    _name_rows(axes, summary)
    _draw_grid_total(axes, summary)
    axes.margins(x=0.17, y=0.1)
    _leave_out_low(axes, summary)
    tick_logarithms(axes.xaxis)
    say_if_empty(axes, "no trial has finished yet")
    add_legend(figure, point_style, {norm_of(row) for row in summary.rows if row.val_score})
    figure.set_label(f"Validation {summary.score.name} against time to solution. {conclusion.answer(summary)}")
    return figure


def _leave_out_low(axes: Axes, summary: Summary) -> None:
    """Leaves out the models below the score's floor where others are above it, and says how many they are."""
    floor = summary.score.floor
    figures = [row.val_score.mean for row in summary.rows if row.val_score]
    below = sum(figure < floor for figure in figures)
    best = max(figures, default=floor)
    if not below or best <= floor:
        return
    axes.set_ylim(floor, best + 0.1 * (best - floor))
    text = f"{below} model{'s' * (below > 1)} below {floor:g}"
    axes.annotate(text, (0.02, 0.02), xycoords="axes fraction", fontsize=9, bbox=_GROUND)


def _name_rows(axes: Axes, summary: Summary) -> None:
    """Names the models compared, one below the other where few points are: between the slowest model and the grid. The
    names begin below each other, so that no line to one of them runs through another."""
    named = [row for row in summary.compared if row.tts_s and row.val_score and isfinite(row.val_score.mean)]
    named.sort(key=lambda row: -(row.tts_s or 0))  # so that few lines cross
    texts = [f"{row.model_name}\n{summary.score.full(row.val_score)}, {seconds(row.tts_s)}" for row in named]
    width = max((_width(text, row) for text, row in zip(texts, named, strict=True)), default=0)
    for place, (text, row) in enumerate(zip(texts, named, strict=True)):
        axes.annotate(
            plain_text(text),
            (row.tts_s or 0, mean_of(row.val_score) or 0),
            xytext=(-8 - width, 0),
            textcoords=OffsetFrom(axes, (1, 0.58 - 0.13 * place), "points"),
            ha="left",
            va="center",
            fontsize=_NAME_SIZE,
            weight=_weight(row),
            bbox=_GROUND,
            arrowprops={"arrowstyle": "-", "color": "#999999", "linewidth": 0.8, "relpos": (0, 0.5), "shrinkB": 7},
        )


def _weight(row: Row) -> str:
    return "bold" if row.is_mgu else "normal"


def _width(text: str, row: Row) -> float:
    """That of the longest line in points, with room for a reader's font that is a little wider than matplotlib's."""
    font = FontProperties(weight=_weight(row))
    with any_glyphs():
        paths = [TextPath((0, 0), plain_text(line), size=_NAME_SIZE, prop=font) for line in text.split("\n")]
    return 1.08 * max(float(path.get_extents().width) for path in paths)


def _draw_grid_total(axes: Axes, summary: Summary) -> None:
    """What finding the best plain model cost, at the score that it bought."""
    best, total_s = summary.best_plain, summary.grid_total_s
    if not best or not best.val_score or not best.tts_s or not total_s or not isfinite(best.val_score.mean):
        return
    score = best.val_score.mean
    axes.plot([best.tts_s, total_s], [score, score], color="#555555", linestyle="dotted", linewidth=1.5, zorder=1)
    axes.plot(total_s, score, color="#555555", marker="D", markersize=10, linestyle="none")
    hardened, soft = summary.speed_up_hardened, summary.speed_up
    times = f"\n{hardened:.2f} times\nMGU hardened's" if hardened else f"\n{soft:.2f} times MGU's" if soft else ""
    text = plain_text(f"the whole grid\n{seconds(total_s)}{times}")
    place: dict[str, Any] = {"xytext": (0, -12), "textcoords": "offset points", "va": "top", "ha": "center"}
    axes.annotate(text, (total_s, score), fontsize=9, bbox=_GROUND, **place)
