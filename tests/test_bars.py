"""The bar of a training in a notebook: what its output has after each call, with IPython's display handle played."""

import io
import sys
from types import ModuleType

import pytest
from rich.console import Console

from mgu import bars
from mgu.history import Epoch
from mgu.progress import Live, follow, listen
from mgu.report.score import ACCURACY
from mgu.study.trial import Record
from samples import RESULT, TRIALS


class DisplayHandle:
    """As IPython's: ``display`` makes an output, ``update`` replaces it."""

    outputs: list

    def display(self, content, raw):
        assert raw
        self.at = len(self.outputs)
        self.outputs.append([content])

    def update(self, content, raw):
        assert raw
        self.outputs[self.at].append(content)


@pytest.fixture
def outputs(monkeypatch):
    package, module = ModuleType("IPython"), ModuleType("IPython.display")
    module.DisplayHandle = type("Played", (DisplayHandle,), {"outputs": []})
    module.display = lambda printed: module.DisplayHandle.outputs.append([printed._repr_mimebundle_((), ())])
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return module.DisplayHandle.outputs


def notebook(**options):
    return Console(file=io.StringIO(), force_jupyter=True, width=160, **options)


def epoch(number):
    return Epoch(number, 0.5, 0.5, 0.5, 0.625, 5.0)


def test_a_fit_has_one_output_that_is_replaced_and_is_empty_at_the_end(outputs):
    with follow(notebook(), 4, ACCURACY) as tell:
        tell(epoch(1))
        tell(epoch(3))
    assert [o["text/plain"] for o in outputs[0]] == [
        "training  first epoch",
        "training  epoch 1/4, validation accuracy 62.50 %",
        "training  epoch 3/4, validation accuracy 62.50 %",
        "",
    ]
    assert outputs[0][2]["text/html"].startswith('<progress value="3" max="4"></progress> <code>training  epoch 3/4')
    assert len(outputs) == 1


def test_a_study_has_its_bar_above_the_lines_of_its_trials(outputs):
    with listen(notebook(), 4, quiet=False, score=ACCURACY) as listener:
        for index, trial in enumerate(TRIALS, 1):
            listener.trial_began(index, 2, trial)
            listener.epoch_ended(trial, epoch(2))
            listener.trial_ended(index, 2, Record(trial, "finished", 1, RESULT))
    bar, *lines = outputs
    told = [content["text/plain"] for content in bar]
    assert told[0] == "  1/2 A_001 seed 0  first epoch"
    assert told[1].startswith("  1/2 A_001 seed 0  epoch 2/4, validation accuracy 62.50 %, elapsed")
    assert told[3] == "  2/2 A_MGU_001 seed 0  first epoch"
    assert told[-1] == ""
    assert len(lines) == 2
    assert "2/2 A_MGU_001 seed 0  validation accuracy 80.00 %" in lines[1][0]["text/plain"]


def test_quiet_has_no_output_and_a_file_has_no_bar(outputs):
    with follow(notebook(quiet=True), 4, ACCURACY) as tell:
        tell(epoch(1))
    with listen(notebook(), 4, quiet=True, score=ACCURACY) as listener:
        listener.trial_began(1, 1, TRIALS[0])
    assert outputs == []
    file = Console(file=io.StringIO())
    with follow(file, 4, ACCURACY) as tell:
        tell(epoch(1))
    with listen(file, 4, quiet=False, score=ACCURACY) as listener:
        assert not isinstance(listener, Live)
    assert file.file.getvalue() == ""


def test_what_is_told_is_no_html(outputs):
    bars.bar_on(notebook()).show("<b>", "a & b", 1, 2)
    assert "<code>&lt;b&gt;  a &amp; b</code>" in outputs[0][0]["text/html"]


def test_a_fit_on_a_terminal_shows_its_epoch():
    terminal = Console(file=io.StringIO(), force_terminal=True, width=160, color_system=None, legacy_windows=False)
    bar = bars.bar_on(terminal)
    bar.show("training", "first epoch", 0, 4)
    bar.show("training", "epoch 3/4", 3, 4)
    bar.refresh()
    assert "epoch 3/4" in terminal.file.getvalue()
    bar.hide()
    assert bar.finished
