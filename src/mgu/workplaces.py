"""Where the trials of a study are trained: on this machine, or on a Ray cluster."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from mgu.errors import InputError
from mgu.measure import environment
from mgu.study.processes import Processes
from mgu.study.workers import Workers
from mgu.training import framework_of


@dataclass(frozen=True)
class Workplace:
    """Where trials are trained and how many at once: ``on`` is one of ``PLACES``; ``workers`` is 1 on this machine
    where it is not given, and on a cluster as many as there is room for. There each takes so many ``cpus``, which is
    also its number of threads, and on a GPU so many ``gpus``, or a share of one: 1 where they are not given. A trial of
    which nothing is heard for ``stall_s`` seconds, an epoch's end or a checkpoint, is taken for hanging.

    Raises InputError for an unknown place, for numbers below what they may be, for a share of several GPUs, and for
    CPUs or GPUs a trial on this machine, which are not dealt out here.
    """

    on: str = "local"
    workers: int | None = None
    cpus: int | None = None
    gpus: float | None = None
    stall_s: float = 3600.0

    def __post_init__(self) -> None:
        if self.on not in PLACES:
            raise InputError(f"unknown place {self.on!r} to train on; allowed: {', '.join(PLACES)}")
        for name, number in (("workers", self.workers), ("CPUs a trial", self.cpus)):
            if number is not None and number < 1:
                raise InputError(f"{number} {name}: give 1 or more")
        gpus = 1.0 if self.gpus is None else self.gpus
        if not (0 < gpus < 1 or (gpus >= 1 and float(gpus).is_integer())):
            raise InputError(f"{gpus:g} GPUs a trial: give a share of one, or a whole number")
        if not self.stall_s > 0:
            raise InputError(f"a trial cannot hang after {self.stall_s:g} s; give a time above 0")
        if self.on == "local" and (self.cpus or self.gpus):
            raise InputError(
                "CPUs and GPUs a trial are for --on ray; here OMP_NUM_THREADS says how many threads it has"
            )

    @property
    def alone(self) -> bool:
        """Whether it is known that a trial has the machine for itself, as far as this study goes."""
        return self.on == "local" and (self.workers or 1) == 1

    def open(self, common: Any, device: str, framework: str) -> Workers:
        """The workers, of whose trials all have ``common``. Raises InputError where there is no such place."""
        return PLACES[self.on](self, common, device, framework)


def environment_of(device: str, framework: str) -> dict[str, str]:
    """What trials on the device with the framework run in, in this process."""
    return {**environment(torch.device(device)), **framework_of(framework).versions}


def _local(place: Workplace, common: Any, device: str, framework: str) -> Workers:
    workers, here = place.workers or 1, environment_of(device, framework)
    if workers == 1:
        return Processes(common, 1, place.stall_s, here)
    reason = f"{workers} trials at once on this machine"
    parts = ("cpu", "ram", "gpu") if device.startswith("cuda") else ("cpu", "ram")
    shared = dict.fromkeys(parts, reason)
    return Processes(common, workers, place.stall_s, {**here, "trials at once": str(workers)}, shared)


def _ray(place: Workplace, common: Any, device: str, framework: str) -> Workers:
    try:
        from mgu.study.on_ray import OnRay
        from mgu.study.ray_node import Needs
    except ModuleNotFoundError:
        raise InputError('Ray is not installed: pip install "mgu[ray]", on each machine of the cluster') from None
    if device.startswith("cuda:"):
        raise InputError(f"device {device!r}: Ray chooses each trial's GPU; give cuda")
    needs = Needs(place.cpus or 1, (place.gpus or 1.0) if device == "cuda" else 0.0)
    return OnRay(common, needs, place.stall_s, partial(environment_of, device, framework), place.workers)


#: What opens the workers, by the place's name.
PLACES: Mapping[str, Callable[[Workplace, Any, str, str], Workers]] = {"local": _local, "ray": _ray}
