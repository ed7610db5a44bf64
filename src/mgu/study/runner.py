"""Train the trials of a study that are not yet done, one after the other, whatever becomes of each."""

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


@dataclass(frozen=True)
class Trained:
    """What training a trial gives: its result, and how to write its files into a folder."""

    result: Result
    save: Callable[[Path], None]


NO_LIMIT = Budget()

#: Trains one trial: what it is, and what to call after each epoch.
Train = Callable[[Trial, Callable[[Epoch], None]], Trained]


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

    A trial's result is recorded before its files are written; what keeps them from being made is added to its message.
    Raises InputError, which ends the study, where the ledger or a file cannot be written.
    """
    for index, key in enumerate(keys, 1):
        record = ledger.record(key)
        if record.status in ("finished", "diverged"):
            continue
        if spent := budget.exceeded(ledger.view().records):
            return spent
        listener.trial_began(index, len(keys), record.trial)
        ledger.begin(key, environment)
        trained = _attempt(ledger, key, record.trial, train, listener)
        ledger.end(key, trained.result)
        unsaved = _save(trained, ledger.folder, record.trial)
        if unsaved:
            message = "; ".join(filter(None, (trained.result.message, f"not saved: {unsaved}")))
            ledger.end(key, replace(trained.result, message=message))
        listener.trial_ended(index, len(keys), ledger.record(key))
    return ""


def trial_folder(study: Path, trial: Trial) -> Path:
    """Where a trial keeps its files."""
    return study / "trials" / f"{trial.model_name}-seed{trial.seed}"


def _attempt(ledger: Ledger, key: str, trial: Trial, train: Train, listener: Listener) -> Trained:
    begun = time.perf_counter()

    def on_epoch(epoch: Epoch) -> None:
        ledger.progress(key, time.perf_counter() - begun)
        listener.epoch_ended(epoch)

    try:
        return train(trial, on_epoch)
    except InputError:
        raise
    except Exception as error:  # a trial may fail in any way; the study must go on
        message = _told(error, ledger.folder)
        return Trained(Result("failed", tts_s=time.perf_counter() - begun, message=message), lambda folder: None)


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
        return _told(error, study)


def _told(error: Exception, study: Path) -> str:
    """The error in words, with paths as the study has them."""
    return f"{type(error).__name__}: {error}".replace(f"{study.resolve()}/", "")
