"""Train the trials of a study that are not yet done, one after the other, whatever becomes of each."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from mgu.errors import InputError
from mgu.history import Epoch, Result
from mgu.study.budget import Budget
from mgu.study.ledger import Ledger
from mgu.study.trial import Record, Trial
from mgu.study.workers import DiedError, FailedError, StalledError


@dataclass(frozen=True)
class Trained:
    """What training a trial gives: its result, and how to write its files into a folder."""

    result: Result
    save: Callable[[Path], None]


NO_LIMIT = Budget()


@dataclass(frozen=True)
class Kept:
    """So many seconds of a trial's clock are in a checkpoint: they are not lost with the attempt."""

    seconds: float


#: Trains one trial: what it is, and what to call after each epoch, and with each state that was kept or found.
Train = Callable[[Trial, Callable[[Epoch | Kept], None]], Trained]
#: An attempt whose process died is followed by another, but for so many deaths in a row with nothing kept between.
DEATHS = 3


class Listener(Protocol):
    """Told how a study goes; ``index`` counts the trials asked for, from 1 to ``total``."""

    def trial_began(self, index: int, total: int, trial: Trial) -> None: ...

    def epoch_ended(self, epoch: Epoch) -> None: ...

    def trial_ended(self, index: int, total: int, record: Record) -> None: ...

    def stopped(self, reason: str) -> None: ...


def run(
    ledger: Ledger,
    keys: Sequence[str],
    train: Train,
    environment: Mapping[str, str],
    listener: Listener,
    budget: Budget = NO_LIMIT,
) -> str:
    """Train each of the trials that has no result yet, and return why some were left: their budget is spent, which is
    looked at before each of them, or nothing.

    An error in a trial is its result ("failed", with the error's text and the time it cost), and the next trial goes
    on. A failed trial is tried again by the next call, as is one whose process died; a finished or diverged one is not.

    What keeps a trial's files from being made is added to its result's message. Raises InputError, which ends the
    study, where the ledger or a file cannot be written.
    """
    for index, key in enumerate(keys, 1):
        record = ledger.record(key)
        if record.status in ("finished", "diverged"):
            continue
        if spent := budget.exceeded(ledger.view().records):
            return spent
        listener.trial_began(index, len(keys), record.trial)
        trained = _Attempts(ledger, key, record.trial, train, environment, listener).trained()
        ledger.end(key, trained.result)
        unsaved = _save(trained, ledger.folder, record.trial)
        if unsaved:
            message = "; ".join(filter(None, (trained.result.message, f"not saved: {unsaved}")))
            ledger.end(key, replace(trained.result, message=message))
        listener.trial_ended(index, len(keys), ledger.record(key))
    return ""


def trial_folder(study: Path, trial: Trial) -> Path:
    """Where a trial keeps its files. Raises InputError where that is a link, which may lead out of the study."""
    folder = study / "trials" / f"{trial.model_name}-seed{trial.seed}"
    if os.path.islink(folder) or os.path.islink(folder.parent):
        raise InputError(f"{folder} is a link, or in one; a study's files are in its own folder: put them there")
    return folder


class _Attempts:
    """The attempts at one trial, each with its cost in the ledger."""

    def __init__(
        self,
        ledger: Ledger,
        key: str,
        trial: Trial,
        train: Train,
        environment: Mapping[str, str],
        listener: Listener,
    ) -> None:
        self.ledger, self.key, self.trial, self.train = ledger, key, trial, train
        self.environment, self.listener = environment, listener
        self.kept_s: float | None = None  # by the attempt that is under way
        self.farthest_s, self.deaths = 0.0, 0

    def trained(self) -> Trained:
        """What the first attempt gives whose process does not die, or that there was none."""
        while True:
            self.ledger.begin(self.key, self.environment)
            self.begun, self.kept_s = time.perf_counter(), None
            try:
                return self.train(self.trial, self._told)
            except InputError:
                raise
            except DiedError as death:
                self.ledger.progress(self.key, self._elapsed_s)
                self.deaths = 1 if (self.kept_s or 0) > self.farthest_s else self.deaths + 1
                self.farthest_s = max(self.farthest_s, self.kept_s or 0)
                if self.deaths >= DEATHS:
                    return self._failed(f"{death}, in {DEATHS} attempts")
            except (FailedError, StalledError) as error:
                return self._failed(str(error))
            except Exception as error:  # a trial may fail in any way; the study must go on
                return self._failed(f"{type(error).__name__}: {error}")

    def _told(self, message: Epoch | Kept) -> None:
        if isinstance(message, Epoch):
            self.ledger.progress(self.key, self._elapsed_s)
            self.listener.epoch_ended(message)
        elif self.kept_s is None:
            self.begun, self.kept_s = time.perf_counter() - message.seconds, message.seconds
            self.ledger.resume(self.key, message.seconds)
        else:
            self.kept_s = message.seconds

    @property
    def _elapsed_s(self) -> float:
        """Seconds of this attempt, and of what it went on from."""
        return time.perf_counter() - self.begun

    def _failed(self, message: str) -> Trained:
        told = _without(message, self.ledger.folder)
        return Trained(Result("failed", tts_s=self._elapsed_s, message=told), lambda folder: None)


def _save(trained: Trained, study: Path, trial: Trial) -> str:
    """Write the trial's files, and return what kept them from being made, or nothing."""
    folder = trial_folder(study, trial)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trained.save(folder)
        return ""
    except OSError as error:
        raise InputError(
            f"{folder}: the trial's files cannot be written ({error.strerror or error}); its result is kept: make "
            "room, and the same command goes on"
        ) from error
    except Exception as error:  # the result is recorded, and the study must go on
        return _without(f"{type(error).__name__}: {error}", study)


def _without(message: str, study: Path) -> str:
    """A message with paths as the study has them."""
    return message.replace(f"{study.resolve()}/", "")
