"""One network through the epochs of a recipe, on its clocks."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from torch import Tensor

from mgu.history import Epoch, Flops, Result, Usage
from mgu.measure import Clock, combined
from mgu.training.cases import case_answers
from mgu.training.learner import Learner, Setting, Weights
from mgu.training.operations import Operations
from mgu.training.samples import EVALUATION_BATCH, Samples

Splits = tuple[Samples, Samples, Samples]
#: Latency is the median of so many calls.
ROUNDS = 10
NOTHING = Flops(0, 0)


@dataclass(frozen=True)
class Snapshot:
    """A run as it once was: its weights, its history so far, the seconds on its clocks, its operations and what its
    meter had read."""

    weights: Weights | None = None
    history: tuple[Epoch, ...] = ()
    elapsed_s: float = 0.0
    train_s: float = 0.0
    compile_s: float = 0.0
    flops: Flops | None = NOTHING
    usage: Usage | None = None

    @property
    def epoch(self) -> int:
        return len(self.history)


@dataclass(frozen=True)
class Progress:
    """A run between two steps, with all that it needs to go on: what it was ``at``, its learner's state, its best
    epoch so far with the weights, and the snapshot that was taken of it."""

    at: Snapshot
    learner: Weights
    best: Epoch | None
    best_weights: Weights | None
    snapshot: Snapshot | None


class Keeping(Protocol):
    """Where a run's progress is kept, when that is ``due``, which costs nothing to ask."""

    @property
    def due(self) -> bool: ...

    def keep(self, make: Callable[[], Progress]) -> None: ...


