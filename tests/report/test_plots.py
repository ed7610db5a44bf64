"""The pictures show the numbers given to them, and their SVG can stand in a page."""

import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from mgu.history import Epoch
from mgu.report.cost_plot import cost_figure
from mgu.report.plots import MGU_COLOUR, NORM_COLOURS, figure_svg, history_figure
from mgu.report.spending_plot import spending_figure
from mgu.report.tables import summarise


def lines(axes, colour):
    return [line for line in axes.get_lines() if line.get_color() == colour]


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_history_draws_every_trial_in_per_cent(whole_study):
    accuracy, loss = history_figure(whole_study).axes
    assert len(accuracy.get_lines()) == len(loss.get_lines()) == 5
    mgu = lines(accuracy, MGU_COLOUR)[0]
    assert list(mgu.get_xdata()) == [1, 2]
    assert list(mgu.get_ydata()) == pytest.approx([60, 92])
    assert list(lines(loss, MGU_COLOUR)[0].get_ydata()) == pytest.approx([1, 0.5])
    assert loss.get_yscale() == "log"


def test_history_tells_mgu_norm_and_residual_apart(whole_study):
    accuracy, _ = history_figure(whole_study).axes
    mgu, p1, p2 = (lines(accuracy, c)[0] for c in (MGU_COLOUR, NORM_COLOURS["ln"], NORM_COLOURS["bn_pre"]))
    assert mgu.get_linewidth() > 2 * p1.get_linewidth()
    assert mgu.get_zorder() > p1.get_zorder()
    assert p1.get_linestyle() == "-"
    assert p2.get_linestyle() == "--"
    legend = history_figure(whole_study).legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["MGU", "ln", "bn_pre", "with residual"]


def test_history_survives_what_is_not_finite(record, view):
    epochs = tuple(Epoch(i, loss, 0.1, loss, 0.1, 1.0) for i, loss in enumerate((2.3, float("inf"), float("nan")), 1))
    figure = history_figure(view(record("P1", status="diverged", history=epochs)))
    assert figure.axes[1].get_lines()[0].get_ydata()[0] == 2.3
    ElementTree.fromstring(figure_svg(figure))
    low, high = figure.axes[1].get_ylim()
    assert 0 < low < 2.3 < high < 100


def test_history_cuts_the_first_epochs_but_not_what_was_reached(record, view, history):
    figure = history_figure(
        view(
            record("P1", 0.98, history=history(0.1, 0.97, 0.98)),
            record("P2", 0.96, history=history(0.2, 0.96)),
        )
    )
    low, high = figure.axes[0].get_ylim()
    assert low == pytest.approx(94)
    assert high > 98


def test_a_single_epoch_is_visible(record, view, history):
    figure = history_figure(view(record("P1", 0.5, history=history(0.5)), record("P2", 0.5, history=history(0.4, 0.5))))
    assert [line.get_marker() for line in figure.axes[0].get_lines()] == ["o", ""]


def test_cost_draws_each_model_at_its_time_and_accuracy(whole_study):
    axes = cost_figure(summarise(whole_study)).axes[0]
    star = next(line for line in axes.get_lines() if line.get_marker() == "*")
    assert (list(star.get_xdata()), list(star.get_ydata())) == ([50], pytest.approx([90.5]))
    p2 = next(line for line in axes.get_lines() if line.get_color() == NORM_COLOURS["bn_pre"])
    assert (list(p2.get_xdata()), list(p2.get_ydata())) == ([50], pytest.approx([80]))
    assert p2.get_markerfacecolor() == "white"


def test_cost_draws_the_grid_total_at_the_best_plain_accuracy(whole_study):
    figure = cost_figure(summarise(whole_study))
    total = next(line for line in figure.axes[0].get_lines() if line.get_marker() == "D")
    assert (list(total.get_xdata()), list(total.get_ydata())) == ([158.5], pytest.approx([89]))
    dotted = next(line for line in figure.axes[0].get_lines() if line.get_linestyle() == ":")
    assert (list(dotted.get_xdata()), list(dotted.get_ydata())) == ([105, 158.5], pytest.approx([89, 89]))
    assert texts(figure) == [
        "P1\n89.00 ± 1.41 %, 105 s",
        "M1\n90.50 ± 2.12 %, 50.0 s",
        "the whole grid\n158 s\n3.05 times MGU's",
    ]


def test_cost_of_a_partial_grid_claims_nothing(record, view):
    figure = cost_figure(summarise(view(record("P1", 0.9), record("P2", status="pending"))))
    assert texts(figure) == ["P1\n90.00 %, 100 s"]
    assert "no speed-up is claimed" in figure.get_label()


@pytest.mark.parametrize("status", [None, "pending", "running", "failed", "diverged"])
def test_studies_without_a_result_do_not_crash(record, view, status):
    study = view(record("P1", status=status), record("M1", status=status, cell=None)) if status else view()
    figures = cost_figure(summarise(study)), history_figure(study), spending_figure(study, summarise(study))
    for figure in figures:
        ElementTree.fromstring(figure_svg(figure))
    if status in (None, "pending", "running"):
        assert [
            text.get_text().split(" yet")[0] for figure in figures for axes in figure.axes for text in axes.texts
        ] == [
            "no trial has finished",
            *["no trial has ended"] * 3,
        ]
        assert not any(len(axes.get_xticks()) for figure in figures for axes in figure.axes)


def test_svg_is_the_same_each_time(whole_study):
    def drawn():
        return figure_svg(cost_figure(summarise(whole_study))), figure_svg(history_figure(whole_study))

    assert drawn() == drawn()


def test_svg_is_named_responsive_and_self_contained(whole_study):
    figure = cost_figure(summarise(whole_study))
    svg = figure_svg(figure)
    root = ElementTree.fromstring(svg)
    assert svg.startswith("<svg")
    assert root.get("role") == "img"
    assert root.get("aria-label") == root.find("{*}title").text == figure.get_label()
    assert "a speed-up of 3.05" in root.get("aria-label")
    assert root.get("width") == "100%"
    assert root.get("height") is None
    assert root.get("viewBox")
    assert "metadata" not in svg
    assert not re.search(r"\b20\d\d-\d\d-\d\d", svg)
    assert set(re.findall(r"""https?://[^"'\s<]*""", svg)) == {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }


def test_two_pictures_share_no_ids(whole_study):
    both = figure_svg(cost_figure(summarise(whole_study))) + figure_svg(history_figure(whole_study))
    ids = re.findall(r'\bid="([^"]+)"', both)
    assert ids
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:url\(#|href="#)([^)"]+)', both)) <= set(ids)


@pytest.mark.parametrize("name", ["$\\frac{$", "a$b", "<script>alert(1)</script>", 'x" onload="y', "名前"])
def test_names_are_text(record, view, name):
    study = view(record(name, 0.9), record("M1", 0.8, cell=None))
    root = ElementTree.fromstring(figure_svg(cost_figure(summarise(study))))
    assert name in "".join(root.itertext())
    assert not [element for element in root.iter() if element.tag.endswith("script") or element.get("onload")]


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("mgu.report.plots", ["matplotlib.pyplot", "torch"]),
        ("mgu.report.tables", ["matplotlib", "jinja2", "torch"]),
        ("mgu.report.words", ["matplotlib", "jinja2", "torch"]),
    ],
)
def test_imports_stay_small(module, unwanted):
    code = f"import sys, {module}; sys.exit([name for name in {unwanted} if name in sys.modules] or None)"
    subprocess.run([sys.executable, "-c", code], check=True)
