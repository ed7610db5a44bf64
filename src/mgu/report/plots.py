"""The picture of the histories, and what all pictures of a report share: they draw what the summary and the histories
say, and compute nothing.

Figures are made without pyplot; a figure's label is its alternative text. Colours are Okabe and Ito's, which the
colour-blind can tell apart.
"""

import io
import re
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from html import escape
from math import inf, isfinite
from types import MappingProxyType
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from mgu.history import Epoch, Result
from mgu.report.score import Score, score_of
from mgu.report.summary import Row
from mgu.study.trial import NO_CELL, Record, StudyView, Trial

MGU_COLOUR = "#D55E00"
NORM_COLOURS = {"no_norm": "#000000", "ln": "#0072B2", "bn_post": "#CC79A7", "bn_pre": "#009E73", "sn": "#56B4E9"}
#: What stands for the norm of what has no cell: an MGU model, which learns it, what that was hardened to, an estimator.
MGU, HARDENED, ESTIMATOR = "MGU", "MGU hardened", "scikit-learn"
#: More lines than these are drawn thin.
_MANY_LINES = 100
_MGU_LABELS = (MGU, HARDENED)


def history_figure(view: StudyView) -> Figure:
    """Validation score and training loss by epoch, one line a trial, and another from where it was hardened."""
    score = score_of(view)
    figure = Figure(figsize=(5.4, 7), layout="constrained")
    scores, loss = figure.subplots(2, 1, sharex=True)
    lines = [line for record in view.records for line in _lines(record)]
    scale = 1 if len(lines) <= _MANY_LINES else 0.5
    for norm, residual, result in lines:
        style = _line_style(norm, residual)
        style["linewidth"] *= scale
        _draw_history(scores, result.history, "val_score", score.scale, style)
        _draw_history(loss, result.history, "train_loss", 1, style)
    scores.set_ylabel(score.axis)
    scores.grid(alpha=0.25)
    reached = [score.scale * result.val_score for *_, result in lines if result.val_score is not None]
    _cut_low(scores, reached, score)
    loss.set(xlabel="epoch", ylabel="training loss, log scale", yscale="log")
    loss.xaxis.set_major_locator(MaxNLocator(integer=True))
    tick_logarithms(loss.yaxis)
    for axes in (scores, loss):
        say_if_empty(axes)
    add_legend(figure, _line_style, {norm for norm, *_ in lines})
    hardened = sum(norm == HARDENED for norm, *_ in lines)
    figure.set_label(
        f"Validation {score.name} and training loss by epoch of {len(lines) - hardened} trials; the bold lines are "
        f"the MGU model's{', dashed where it was hardened' if hardened else ''}."
    )
    return figure


def _lines(record: Record) -> Iterator[tuple[str, str, Result]]:
    """Norm, residual and result of each line of a trial; a hardened network's begins where its gates were decided."""
    result = record.result
    if result and result.history:
        yield norm_of(record.trial), record.trial.residual, result
    if result and result.hardening:
        hardened, after = result.hardening.result, result.hardening.after_epoch
        if len(hardened.history) > after:
            yield HARDENED, "", replace(hardened, history=hardened.history[after - 1 :])


def _draw_history(axes: Axes, history: Sequence[Epoch], name: str, scale: float, style: Mapping[str, Any]) -> None:
    figures = [scale * getattr(epoch, name) for epoch in history]
    marker = "o" if len(figures) == 1 else ""
    axes.plot([epoch.epoch for epoch in history], figures, marker=marker, **style)


def _cut_low(axes: Axes, reached: Sequence[float], score: Score) -> None:
    """Shows twice the spread of what was reached: the first epochs would press all that differs into one line."""
    known = [figure for figure in reached if isfinite(figure)]
    best, worst = max(known, default=0), min(known, default=0)
    bottom = worst - (best - worst) if best > worst else -inf
    if best > score.floor:
        bottom = max(bottom, score.floor)
    if axes.get_ylim()[0] < bottom:
        axes.set_ylim(bottom, best + 0.05 * (best - bottom))


