"""The driver of a study without its trials: a study whose workers train nothing and answer what was recorded before.

All that the driver does is as it is in a study: keys, ledger, weights, budget, report. Only the training is left out.
"""

import time
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle
from pathlib import Path
from types import SimpleNamespace

from mgu.comparison import Comparison
from mgu.data import load_data
from mgu.layouts import Layout
from mgu.progress import Silent
from mgu.spaces import load_space
from mgu.study import runner
from mgu.study.ledger import FILE, read_study
from mgu.study.runner import Trained
from mgu.study.workers import Answer, Began, Changed
from mgu.training import Recipe

#: What a trial's process tells of by the driver's ledger, beside its epochs.
BEGAN, EPOCH, CHECKPOINT, ANSWER = "began", "epoch", "checkpoint", "answer"
#: What it sends in the course of it: its state, with the optimizer's two moments.
STATE = {"checkpoints/checkpoint-000001.safetensors": bytes(300_000)}
#: Epochs told of a trial: each costs what the others do, and a thousand trials of all their epochs would take minutes.
TOLD = 3
#: Files that a trial sends to the driver where it was on another machine.
FILES = {"weights.safetensors": bytes(100_000), "weights.sha256": bytes(90)}


@dataclass
class Replay:
    """Workers, one trial at a time, that answer one result after the other at once; ``taken`` has the seconds that the
    driver took for each message, from when it was given to when the next was asked for, by the message's kind."""

    results: Sequence
    environment: dict[str, str]
    slots: int = 1
    taken: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self):
        self._next = cycle(self.results)
        self._told = deque()
        self._given = None

    def start(self, key, job, folder):
        result = next(self._next)
        epochs = [(EPOCH, epoch) for epoch in result.history[:TOLD]]
        told = [
            (BEGAN, Began(self.environment)),
            *epochs,
            (CHECKPOINT, Changed(STATE)),
            (ANSWER, Answer(Trained(result), {**FILES, **dict.fromkeys(STATE)})),
        ]
        self._told.extend((key, *each) for each in told)

    def next(self):
        self.ended()
        key, kind, message = self._told.popleft()
        self._given = kind, time.perf_counter()
        return key, message

    def stop(self, within_s):
        return iter(())

    def ended(self):
        if self._given:
            kind, begun = self._given
            self.taken[kind].append(time.perf_counter() - begun)
            self._given = None

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.ended()


@dataclass(frozen=True)
class Driven:
    """What the driver took for a study, in seconds: to make its list of trials and to open it, for each message by its
    kind, in order, to read all records, and to write the report. And the ledger's size in bytes."""

    opening: float
    messages: dict[str, list[float]]
    view: float
    report: float
    bytes: int


def recorded(study):
    """The finished plain results of a study, which trials may have had, and the environment of its first."""
    view = read_study(study)
    found = [record.result for record in view.records if record.trial.kind == "plain" and record.result]
    return found, {name: str(value) for name, value in view.environment.items()}


def made_up(cells):
    """A comparison of so many plain cells on digits: eight on each of as many layouts as it takes."""
    space = load_space("digits")
    layouts = tuple(Layout(2, 1, 2, 2, 2 + number / cells) for number in range(-(-cells // len(space.cells))))
    return Comparison(load_data("digits"), replace(space, layouts=layouts), Recipe())


def drive(folder: Path, cells: int, study: Path, searches: Sequence[str] = ()) -> Driven:
    """A study of so many cells in the folder, with one seed, of results of another study."""
    workers, begun = Replay(*recorded(study)), time.perf_counter()
    comparison = made_up(cells)
    trials = [trial for trial in comparison.trials([0]) if not trial.is_mgu][:cells]
    place = SimpleNamespace(open=lambda *given: workers, alone=True, on="local")
    runner.APART_S = 0.0  # each epoch is written, so that what that takes is seen
    first = time.perf_counter()
    comparison.run(folder, trials, _Begins(), searches=searches, place=place)
    ended = time.perf_counter()
    driven = sum(map(sum, workers.taken.values()))
    read = time.perf_counter()
    read_study(folder)
    return Driven(
        first - begun,
        dict(workers.taken),
        time.perf_counter() - read,
        ended - first - driven,
        (folder / FILE).stat().st_size,
    )


class _Begins(Silent):
    """A listener that hears nothing."""
