"""A trial in a process of its own: its memory, its crash and its hanging are not the study's."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from typing import Any, Generic, TypeVar, cast

from mgu.errors import InputError

T = TypeVar("T")
#: Calls its argument with whatever the driver is to be told meanwhile; what it returns is the answer.
Job = Callable[[Callable[[Any], None]], T]
#: What the processes have imported before they are asked for anything, where they are forked from one that has. What is
#: not installed is left out.
PRELOADED = [
    "mgu.trial_job",
    "mgu.training.torch_learner",
    "mgu.report.gates",
    "matplotlib.backends.backend_svg",
    "pandas",
    "codecarbon.emissions_tracker",
    "codecarbon.core.emissions",
    "codecarbon.core.resource_tracker",
]


class DiedError(Exception):
    """The process ended without an answer."""


class StalledError(Exception):
    """The process said nothing for longer than is allowed, and was killed."""


@dataclass(frozen=True)
class _Answer(Generic[T]):
    value: T


@dataclass(frozen=True)
class _Refusal:
    """An InputError in the process."""

    message: str


@dataclass(frozen=True)
class _Failure:
    """Any other error in the process."""

    message: str


class FailedError(Exception):
    """The job raised an error, whose kind and text this has."""


def answer_of(job: Job[T], told: Callable[[Any], None], stall_s: float) -> T:
    """The answer of a job that is done in a process of its own; ``told`` gets what it says meanwhile.

    The process ends with this call, whatever ends it, and with this process, also by SIGKILL. Where the system can
    fork, it is forked from a process that has imported PyTorch and done nothing else, so it is there at once. The job
    and its answer are pickled.

    Raises InputError where the job raised one, ``FailedError`` for any other error of it, ``DiedError`` where the
    process was killed or crashed, and ``StalledError`` where nothing was told for ``stall_s`` seconds.
    """
    context = _context()
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, job), daemon=True)  # type: ignore[attr-defined]
    try:
        with _main_hidden():
            process.start()
    except (OSError, EOFError) as error:  # what it would be forked from has just died
        raise DiedError(f"its process could not be started ({type(error).__name__}: {error})") from None
    theirs.close()
    try:
        return cast(T, _listened(ours, process, told, stall_s))
    finally:
        process.kill()
        process.join()
        ours.close()


def _listened(ours: Connection, process: Any, told: Callable[[Any], None], stall_s: float) -> Any:
    while True:
        if not ours.poll(stall_s):
            raise StalledError(f"nothing was heard of it for {stall_s:g} s, so it was stopped")
        try:
            message = ours.recv()
        except (EOFError, ConnectionResetError):
            process.join()
            raise DiedError(_death(process.exitcode)) from None
        match message:
            case _Answer(value):
                return value
            case _Refusal(text):
                raise InputError(text)
            case _Failure(text):
                raise FailedError(text)
            case _:
                told(message)


def _death(code: int) -> str:
    if code == -signal.SIGKILL:
        return "its process was killed (SIGKILL); the system does so where memory runs out"
    if code < 0:
        return f"its process died of {signal.Signals(-code).name}"
    return f"its process ended with exit code {code}"


def _work(theirs: Connection, job: Job[Any]) -> None:
    """In the process: do the job, and say what came of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's, which ends this process
    _end_with_the_driver(theirs)
    try:
        answer: Any = _Answer(job(theirs.send))
    except InputError as error:
        answer = _Refusal(str(error))
    except Exception as error:  # a job may fail in any way
        answer = _Failure(f"{type(error).__name__}: {error}")
    with suppress(BrokenPipeError):
        try:
            theirs.send(answer)
        except Exception as error:  # it cannot be pickled
            theirs.send(_Failure(f"{type(error).__name__}: {error}"))


def _end_with_the_driver(theirs: Connection) -> None:
    """End once the driver, which holds the other end and sends nothing, is gone."""

    def watch() -> None:
        with suppress(EOFError, OSError):
            theirs.recv()
        os._exit(1)

    threading.Thread(target=watch, name="mgu watch", daemon=True).start()


def _context() -> BaseContext:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


@contextmanager
def _main_hidden() -> Iterator[None]:
    """A new process would run the main module again, which a script or a notebook that calls this does not expect."""
    main = sys.modules["__main__"]
    spec, file = main.__spec__, getattr(main, "__file__", None)
    main.__spec__ = None
    if file is not None:
        del main.__file__
    try:
        yield
    finally:
        main.__spec__ = spec
        if file is not None:
            main.__file__ = file
