"""Train the trials of a study that are not yet done, as many at once as there are workers, whatever becomes of each."""

import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from mgu.errors import InputError
from mgu.files import sweep
from mgu.history import Epoch, Result
from mgu.study.budget import Budget
from mgu.study.ledger import Ledger
from mgu.study.mirror import Changes, apply
from mgu.study.stops import hear, held
from mgu.study.trial import Record, Trial
from mgu.study.workers import Answer, Began, Changed, Death, Failure, Job, Kept, Refusal, Stall, Waiting, Workers


@dataclass(frozen=True)
class Trained:
    """What the job of a trial answers: its result, what kept its files from being made, and what the disk had against
    them."""

    result: Result
    unsaved: str = ""
    unwritable: str = ""


NO_LIMIT = Budget()
#: An attempt whose process died is followed by another, but for so many deaths in a row with nothing kept between.
DEATHS = 3
#: How a trial ends that is not tried again.
DONE = ("finished", "diverged")
#: The folder in a trial's own where its state is kept until its result is on record.
CHECKPOINTS = "checkpoints"
#: Seconds that trials have to keep their state once the study is stopped.
LEAVE_S = 5.0
#: Seconds between two entries of how long an attempt has run, at least: each waits for the disk.
APART_S = 1.0


class Listener(Protocol):
    """Told how a study goes; ``index`` counts the trials asked for, from 1 to ``total``."""

    def trial_began(self, index: int, total: int, trial: Trial) -> None: ...

    def trial_waits(self, trial: Trial, reason: str) -> None: ...

    def epoch_ended(self, trial: Trial, epoch: Epoch) -> None: ...

    def trial_ended(self, index: int, total: int, record: Record) -> None: ...

    def stopped(self, reason: str) -> None: ...


def run(
    ledger: Ledger,
    keys: Sequence[str],
    job_of: Callable[[Trial], Job],
    workers: Workers,
    listener: Listener,
    budget: Budget = NO_LIMIT,
) -> str:
    """Train each of the trials that has no result yet, and return why some were left: their budget is spent, which is
    looked at before each of them, or nothing.

    The job of a trial answers ``Trained``, and tells of each ``Epoch`` and of each state that was ``Kept`` or found. An
    error in it is its result ("failed", with the error's text and the time it cost), and the others go on. A failed
    trial is tried again by the next call, as is one whose process died; a finished or diverged one is not.

    What keeps a trial's files from being made is added to its result's message. Raises InputError, which ends the
    study, where the ledger or a file cannot be written. A KeyboardInterrupt ends it too, once the trials under way have
    kept their state, for which they have ``LEAVE_S``; it waits until what was told is on record.
    """
    under_way: dict[str, _Attempts] = {}
    with held():
        try:
            return _run(ledger, keys, job_of, workers, listener, budget, under_way)
        except KeyboardInterrupt:
            _stop(workers, under_way, len(keys))
            raise
        finally:
            with suppress(InputError):  # which may be why it ends
                for attempts in under_way.values():
                    attempts.stopped()


def _run(
    ledger: Ledger,
    keys: Sequence[str],
    job_of: Callable[[Trial], Job],
    workers: Workers,
    listener: Listener,
    budget: Budget,
    under_way: "dict[str, _Attempts]",
) -> str:
    known = [(index, key, ledger.record(key)) for index, key in enumerate(keys, 1)]
    waiting = deque(entry for entry in known if entry[2].status not in DONE)
    for _, _, record in known:
        if record.status in DONE:
            _drop_checkpoints(ledger.folder, record.trial)  # of a driver that was killed before it did
    spent = ""
    while waiting or under_way:
        hear()
        while waiting and len(under_way) < workers.slots:
            hear()
            if spent := budget.exceeded(ledger.records()):
                waiting.clear()
                break
            index, key, record = waiting.popleft()
            listener.trial_began(index, len(keys), record.trial)
            under_way[key] = _Attempts(ledger, index, key, record.trial, job_of(record.trial), workers, listener)
            under_way[key].start()
        if not under_way:
            break
        key, message = workers.next()
        _hear(under_way, key, message, len(keys))
    return spent


def _stop(workers: Workers, under_way: "dict[str, _Attempts]", total: int) -> None:
    with suppress(InputError):  # where no more is heard of them
        for key, message in workers.stop(LEAVE_S):
            with suppress(InputError):  # where it cannot be written, there is no more to do
                if isinstance(message, Death | Stall):
                    under_way.pop(key).stopped()
                else:
                    _hear(under_way, key, message, total)


def _hear(under_way: "dict[str, _Attempts]", key: str, message: Any, total: int) -> None:
    """Hear what is told of a trial, which is no longer under way once it has ended."""
    attempts = under_way[key]
    if attempts.told(message):
        del under_way[key]
        attempts.listener.trial_ended(attempts.index, total, attempts.ledger.record(key))


def trial_folder(study: Path, trial: Trial) -> Path:
    """Where a trial keeps its files. Raises InputError where that is a link, which may lead out of the study."""
    folder = study / "trials" / f"{trial.model_name}-seed{trial.seed}"
    if any(os.path.islink(path) for path in (folder.parent, folder, folder / CHECKPOINTS)):
        raise InputError(f"{folder} is a link, or in one; a study's files are in its own folder: put them there")
    return folder


