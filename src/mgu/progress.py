"""How a study or a training goes, told while it runs: a live line on a terminal and in a notebook, one line a trial
elsewhere."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import fmean

from rich.console import Console

from mgu.bars import Bar, NoBar, bar_on
from mgu.history import Epoch
from mgu.report.score import Score, score_of
from mgu.study.trial import ENDED, Record, StudyView, Trial


@contextmanager
def listen(
    console: Console, epochs: int, quiet: bool, score: Score, beside: Sequence["Silent"] = ()
) -> Iterator["Silent"]:
    """The listener that fits where the words go: silent, live on a terminal and in a notebook, or lines; and those
    ``beside`` it."""
    bar = bar_on(console)
    lines = Lines(console, score) if isinstance(bar, NoBar) else Live(console, epochs, score, bar)
    listener = Silent() if quiet else lines
    told = Several([listener, *beside]) if beside else listener
    try:
        yield told
    finally:
        told.close()


class Silent:
    """Tells nothing."""

    def trial_began(self, index: int, total: int, trial: Trial) -> None:
        pass

    def trial_waits(self, trial: Trial, reason: str) -> None:
        pass

    def epoch_ended(self, trial: Trial, epoch: Epoch) -> None:
        pass

    def trial_ended(self, index: int, total: int, record: Record) -> None:
        pass

    def stopped(self, reason: str) -> None:
        pass

    def close(self) -> None:
        """Take away what stands on the terminal for the time of the run, and let go of files."""


class Several(Silent):
    """Tells all of them."""

    def __init__(self, listeners: Sequence[Silent]) -> None:
        self.listeners = listeners

    def trial_began(self, index: int, total: int, trial: Trial) -> None:
        for listener in self.listeners:
            listener.trial_began(index, total, trial)

    def trial_waits(self, trial: Trial, reason: str) -> None:
        for listener in self.listeners:
            listener.trial_waits(trial, reason)

    def epoch_ended(self, trial: Trial, epoch: Epoch) -> None:
        for listener in self.listeners:
            listener.epoch_ended(trial, epoch)

    def trial_ended(self, index: int, total: int, record: Record) -> None:
        for listener in self.listeners:
            listener.trial_ended(index, total, record)

    def stopped(self, reason: str) -> None:
        for listener in self.listeners:
            listener.stopped(reason)

    def close(self) -> None:
        for listener in self.listeners:
            listener.close()


class Lines(Silent):
    """One line for each trial that ends: its place, its result, the time spent and the time left.

    The time left supposes that what is to come costs, trial by trial, what was done so far has cost on average.
    """

    def __init__(self, console: Console, score: Score) -> None:
        self.console = console
        self.score = score
        self.begun = time.monotonic()
        self.before: int | None = None
        self.ended = 0

    def trial_began(self, index: int, total: int, trial: Trial) -> None:
        self.before = index - 1 if self.before is None else self.before

    def trial_waits(self, trial: Trial, reason: str) -> None:
        self.console.print(f"{_name(trial)} waits {reason}", highlight=False, soft_wrap=True)

    def trial_ended(self, index: int, total: int, record: Record) -> None:
        self.ended += 1
        self.console.print(
            f"{index:>3}/{total} {_name(record.trial)}  {_outcome(record, self.score)}  {self._times(0.0, total)}",
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

    def _times(self, parts: float, total: int) -> str:
        """Time spent and left when beside what has ended so many trials' worth of others is done."""
        spent, done = time.monotonic() - self.begun, self.ended + parts
        left = spent / done * (total - (self.before or 0) - done)
        return f"elapsed {_duration(spent)}, left about {_duration(left)}"


class Live(Lines):
    """``Lines``, and beside them a bar with the trial that was last heard of and its epochs."""

    def __init__(self, console: Console, epochs: int, score: Score, bar: Bar) -> None:
        super().__init__(console, score)
        self.epochs, self.bar = epochs, bar
        self.places: dict[str, tuple[int, int]] = {}
        self.parts: dict[str, float] = {}

    def trial_began(self, index: int, total: int, trial: Trial) -> None:
        super().trial_began(index, total, trial)
        self.places[_name(trial)] = (index, total)
        self.bar.show(self._under_way(trial), "first epoch", 0, self.epochs)

    def epoch_ended(self, trial: Trial, epoch: Epoch) -> None:
        self.parts[_name(trial)] = epoch.epoch / self.epochs
        times = self._times(sum(self.parts.values()), self.places[_name(trial)][1])
        state = f"{_epoch(epoch, self.epochs, self.score)}, {times}"
        self.bar.show(self._under_way(trial), state, epoch.epoch, self.epochs)

    def trial_ended(self, index: int, total: int, record: Record) -> None:
        self.close()
        self.parts.pop(_name(record.trial), None)
        super().trial_ended(index, total, record)

    def _under_way(self, trial: Trial) -> str:
        index, total = self.places[_name(trial)]
        return f"{index:>3}/{total} {_name(trial)}"

    def close(self) -> None:
        self.bar.hide()


@contextmanager
def follow(console: Console, epochs: int, score: Score) -> Iterator[Callable[[Epoch], None]]:
    """What to call after each epoch of one training, which is told on a bar where the console has one."""
    bar = bar_on(console)
    bar.show("training", "first epoch", 0, epochs)
    try:
        yield lambda epoch: bar.show("training", _epoch(epoch, epochs, score), epoch.epoch, epochs)
    finally:
        bar.hide()


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


def _epoch(epoch: Epoch, epochs: int, score: Score) -> str:
    return f"epoch {epoch.epoch}/{epochs}, {_validation(epoch.val_score, score)}"


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
