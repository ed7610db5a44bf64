"""A job on a node of a Ray cluster: in a folder there, and told of through a mailbox on the driver's node."""

import asyncio
import os
import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import PickleError
from tempfile import TemporaryDirectory
from typing import Any

import ray
from ray import cloudpickle

from mgu.study.mirror import Changes, Original, apply
from mgu.study.workers import Answer, Began, Changed, Place, failure, outcome


@dataclass(frozen=True)
class Needs:
    """What a job takes of its node: cores, which is also its number of threads, and GPUs, or a share of one."""

    cpus: int = 1
    gpus: float = 0.0

    def fit(self, node: Mapping[str, Any]) -> int:
        """How many such jobs a node of ``ray.nodes()`` has room for at once; none where it is lost."""
        if not node["Alive"]:
            return 0
        has = node["Resources"]
        by_cpus = int(has.get("CPU", 0) // self.cpus)
        return min(by_cpus, int(has.get("GPU", 0) / self.gpus + 1e-6)) if self.gpus else by_cpus

    def __str__(self) -> str:
        return f"{self.cpus} CPU" + f" and {self.gpus:g} GPU" * bool(self.gpus)


class Mailbox:
    """An actor beside the driver that keeps what is told of jobs, pickled, by their numbers, until the driver takes it:
    what was put into it is not lost with the node that told it. With ``ROOM`` letters in it, who puts one waits."""

    #: How many letters it holds, and how many may wait to put one: one a job.
    ROOM, WAITING = 256, 100_000

    def __init__(self) -> None:
        self.letters: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue(self.ROOM)

    async def put(self, number: int, *messages: bytes) -> None:
        for message in messages:
            await self.letters.put((number, message))

    async def take(self) -> list[tuple[int, bytes]]:
        """All that is there, at least one."""
        taken = [await self.letters.get()]
        while not self.letters.empty():
            taken.append(self.letters.get_nowait())
        return taken


def work(mailbox: Any, number: int, needs: Needs, most: int | None, files: Changes, parts: list[Any]) -> None:
    """In a process of its own on a node: do the job, with these files in its folder, and tell of it.

    ``parts`` refer to the job and to a pair: what it has in common with others, and what says its environment.
    """
    signals: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: signals.append(number))  # from Ray, where the driver cancels it
    os.environ["OMP_NUM_THREADS"] = str(needs.cpus)  # before the parts are unpickled, which imports PyTorch
    job, (common, environment) = ray.get(parts)
    at_once = _at_once(needs, most)
    with TemporaryDirectory(prefix=f"mgu-{os.getpid()}-") as name:
        folder = Path(name)
        apply(files, folder)
        original = Original(folder)

        def send(*messages: Any) -> None:
            letters = [cloudpickle.dumps(message) for message in messages]
            # Waited for, so that the time it takes is the job's, and what was told is there when the job dies.
            ray.get(mailbox.put.remote(number, *letters))

        def tell(message: Any) -> None:
            changes = original.changes()
            send(*[Changed(changes)] * bool(changes), message)

        tell(Began({**environment(), "host": socket.gethostname(), "trials at once": str(at_once)}))
        ended = outcome(job, common, Place(folder, tell, _shared(at_once, needs), lambda: bool(signals)))
        if isinstance(ended, Answer):
            ended = replace(ended, files=original.changes())
        try:
            send(ended)
        except (TypeError, AttributeError, PickleError) as error:  # it cannot be pickled
            send(failure(error))


def _at_once(needs: Needs, most: int | None) -> int:
    """How many jobs this machine has room for, which may be several nodes."""
    nodes = ray.nodes()
    here = ray.get_runtime_context().get_node_id()
    (host,) = (node["NodeManagerHostname"] for node in nodes if node["NodeID"] == here)
    room = sum(needs.fit(node) for node in nodes if node["NodeManagerHostname"] == host)
    return min(room, most or room)


def _shared(at_once: int, needs: Needs) -> dict[str, str]:
    host = shared_host(at_once)
    return {**host, "gpu": f"{needs.gpus:g} of a GPU, which others share"} if 0 < needs.gpus < 1 else host


def shared_host(at_once: int) -> dict[str, str]:
    """Why no energy of the processor and the memory is one job's, where several are done at once."""
    return dict.fromkeys(("cpu", "ram"), f"{at_once} trials at once on this machine") if at_once > 1 else {}
