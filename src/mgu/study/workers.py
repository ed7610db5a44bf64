"""What a study asks of those that do its jobs, wherever these run, and what it is told of each."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from mgu.errors import InputError
from mgu.study.mirror import Changes


@dataclass(frozen=True)
class Place:
    """Where a job is done: the folder of its files, what to call with whatever the driver is to be told meanwhile, by
    part of the machine ("cpu", "ram", "gpu"), why the energy that the part takes is not the job's alone, and whether
    the job is asked to keep its state and raise ``Stopped``."""

    folder: Path
    tell: Callable[[Any], None]
    shared: Mapping[str, str] = field(default_factory=dict)
    stopping: Callable[[], bool] = lambda: False


class Stopped(BaseException):
    """The job was asked to stop, and has kept its state."""


#: Is called with what all jobs have in common, and with its place; what it returns is the answer. It is pickled.
Job = Callable[[Any, Place], Any]


@dataclass(frozen=True)
class Waiting:
    """The job has not begun, and what it waits for."""

    reason: str


@dataclass(frozen=True)
class Began:
    """The job is under way, in this environment."""

    environment: Mapping[str, str]


@dataclass(frozen=True)
class Kept:
    """So many seconds of a trial's clock are in a checkpoint: they are not lost with the attempt."""

    seconds: float


@dataclass(frozen=True)
class Changed:
    """What has become of the files in the job's folder, where that is not the driver's own."""

    files: Changes


@dataclass(frozen=True)
class Answer:
    """The job is done; ``files`` as in ``Changed``."""

    value: Any
    files: Changes = field(default_factory=dict)


@dataclass(frozen=True)
class Refusal:
    """The job raised an InputError, which ends the study."""

    message: str


@dataclass(frozen=True)
class Failure:
    """The job raised any other error."""

    message: str


@dataclass(frozen=True)
class Death:
    """The process of the job ended without an answer."""

    message: str


@dataclass(frozen=True)
class Stall:
    """The job said nothing for longer than is allowed, and was stopped."""

    message: str


#: What is told of a job last.
ENDS = (Answer, Refusal, Failure, Death, Stall)


class Workers(Protocol):
    """Those that do jobs, each in a process of its own, from entering to leaving a ``with`` block, which ends all that
    is under way."""

    @property
    def slots(self) -> int:
        """How many jobs may be under way now, at least 1. Raises InputError where none can be done any more."""
        ...

    def start(self, key: str, job: Job, folder: Path) -> None:
        """Have a job done, with its files in a folder; what is told of it comes with its key."""
        ...

    def next(self) -> tuple[str, Any]:
        """Wait for what is told next of any job under way: its key and the message.

        Of each job that is ``Began``, what it tells itself, and last one of ``ENDS``, which may also come alone.
        Raises InputError where no job can be done any more.
        """
        ...

    def stop(self, within_s: float) -> Iterator[tuple[str, Any]]:
        """Have all jobs keep their state and end, and give what they tell until then, for so many seconds at most."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def outcome(job: Job, common: Any, place: Place) -> Answer | Refusal | Failure | Death:
    """Do the job, and say what came of it."""
    try:
        return Answer(job(common, place))
    except InputError as error:
        return Refusal(str(error))
    except Stopped:
        return Death("its process was told to stop (SIGTERM)")
    except Exception as error:  # a job may fail in any way
        return failure(error)


def failure(error: Exception) -> Failure:
    """An error by its kind and text."""
    return Failure(f"{type(error).__name__}: {error}")


def stall(stall_s: float) -> Stall:
    """What is said of a job that was not heard of for so long."""
    return Stall(f"nothing was heard of it for {stall_s:g} s, so it was stopped")
