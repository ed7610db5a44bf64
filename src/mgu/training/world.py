"""The processes that train one network together."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from mgu import torchrun
from mgu.errors import InputError

Value = TypeVar("Value")
#: So long the others wait while one decodes the data, or decides gates. One that died is torchrun's to tell of.
PATIENCE = timedelta(days=1)


@dataclass(frozen=True)
class World:
    """How many processes train one network together, and which of them this is, from 0. One alone talks to nobody."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that decides, measures, prints and writes."""
        return self.rank == 0

    def say(self, make: Callable[[], Value]) -> Value:
        """What ``make`` gives in the first process, in all of them; the others wait. An InputError is raised in all."""
        if self.size == 1:
            return make()
        said: list[Any] = [None, None]
        if self.first:
            try:
                said = [make(), None]
            except InputError as error:
                said = [None, str(error)]
        dist.broadcast_object_list(said, device=torch.device("cpu"))
        if said[1] is not None:
            raise InputError(said[1])
        return said[0]  # type: ignore[no-any-return]

    def in_turn(self, make: Callable[[], Value]) -> Value:
        """What ``make`` gives in each process; the others begin once the first is done and left what it did in a
        cache."""
        made: list[Value] = []
        self.say(lambda: made.append(make()))
        return made[0] if made else make()

    def total(self, values: Sequence[float]) -> list[float]:
        """Each number's sum over the processes."""
        sums = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(sums)
        return sums.tolist()

    def device(self, name: str, of_one: Callable[[str], str]) -> str:
        """The device of that name, ``of_one`` giving it to a process alone; of several, each has a GPU of its own.

        Raises InputError for a name that is one GPU's, and where a machine has fewer GPUs than processes.
        """
        place = of_one(name)
        if self.size == 1 or place == "cpu":
            return place
        if name not in ("auto", "cuda"):
            raise InputError(
                f"device {name!r} is one for all {self.size} processes; give cuda, which is one GPU for each, or cpu"
            )
        own, there = torchrun.local_rank(), torch.cuda.device_count()
        if own >= there:
            raise InputError(
                f"this machine has {there} GPUs for more processes than that; start torchrun with "
                f"--nproc-per-node {there}, or give --device cpu"
            )
        torch.cuda.set_device(own)
        return f"cuda:{own}"


#: A training as it is without torchrun.
ALONE = World()


@contextmanager
def joined() -> Iterator[World]:
    """The processes that torchrun has started, which talk by gloo, and by NCCL between GPUs; elsewhere this one alone.

    A script that has made a process group of its own is in that one.
    """
    if torchrun.processes() == 1:
        yield ALONE
        return
    if not dist.is_available():
        raise InputError("this build of torch has no torch.distributed; start the command without torchrun")
    if dist.is_initialized():
        yield World(dist.get_rank(), dist.get_world_size())
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, timeout=PATIENCE)
    try:
        yield World(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
