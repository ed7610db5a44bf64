"""Jobs in processes of their own on this machine: their memory, their crash and their hanging are not the study's."""

import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mgu.study.stops import STOPS, heard, held
from mgu.study.workers import ENDS, Began, Death, Job, Place, Stall, failure, outcome, stall

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
    "mgu.measure.ahead",
]
#: Seconds between attempts to start a process.
PAUSES_S = (0.1, 0.5, 2.0)
#: Seconds that are waited for messages at once, at most: the system takes no number for ever.
LOOK_S = 3600.0
#: Seconds that a process has to end after its last word.
LEAVE_S = 5.0


@dataclass(frozen=True)
class _Running:
    """A process under way; ``until`` is when it is taken for hanging, of the monotonic clock."""

    key: str
    process: Any
    until: float


class Processes:
    """As many processes at once as there are ``slots``, one a job.

    A process ends with its job, with the ``with`` block, and with this process, also by SIGKILL. On Linux it is forked
    from a process that has imported PyTorch and done nothing else, so it is there at once; elsewhere it is spawned. The
    job, what it has in ``common`` with the others, and its answer are pickled. One of which nothing was heard for
    ``stall_s`` seconds is killed. ``environment`` and ``shared`` are what all jobs are told to have begun in, see
    ``Began`` and ``Place``.
    """

    def __init__(
        self,
        common: Any,
        slots: int,
        stall_s: float,
        environment: Mapping[str, str] | None = None,
        shared: Mapping[str, str] | None = None,
    ) -> None:
        self.common, self.slots, self.stall_s = common, slots, stall_s
        self.environment, self.shared = environment or {}, shared or {}
        self._running: dict[Connection, _Running] = {}
        self._told: deque[tuple[str, Any]] = deque()

    def start(self, key: str, job: Job, folder: Path) -> None:
        self._told.append((key, Began(self.environment)))
        context = _context()
        ours, theirs = context.Pipe()
        work = (theirs, job, self.common, folder, self.shared, dict(os.environ))
        process = context.Process(target=_work, args=work, daemon=True)  # type: ignore[attr-defined]
        self._running[ours] = _Running(key, process, time.monotonic() + self.stall_s)
        try:
            _start(process)
        except (OSError, EOFError) as error:
            del self._running[ours]
            ours.close()
            death = Death(f"its process could not be started ({type(error).__name__}: {error})")
            self._told.append((key, death))
        finally:
            theirs.close()

    def next(self) -> tuple[str, Any]:
        while not self._told:
            self._listen()
        return self._told.popleft()

    def stop(self, within_s: float) -> Iterator[tuple[str, Any]]:
        until = time.monotonic() + within_s
        for running in self._running.values():
            if running.process.pid is not None:
                running.process.terminate()
        while self._told or (self._running and time.monotonic() < until):
            if self._told:
                yield self._told.popleft()
            else:
                self._listen(until)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with held():
            for ours in list(self._running):
                self._stop(ours)

    def _listen(self, until: float = math.inf) -> None:
        """Hear what is told next, and see who is late, up to a time of the monotonic clock."""
        first = min([until, time.monotonic() + LOOK_S, *(running.until for running in self._running.values())])
        with heard():
            ready = wait(list(self._running), max(0.0, first - time.monotonic()))
        for ours in ready:
            assert isinstance(ours, Connection)
            self._hear(ours)
        for ours, running in list(self._running.items()):
            if time.monotonic() >= running.until and not ours.poll():
                self._end(ours, stall(self.stall_s))

    def _hear(self, ours: Connection) -> None:
        running = self._running[ours]
        try:
            message = ours.recv()
        except (EOFError, OSError):  # also in the middle of a message
            running.process.join()
            self._end(ours, Death(_death(running.process.exitcode)))
            return
        if isinstance(message, ENDS):
            self._end(ours, message)
        else:
            self._told.append((running.key, message))
            self._running[ours] = replace(running, until=time.monotonic() + self.stall_s)

    def _end(self, ours: Connection, message: Any) -> None:
        running = self._running[ours]
        self._told.append((running.key, message))
        if not isinstance(message, Stall):
            running.process.join(LEAVE_S)
        self._stop(ours)

    def _stop(self, ours: Connection) -> None:
        process = self._running.pop(ours).process
        if process.pid is not None:
            process.kill()
            process.join()
        ours.close()


def _start(process: Any) -> None:
    """Start it. Where what it would be forked from has just died, that takes a moment to be seen and replaced."""
    for pause_s in PAUSES_S:
        with suppress(OSError, EOFError), _main_hidden(), _undisturbed():
            process.start()
            return
        time.sleep(pause_s)
    with _main_hidden(), _undisturbed():
        process.start()


def _death(code: int) -> str:
    if code == -signal.SIGKILL:
        return "its process was killed (SIGKILL); the system does so where memory runs out"
    if code < 0:
        named = {number.value: number.name for number in signal.Signals}
        return f"its process died of {named.get(-code, f'signal {-code}')}"
    return f"its process ended with exit code {code}"


def _work(
    theirs: Connection, job: Job, common: Any, folder: Path, shared: Mapping[str, str], environment: Mapping[str, str]
) -> None:
    """In the process: do the job, and say what came of it. What it was forked from has an environment of its own, and
    has imported nothing that looks at what may differ."""
    os.environ.clear()
    os.environ.update(environment)
    signals: list[int] = []
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's, which stops this process
    signal.signal(signal.SIGTERM, lambda number, frame: signals.append(number))
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    _end_with_the_driver(theirs)
    ended = outcome(job, common, Place(folder, theirs.send, shared, lambda: bool(signals)))
    with suppress(BrokenPipeError):
        try:
            theirs.send(ended)
        except Exception as error:  # it cannot be pickled
            theirs.send(failure(error))


def _end_with_the_driver(theirs: Connection) -> None:
    """End once the driver, which holds the other end and sends nothing, is gone."""

    def watch() -> None:
        with suppress(EOFError, OSError):
            theirs.recv()
        os._exit(1)

    threading.Thread(target=watch, name="mgu watch", daemon=True).start()


def _context() -> BaseContext:
    if sys.platform != "linux":  # where libraries of the system do not bear a fork
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


@contextmanager
def _undisturbed() -> Iterator[None]:
    """What is started here is not reached by Ctrl-C or SIGTERM, not even before it can ask for that; this process is, a
    little later."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # to start it later would let Ctrl-C in again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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
