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
    also its number of threads, and on a GPU so many ``gpus``, or a share of one.

    Raises InputError for an unknown place, for numbers below what they may be, and for a share of several GPUs.
    """

    on: str = "local"
    workers: int | None = None
    cpus: int = 1
    gpus: float = 1.0

    def __post_init__(self) -> None:
        if self.on not in PLACES:
            raise InputError(f"unknown place {self.on!r} to train on; allowed: {', '.join(PLACES)}")
        for name, number in (("workers", self.workers), ("CPUs a trial", self.cpus)):
            if number is not None and number < 1:
                raise InputError(f"{number} {name}: give 1 or more")
        if not (0 < self.gpus < 1 or (self.gpus >= 1 and float(self.gpus).is_integer())):
            raise InputError(f"{self.gpus:g} GPUs a trial: give a share of one, or a whole number")

    @property
    def alone(self) -> bool:
        """Whether it is known that a trial has the machine for itself, as far as this study goes."""
        return self.on == "local" and (self.workers or 1) == 1

    def open(self, common: Any, device: str, framework: str, stall_s: float) -> Workers:
        """The workers, of whose trials all have ``common``. Raises InputError where there is no such place."""
        return PLACES[self.on](self, common, device, framework, stall_s)


def environment_of(device: str, framework: str) -> dict[str, str]:
    """What trials on the device with the framework run in, in this process."""
    return {**environment(torch.device(device)), **framework_of(framework).versions}


def _local(place: Workplace, common: Any, device: str, framework: str, stall_s: float) -> Workers:
    workers, here = place.workers or 1, environment_of(device, framework)
    if workers == 1:
        return Processes(common, 1, stall_s, here)
    reason = f"{workers} trials at once on this machine"
    parts = ("cpu", "ram", "gpu") if device.startswith("cuda") else ("cpu", "ram")
    shared = dict.fromkeys(parts, reason)
    return Processes(common, workers, stall_s, {**here, "trials at once": str(workers)}, shared)


def _ray(place: Workplace, common: Any, device: str, framework: str, stall_s: float) -> Workers:
    try:
        from mgu.study.on_ray import OnRay
        from mgu.study.ray_node import Needs
    except ModuleNotFoundError:
        raise InputError('Ray is not installed: pip install "mgu[ray]", on each machine of the cluster') from None
    if device.startswith("cuda:"):
        raise InputError(f"device {device!r}: Ray chooses each trial's GPU; give cuda")
    needs = Needs(place.cpus, place.gpus if device == "cuda" else 0.0)
    return OnRay(common, needs, stall_s, partial(environment_of, device, framework), place.workers)


#: What opens the workers, by the place's name.
PLACES: Mapping[str, Callable[[Workplace, Any, str, str, float], Workers]] = {"local": _local, "ray": _ray}