def _line_style(norm: str, residual: str) -> dict[str, Any]:
    if norm == MGU:
        return {"color": MGU_COLOUR, "linewidth": 2.2, "zorder": 3}
    if norm == HARDENED:
        return {"color": MGU_COLOUR, "linewidth": 2.2, "linestyle": (0, (2, 1)), "zorder": 3}
    dash = (0, (3, 2)) if residual == "1" else "solid"
    return {"color": _colour(norm), "linestyle": dash, "linewidth": 1, "alpha": 0.6}


def point_style(norm: str, residual: str) -> dict[str, Any]:
    if norm in _MGU_LABELS:
        fill = "white" if norm == HARDENED else MGU_COLOUR
        star = {"marker": "*", "markersize": 18, "markerfacecolor": fill, "zorder": 4}  # above the words
        return {"color": MGU_COLOUR, "linestyle": "none", **star}
    fill = "white" if residual == "1" else _colour(norm)
    return {"color": _colour(norm), "linestyle": "none", "marker": "o", "markersize": 7, "markerfacecolor": fill}


def _colour(norm: str) -> str:
    return NORM_COLOURS.get(norm, "#777777")


def norm_of(model: Row | Trial) -> str:
    """What a model's points and lines are drawn and explained by."""
    if isinstance(model, Row) and model.is_hardened:
        return HARDENED
    if model.is_mgu:
        return MGU
    return ESTIMATOR if model.norm == NO_CELL else model.norm


def tick_logarithms(axis: Axis) -> None:
    """Ticks at 1, 2, 5, 10, 20 ... in plain numbers, over many decades at 1, 10, 100 ..."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 1000 * low else (1,)))
    axis.set_major_formatter("{x:,g}")
    axis.set_minor_formatter(NullFormatter())
    axis.axes.grid(alpha=0.25)


def say_if_empty(axes: Axes, what: str = "no trial has ended yet") -> None:
    """Where nothing is drawn, says so instead of a scale of nothing."""
    if not axes.lines:
        axes.set(xticks=[], yticks=[])
        axes.minorticks_off()
        axes.text(0.5, 0.5, what, transform=axes.transAxes, ha="center", va="center", color="#555555")


def plain_text(text: str) -> str:
    """Keeps matplotlib from reading mathematics into a name."""
    return text.replace("$", r"\$")


def add_legend(
    figure: Figure,
    style: Callable[[str, str], dict[str, Any]],
    norms: Collection[str],
    further: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> None:
    """Explains what is there: MGU first, then the norms in a fixed order, then the residual, and what else there is by
    its label."""
    plain = [*(norm for norm in NORM_COLOURS if norm in norms), *sorted(set(norms) - {*NORM_COLOURS, *_MGU_LABELS})]
    entries: dict[str, Mapping[str, Any]] = {norm: style(norm, "") for norm in _MGU_LABELS if norm in norms}
    entries |= {plain_text(norm): style(norm, "0") for norm in plain}
    cells = [norm for norm in plain if norm != ESTIMATOR]
    if cells:
        entries["with residual"] = style(cells[0], "1")
    entries |= further
    handles = [Line2D([], [], label=label, **drawn) for label, drawn in entries.items()]
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=4, columnspacing=1, frameon=False)


@contextmanager
def any_glyphs() -> Iterator[None]:
    """The reader's fonts draw the text, so it does not matter which glyphs are here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def figure_svg(figure: Figure) -> str:
    """A figure as an SVG element to put into a page, its label as title and accessible name.

    It takes the width that it is given, and the same figure gives the same text. Nothing is fetched: fonts are the
    reader's own.
    """
    buffer = io.StringIO()
    salt = str(figure.get_label())
    with matplotlib.rc_context({"svg.hashsalt": salt, "svg.fonttype": "none"}), any_glyphs():
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    svg = buffer.getvalue()
    return _with_name(svg[svg.index("<svg") :], escape(salt))


def _with_name(svg: str, name: str) -> str:
    svg = re.sub(r'(<g|<svg) id="[^"]*"', r"\1", svg)  # names of groups, which would repeat in a page of two figures
    svg = re.sub(r' (width|height)="[^"]*pt"', "", svg, count=2)
    opening, rest = svg.split(">", 1)
    return f'{opening} width="100%" role="img" aria-label="{name}">\n <title>{name}</title>{rest}'