class _Attempts:
    """The attempts at one trial, one after the other, each with its cost in the ledger."""

    def __init__(
        self, ledger: Ledger, index: int, key: str, trial: Trial, job: Job, workers: Workers, listener: Listener
    ) -> None:
        self.ledger, self.index, self.key, self.trial = ledger, index, key, trial
        self.job, self.workers, self.listener = job, workers, listener
        self.farthest_s, self.deaths = 0.0, 0
        self.begun: float | None = None
        self.kept_s: float | None = None

    def start(self) -> None:
        """Have the next attempt made, without what an attempt that was killed had half written."""
        self.begun = self.kept_s = None
        self.written_at = time.monotonic()
        folder = trial_folder(self.ledger.folder, self.trial)
        try:
            sweep(folder)
        except OSError as error:
            raise _unwritable(self.ledger.folder, self.trial, error.strerror or str(error)) from error
        self.workers.start(self.key, self.job, folder)

    def told(self, message: Any) -> bool:
        """Hear what is said of the attempt under way, and return whether the trial has ended, and is on record."""
        if isinstance(message, Waiting):
            self.listener.trial_waits(self.trial, message.reason)
            return False
        trained = self._hear(message)
        if trained:
            _record(self.ledger, self.key, self.trial, trained, message)
        return trained is not None

    def _hear(self, message: Any) -> Trained | None:
        if self.begun is None:  # that it began is said first, but by one that died of it
            self.ledger.begin(self.key, message.environment if isinstance(message, Began) else {})
            self.begun = time.perf_counter()
        match message:
            case Epoch():
                self._progress()
                self.listener.epoch_ended(self.trial, message)
            case Kept(seconds):
                self._keep(seconds)
            case Changed(files):
                _mirror(files, self.ledger.folder, self.trial)
            case Answer(trained):
                return trained  # type: ignore[no-any-return]
            case Refusal(text):
                raise InputError(text)
            case Failure(text) | Stall(text):
                return self._failed(text)
            case Death(text):
                return self._died(text)
        return None

    def stopped(self) -> None:
        """Enter how long the attempt under way has run."""
        if self.begun is not None:
            self.ledger.progress(self.key, self._elapsed_s)

    def _progress(self) -> None:
        if time.monotonic() >= self.written_at + APART_S:
            self.ledger.progress(self.key, self._elapsed_s)
            self.written_at = time.monotonic()

    def _keep(self, seconds: float) -> None:
        if self.kept_s is None:
            self.begun = time.perf_counter() - seconds
            self.ledger.resume(self.key, seconds)
        else:
            self.ledger.progress(self.key, self._elapsed_s)  # never less than what is kept, which is not lost
        self.kept_s = seconds

    def _died(self, death: str) -> Trained | None:
        """Make another attempt, unless it is time to give up."""
        self.ledger.progress(self.key, self._elapsed_s)
        self.deaths = 1 if (self.kept_s or 0) > self.farthest_s else self.deaths + 1
        self.farthest_s = max(self.farthest_s, self.kept_s or 0)
        if self.deaths >= DEATHS:
            return self._failed(f"{death}, in {DEATHS} attempts")
        self.start()
        return None

    @property
    def _elapsed_s(self) -> float:
        """Seconds of this attempt, and of what it went on from."""
        assert self.begun is not None
        return time.perf_counter() - self.begun

    def _failed(self, message: str) -> Trained:
        return Trained(Result("failed", tts_s=self._elapsed_s, message=_without(message, self.ledger.folder)))


def _record(ledger: Ledger, key: str, trial: Trial, trained: Trained, told: Any) -> None:
    """Have a trial's files where they belong, record its result, and only then delete what it could go on from."""
    if trained.unwritable:
        raise _unwritable(ledger.folder, trial, trained.unwritable)
    if isinstance(told, Answer):
        _mirror(told.files, ledger.folder, trial)
    result = trained.result
    if trained.unsaved:
        unsaved = f"not saved: {_without(trained.unsaved, ledger.folder)}"
        result = replace(result, message="; ".join(filter(None, (result.message, unsaved))))
    ledger.end(key, result)
    if result.status in DONE:
        _drop_checkpoints(ledger.folder, trial)


def _drop_checkpoints(study: Path, trial: Trial) -> None:
    shutil.rmtree(trial_folder(study, trial) / CHECKPOINTS, ignore_errors=True)


def _mirror(files: Changes, study: Path, trial: Trial) -> None:
    try:
        apply(files, trial_folder(study, trial))
    except OSError as error:
        raise _unwritable(study, trial, error.strerror or str(error)) from error


def _unwritable(study: Path, trial: Trial, why: str) -> InputError:
    return InputError(
        f"{trial_folder(study, trial)}: the trial's files cannot be written ({why}); make room, and the same command "
        "goes on from the trial's last checkpoint"
    )


def _without(message: str, study: Path) -> str:
    """A message with paths as the study has them."""
    return message.replace(f"{study.resolve()}/", "")
