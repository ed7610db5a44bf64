"""Jobs on the nodes of a Ray cluster, which share no files with the driver: it sends, and is sent, what is needed."""

import logging
import os
import pickle
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import ray
from ray.exceptions import RayError, RayTaskError, TaskCancelledError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from mgu.errors import InputError
from mgu.study.mirror import contents
from mgu.study.ray_node import Mailbox, Needs, work
from mgu.study.stops import hear, held
from mgu.study.workers import ENDS, Death, Job, Waiting, stall

#: Seconds between two looks at the cluster's nodes, and after which it is told that a job waits for its resources.
LOOK_S, WAIT_S = 1.0, 60.0
#: Seconds in which a cluster's head answers.
REACH_S = 10.0
#: What ray.init raises where it cannot join a cluster: there is none, it is out of reach, or of another version.
_UNREACHABLE = (OSError, RuntimeError, ValueError, AssertionError)


@dataclass(frozen=True)
class _Task:
    """A job under way: its key, what it runs as, when it was last heard of, or handed in, and whether it began."""

    key: str
    running: Any
    heard: float
    began: bool = False
    waits: bool = False


class OnRay:
    """As many jobs at once as the cluster's nodes have room for, and at most ``most`` where that is given; each is a
    task in a process of its own.

    What the jobs have in ``common`` is sent to a node once. A job works in a temporary folder with the files of its own
    one, which follows it. ``environment`` is called in its process, and says what it runs in. Jobs that may share a
    machine are told that its energy is not theirs alone. One of which nothing was heard for ``stall_s`` seconds is
    killed; the time in which it waits for its resources does not count.

    Ray itself tries nothing again: what kills a process or loses a node is the ``Death`` of the jobs that were there.

    Raises InputError where there is no cluster.
    """

    def __init__(
        self,
        common: Any,
        needs: Needs,
        stall_s: float,
        environment: Callable[[], Mapping[str, str]],
        most: int | None = None,
    ) -> None:
        self.needs, self.stall_s, self.most = needs, stall_s, most
        self._joined = _join()
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        mailbox = ray.remote(num_cpus=0, max_concurrency=Mailbox.WAITING)(Mailbox)
        self._mailbox = mailbox.options(scheduling_strategy=here).remote()
        self._common = ray.put((common, environment))
        self._work = ray.remote(
            num_cpus=needs.cpus, num_gpus=needs.gpus, max_retries=0, max_calls=1, scheduling_strategy="SPREAD"
        )(work)
        self._tasks: dict[int, _Task] = {}
        self._running: dict[Any, int] = {}
        self._told: deque[tuple[str, Any]] = deque()
        self._started, self._room, self._looked = 0, 0, -LOOK_S
        self._taken: Any = None

    @property
    def slots(self) -> int:
        if time.monotonic() - self._looked >= LOOK_S:
            self._room = sum(self.needs.fit(node) for node in ray.nodes())
            self._looked = time.monotonic()
        if not self._room:
            raise InputError(
                f"no node of the Ray cluster has room for a trial, which takes {self.needs} (`ray status` shows what "
                "there is): start a node that has (ray start --address=...), or ask for less; the same command goes on"
            )
        return min(self._room, self.most or self._room)

    def start(self, key: str, job: Job, folder: Path) -> None:
        self._started += 1
        parts = [ray.put(job), self._common]
        running = self._work.remote(self._mailbox, self._started, self.needs, self.most, contents(folder), parts)
        self._tasks[self._started] = _Task(key, running, time.monotonic())
        self._running[running] = self._started

    def next(self) -> tuple[str, Any]:
        while not self._told:
            self._listen(LOOK_S)
            self._see_late()
        return self._told.popleft()

    def stop(self, within_s: float) -> Iterator[tuple[str, Any]]:
        until = time.monotonic() + within_s
        for running in self._running:
            ray.cancel(running, recursive=False)  # of one under way, the process gets SIGINT
        while self._told or (self._tasks and time.monotonic() < until):
            if self._told:
                yield self._told.popleft()
            else:
                self._listen(min(LOOK_S, max(0.0, until - time.monotonic())))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with held():
            for running in self._running:
                ray.cancel(running, force=True)
            ray.kill(self._mailbox)
            if self._joined:
                ray.shutdown()

    def _listen(self, most_s: float) -> None:
        """Hear what is told next, and of tasks that have ended, for so many seconds at most."""
        hear()  # here, since Ray would make another stop of it
        self._taken = self._taken or self._mailbox.take.remote()
        ready, _ = ray.wait([self._taken, *self._running], timeout=most_s, fetch_local=False)
        for reference in ready:
            if reference == self._taken:
                self._hear()
            else:
                self._see_ended(reference)

    def _hear(self) -> None:
        """Take what is in the mailbox; of jobs that have ended nothing counts any more."""
        taken, self._taken = self._taken, None
        try:
            letters = ray.get(taken)
        except RayError as error:
            raise InputError(f"the mailbox of the jobs is lost ({_line(error)}); the same command goes on") from None
        for number, letter in letters:
            if task := self._tasks.get(number):
                message = pickle.loads(letter)
                self._told.append((task.key, message))
                self._tasks[number] = replace(task, heard=time.monotonic(), began=True)
                if isinstance(message, ENDS):
                    del self._tasks[number]

    def _see_ended(self, running: Any) -> None:
        """What a task tells last is in the mailbox already; that one was ended is put there, behind the rest."""
        number = self._running.pop(running)
        try:
            ray.get(running)
        except TaskCancelledError:  # while it waited, or in its worker before it could hear of that
            self._died(number, "its worker was told to stop")
        except RayTaskError as error:
            raise InputError(
                f"a node cannot do the study's jobs ({type(error.cause).__name__}: {_line(error.cause)}): have the "
                "same versions of mgu and of what it needs on all, and room for temporary files; then give it again"
            ) from None
        except RayError as error:
            why = _line(error).partition(". ")[0]  # and then where Ray's logs lie
            self._died(number, f"its worker died ({type(error).__name__}: {why})")

    def _died(self, number: int, why: str) -> None:
        self._mailbox.put.remote(number, pickle.dumps(Death(why)))

    def _see_late(self) -> None:
        """Of jobs that were not heard of: kill those that hang, and tell of those that wait for their resources."""
        now = time.monotonic()
        for number, task in list(self._tasks.items()):
            if task.began and now - task.heard >= self.stall_s:
                ray.cancel(task.running, force=True)
                del self._tasks[number]
                self._told.append((task.key, stall(self.stall_s)))
            if not task.began and self.slots and not task.waits and now - task.heard >= WAIT_S:
                self._tasks[number] = replace(task, waits=True)
                self._told.append(
                    (task.key, Waiting(f"for {self.needs} of the Ray cluster; `ray status` says who has it"))
                )


def _join() -> bool:
    """Join the cluster, unless this process is in one already, and return whether it had to."""
    if ray.is_initialized():
        return False
    address = os.environ.get("RAY_ADDRESS", "")
    if address == "local" or "://" in address:  # which would start a cluster, or be served by a process in one
        raise InputError(f"RAY_ADDRESS is {address!r}: give HOST:PORT of the cluster that this machine belongs to")
    try:
        if address:
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), REACH_S).close()  # ray.init would try for minutes
        with _sigterm_kept():
            ray.init(address="auto", log_to_driver=False, logging_level=logging.ERROR)
    except _UNREACHABLE as error:
        raise InputError(
            f"no Ray cluster can be joined from here ({_line(error)}): start one with `ray start --head`, add machines "
            "with `ray start --address=HOST:6379`, and give this command on one of them; where several clusters run "
            f"there, RAY_ADDRESS says which (now {address or 'not set'})"
        ) from None
    return True


@contextmanager
def _sigterm_kept() -> Iterator[None]:
    """ray.init would have SIGTERM end this process in Ray's way."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


def _line(error: BaseException) -> str:
    """The first line of what an error says."""
    return next(iter(str(error).strip().splitlines()), "")
