"""How a study goes, told while it runs: a live line on a terminal, one line a trial elsewhere."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import fmean

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from mgu.history import Epoch
from mgu.report.score import Score, score_of
from mgu.study.trial import ENDED, Record, StudyView, Trial


@contextmanager
def listen(console: Console, epochs: int, quiet: bool, score: Score) -> Iterator["Silent"]:
    """The listener that fits where the words go: silent, live on a terminal, or lines."""
    listener = Silent() if quiet else Live(console, epochs, score) if console.is_terminal else Lines(console, score)
    try:
        yield listener
    finally:
        listener.close()


class Silent:
    """Tells nothing."""

    def trial_began(self, index: int, total: int, trial: Trial) -> None:
        pass

    def epoch_ended(self, epoch: Epoch) -> None:
        pass

    def trial_ended(self, index: int, total: int, record: Record) -> None:
        pass

    def stopped(self, reason: str) -> None:
        pass

    def close(self) -> None:
        """Take away what stands on the terminal for the time of the run."""


class Lines(Silent):
    """One line for each trial that ends: its place, its result, the time spent and the time left.

    The time left supposes that what is to come costs, trial by trial, what was done so far has cost on average.
    """

    def __init__(self, console: Console, score: Score) -> None:
        self.console = console
        self.score = score
        self.begun = time.monotonic()
        self.first: int | None = None

    def trial_began(self, index: int, total: int, trial: Trial) -> None:
        self.first = self.first or index

    def trial_ended(self, index: int, total: int, record: Record) -> None:
        self.console.print(
            f"{index:>3}/{total} {_name(record.trial)}  {_outcome(record, self.score)}  {self._times(index, total)}",
            style="bold" if record.trial.is_mgu else "",
            highlight=False,
            soft_wrap=True,
        )

    def stopped(self, reason: str) -> None:
        self.console.print(
            f"stopped: {reason}; what has ended is kept, and the same command with a larger budget goes on",
            highlight=False,
            soft_wrap=True,
        )

    def _times(self, done: float, total: int) -> str:
        """Time spent and left when ``done`` trials of ``total``, parts counted, are done."""
        spent = time.monotonic() - self.begun
        before = (self.first or 1) - 1
        left = spent / (done - before) * (total - done)
        return f"elapsed {_duration(spent)}, left about {_duration(left)}"


class Live(Lines):
    """``Lines``, and below them the trial under way with its epochs."""

    def __init__(self, console: Console, epochs: int, score: Score) -> None:
        super().__init__(console, score)
        self.epochs = epochs
        self.place = (1, 1)
        self.bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )

    def trial_began(self, index: int, total: int, trial: Trial) -> None:
        super().trial_began(index, total, trial)
        self.place = (index, total)
        self.bar.start()
        self.bar.add_task(f"{index:>3}/{total} {_name(trial)}", total=self.epochs, state="first epoch")

    def epoch_ended(self, epoch: Epoch) -> None:
        index, total = self.place
        times = self._times(index - 1 + epoch.epoch / self.epochs, total)
        state = f"epoch {epoch.epoch}/{self.epochs}, {_validation(epoch.val_score, self.score)}, {times}"
        self.bar.update(self.bar.task_ids[-1], completed=epoch.epoch, state=state)

    def trial_ended(self, index: int, total: int, record: Record) -> None:
        self.close()
        super().trial_ended(index, total, record)

    def close(self) -> None:
        for task in list(self.bar.task_ids):
            self.bar.remove_task(task)
        self.bar.stop()


def standing(view: StudyView) -> Iterator[str]:
    """How far a study is, in lines: what has ended and how, what runs, what went wrong, and about how long the rest
    takes, each trial as long as those that ended took on average."""
    counts = Counter(record.status for record in view.records)
    ended = [record for record in view.records if record.status in ENDED and record.result]
    states = ", ".join(f"{counts[status]} {status}" for status in (*ENDED, "running", "pending") if counts[status])
    yield f"{len(ended)} of {len(view.records)} trials have ended ({states or 'none was begun'})"
    spent = sum(record.spent_s for record in view.records)
    left = (len(view.records) - len(ended)) * fmean(record.spent_s for record in ended) if ended else None
    yield f"spent {_duration(spent)}" + (f", left about {_duration(left)}" if left else "")
    for record in view.records:
        if record.status == "running":
            yield f"{_name(record.trial)} runs, or its process has died: {_duration(record.lost_s)} to its last epoch"
        elif record.status in ("diverged", "failed"):
            yield f"{_name(record.trial)} {_outcome(record, score_of(view))}"


def _name(trial: Trial) -> str:
    return f"{trial.model_name} seed {trial.seed}"


def _validation(recorded: float, score: Score) -> str:
    return f"validation {score.name} {score.full(score.scale * recorded)}"


def _outcome(record: Record, score: Score) -> str:
    result = record.result
    if result is None or result.val_score is None:
        return f"{record.status}: {result.message if result else ''}"
    return f"{_validation(result.val_score, score)}  {len(result.history)} epochs in {result.tts_s:.1f} s"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
