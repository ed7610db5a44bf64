"""Train the trials of a study that are not yet done, one after the other, whatever becomes of each."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from mgu.history import Epoch, Result
from mgu.study.ledger import Ledger
from mgu.study.trial import Record, Trial

#: Trains one trial: what it is, the folder for its files, and what to call after each epoch.
Train = Callable[[Trial, Path, Callable[[Epoch], None]], Result]


class Listener(Protocol):
    """Told how a study goes; ``index`` counts the trials asked for, from 1 to ``total``."""

    def trial_began(self, index: int, total: int, trial: Trial) -> None: ...

    def epoch_ended(self, epoch: Epoch) -> None: ...

    def trial_ended(self, index: int, total: int, record: Record) -> None: ...


def run(ledger: Ledger, keys: Sequence[str], train: Train, environment: Mapping[str, str], listener: Listener) -> None:
    """Train each of the trials that has no result yet.

    An error in a trial is its result ("failed", with the error's text and the time it cost), and the next trial goes
    on. A failed trial is tried again by the next call, as is one whose process died; a finished or diverged one is not.
    """
    for index, key in enumerate(keys, 1):
        record = ledger.record(key)
        if record.status in ("finished", "diverged"):
            continue
        listener.trial_began(index, len(keys), record.trial)
        ledger.begin(key, environment)
        ledger.end(key, _attempt(ledger, key, record.trial, train, listener))
        listener.trial_ended(index, len(keys), ledger.record(key))


def trial_folder(study: Path, trial: Trial) -> Path:
    """Where a trial keeps its files."""
    return study / "trials" / f"{trial.model_name}-seed{trial.seed}"


def _attempt(ledger: Ledger, key: str, trial: Trial, train: Train, listener: Listener) -> Result:
    begun = time.perf_counter()

    def on_epoch(epoch: Epoch) -> None:
        ledger.progress(key, time.perf_counter() - begun)
        listener.epoch_ended(epoch)

    try:
        folder = trial_folder(ledger.folder, trial)
        folder.mkdir(parents=True, exist_ok=True)
        return train(trial, folder, on_epoch)
    except Exception as error:  # a trial may fail in any way; the study must go on
        return Result("failed", tts_s=time.perf_counter() - begun, message=f"{type(error).__name__}: {error}")