class Run:
    """The training of a network. ``splits`` gives the samples, and ``build`` what learns from those to train on, on the
    run's clock; ``before`` is the run that this one goes on from, its epochs and all that it cost counted.

    ``resumed`` is this run as it was once, from where it goes on; what was spent to build it again is on no clock.
    After each step and each epoch its progress is kept by ``keeping`` where that is due.
    """

    def __init__(
        self,
        build: Callable[[Samples], Learner],
        splits: Callable[[], Splits],
        setting: Setting,
        before: Snapshot | None = None,
        resumed: Progress | None = None,
        keeping: Keeping | None = None,
    ) -> None:
        self.setting, self.before, self.resumed, self.keeping = setting, before or Snapshot(), resumed, keeping
        self.task, self.recipe, device = setting.task, setting.recipe, setting.device
        self.base = resumed.at if resumed else self.before
        self.usage = self.base.usage
        self.train_clock, self.compile_clock, self.telling_clock = (Clock(device) for _ in range(3))
        self.begun = self.train_clock.now() - self.base.elapsed_s
        self.train_samples, self.validation, self.test = splits()
        self.learner = build(self.train_samples)
        self.history = list(self.base.history)
        self.best = resumed.best if resumed else None
        self.best_weights = resumed.best_weights if resumed else None
        self.snapshot = resumed.snapshot if resumed else None
        if resumed:
            self.begun = self.train_clock.now() - self.base.elapsed_s

    def solve(self, on_epoch: Callable[[Epoch], None], snapshot_after: int = 0) -> Result:
        """Train, evaluate on the test split, and leave the network with the best epoch's weights.

        ``snapshot`` is then the run as it was after epoch ``snapshot_after``, or its last one where it ended before.
        """
        with self.compile_clock.running():
            self.learner.warm_up(self.validation, self.test)
        finished = self.fit(on_epoch, snapshot_after)
        answered = self.learner.predict(self.test) if finished else None
        tts_s = self.elapsed_s
        self._read_meter()
        best = self.best if finished else None
        return Result(
            status="finished" if finished else "diverged",
            tts_s=tts_s,
            train_s=self.train_s,
            compile_s=self.compile_s,
            train_score=best.train_score if best else None,
            val_score=best.val_score if best else None,
            test_score=self._score(answered, self.test) if answered is not None else None,
            test_answers=self.task.answers(answered, self.test.y) if answered is not None else None,
            test_case_answers=case_answers(self.task, answered, self.test) if answered is not None else None,
            best_epoch=best.epoch if best else None,
            history=tuple(self.history),
            message="" if finished else f"the loss was not finite in epoch {len(self.history) + 1}",
            latency_s=self._latency_s() if finished else None,
            step_flops=self.operations.step if self.operations else None,
            run_flops=self._flops(tested=finished),
            usage=self.usage,
        )

    def fit(self, on_epoch: Callable[[Epoch], None], snapshot_after: int = 0) -> bool:
        """Train until the epochs or the patience are spent, and restore the best weights; False where it diverged."""
        if self.resumed:
            self.learner.resume(self.resumed.learner)
        for number in range(len(self.history) + 1, self.recipe.epochs + 1):
            train_loss, train_score = self.train()
            if not math.isfinite(train_loss):
                return False
            val_loss, val_score = self.evaluate(self.validation)
            elapsed_s = self.elapsed_s
            with self.telling_clock.running():
                gates = self.learner.gate_means(self.validation.spread(EVALUATION_BATCH))
                epoch = Epoch(number, train_loss, train_score, val_loss, val_score, elapsed_s, gates)
                self.history.append(epoch)
                on_epoch(epoch)
                if number == snapshot_after:
                    self._take_snapshot()
            if self.best is None or epoch.val_score > self.best.val_score:
                self.best, self.best_weights = epoch, self.learner.weights()
            elif number - self.best.epoch >= self.recipe.patience:
                break
            self._keep_if_due()
        if snapshot_after and not self.snapshot:
            self._take_snapshot()
        if self.best_weights is not None:
            self.learner.restore(self.best_weights)
        return True

    def _keep_if_due(self) -> None:
        if not (self.keeping and self.keeping.due):
            return
        elapsed_s = self.elapsed_s
        with self.telling_clock.running():
            self.keeping.keep(lambda: self._progress(elapsed_s))

    def _keep_between_steps(self) -> None:
        if self.keeping and self.keeping.due:  # asked first: to pause a clock waits for the device
            with self.train_clock.paused():
                self._keep_if_due()

    def _progress(self, elapsed_s: float) -> Progress:
        self._read_meter()
        at = Snapshot(None, tuple(self.history), elapsed_s, self.train_s, self.compile_s, None, self.usage)
        return Progress(at, self.learner.state(), self.best, self.best_weights, self.snapshot)

    @property
    def elapsed_s(self) -> float:
        """Seconds of the trial's own time, those before counted."""
        return self.train_clock.now() - self.begun - self.apart_s

    @property
    def train_s(self) -> float:
        """Seconds of training steps, those before counted."""
        return self.base.train_s + self.train_clock.seconds

    @property
    def compile_s(self) -> float:
        """Seconds of compiling, those before counted."""
        return self.base.compile_s + self.compile_clock.seconds

    @property
    def apart_s(self) -> float:
        """Time that is not the trial's own: compiling, and telling of epochs."""
        return self.compile_clock.seconds + self.telling_clock.seconds

    def train(self) -> tuple[float, float]:
        """One epoch of training steps: its running mean loss and score."""
        with self.train_clock.running():
            loss, scored = self.learner.train(self._keep_between_steps)
        return loss, self.task.score(scored, self.train_samples.y)

    def evaluate(self, samples: Samples) -> tuple[float, float]:
        """Mean loss and score in evaluation mode."""
        answered = self.learner.predict(samples)
        found = self.task.loss(answered, samples.y).item(), self._score(answered, samples)
        return self.setting.world.say(lambda: found)

    def _score(self, answered: Tensor, samples: Samples) -> float:
        return self.task.score(self.task.scored(answered, samples.y).item(), samples.y)

    def _take_snapshot(self) -> None:
        self._read_meter()
        self.snapshot = Snapshot(
            self.learner.weights(),
            tuple(self.history),
            self.history[-1].elapsed_s if self.history else 0.0,
            self.train_s,
            self.compile_s,
            self._flops(tested=False),
            self.usage,
        )
        if self.setting.meter:
            self.setting.meter.lap()  # counting operations is no part of the run

    def _read_meter(self) -> None:
        if self.setting.meter:
            lap = self.setting.meter.lap()
            self.usage = combined(self.usage, lap) if self.usage else lap

    def _flops(self, *, tested: bool) -> Flops | None:
        """All so far, with the test's where it was made; None where they are not known."""
        if not self.operations or not self.before.flops:
            return None
        own = self.operations.epoch * (len(self.history) - self.before.epoch)
        return self.before.flops + own + (self.operations.test if tested else NOTHING)

    @cached_property
    def operations(self) -> Operations | None:
        """What a step, an epoch and the test take; to be read once steps were taken."""
        return self.learner.operations(self.validation, self.test)

    def _latency_s(self) -> float:
        return self.learner.latency_s(self.validation.first(self.recipe.batch_size), ROUNDS)
