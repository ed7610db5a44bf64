"""The meter around a training run."""

import time
from collections.abc import Mapping
from threading import Event, Lock, Thread
from types import TracebackType

import torch

from mgu.history import Energy, Usage
from mgu.measure import processes
from mgu.measure.carbon import carbon_intensity
from mgu.measure.clock import Clock
from mgu.measure.gpu import open_gpu
from mgu.measure.host import Host, NoHost, open_host
from mgu.measure.reading import Lap, Reading

#: Seconds between two readings of the loads and the memory.
SAMPLE_S = 0.5


class Meter:
    """What a run takes of the machine: energy, load and memory, in laps.

    ``with Meter(device, country) as meter:`` begins the first lap; each ``lap()`` ends one and begins the next, as in
    Zeus (https://ml.energy/zeus). A lap should last a second or more. ``country`` is an ISO 3166 code of three letters;
    without one no carbon is worked out.

    Energies are of the whole machine, whoever used it: GPU by NVML's counter, processor and memory by CodeCarbon,
    which measures or estimates; each figure says which. Loads of processes are in cores. What
    cannot be read is None, or absent with the reason. ``shared`` has, by part ("cpu", "ram", "gpu"), why what the part
    takes is not the run's alone: its energy is then absent for that reason.

    Raises InputError, before anything is run, for a country whose carbon intensity is not known.
    """

    def __init__(
        self, device: torch.device, country: str | None = None, shared: Mapping[str, str] | None = None
    ) -> None:
        self.country, self._shared = country, shared or {}
        self._carbon_intensity = carbon_intensity(country)
        self._clock = Clock(device)
        self._gpu = open_gpu(device)
        # CodeCarbon takes seconds to start, which is for nothing where none of its figures is the run's own.
        self._host: Host = open_host(country) if {"cpu", "ram"} - self._shared.keys() else NoHost("")
        self._lock = Lock()
        self._over = Event()
        self._thread = Thread(target=self._watch, name="mgu meter", daemon=True)

    def __enter__(self) -> "Meter":
        self._host.start()
        self._clock.now()
        self._lap = Lap.begin(self._read())
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._host.stop()

    def lap(self) -> Usage:
        """What was taken since the last lap, or since the ``with`` block was entered; the device is waited for."""
        self._clock.now()
        with self._lock:
            lap = self._lap.extended(self._read())
            self._lap = Lap.begin(lap.last)
            energy = (*self._host.lap(), self._gpu.energy(lap.first.gpu, lap.last.gpu))
        return Usage(
            energy=tuple(self._own(entry) for entry in energy),
            device_load_mean=lap.device_load_mean,
            device_load_peak=lap.device_load_peak,
            cpu_load_mean=lap.cpu_load_mean,
            cpu_load_peak=lap.cpu_load_peak,
            others_load_mean=lap.others_load_mean,
            memory_peak_mb=lap.memory_peak_mb,
            device_memory_peak_mb=lap.device_memory_peak_mb,
            carbon_intensity=self._carbon_intensity,
            country=self.country,
            duration_s=lap.duration_s,
        )

    def sample(self) -> None:
        """Take one reading; the meter's own thread does it every 0.5 s."""
        with self._lock:
            self._lap = self._lap.extended(self._read())
            self._host.refresh()

    def _own(self, entry: Energy) -> Energy:
        return Energy(entry.part, None, "absent", self._shared[entry.part]) if entry.part in self._shared else entry

    def _watch(self) -> None:
        while not self._over.wait(SAMPLE_S):
            self.sample()

    def _read(self) -> Reading:
        return Reading(
            time_s=time.perf_counter(),
            process_s=processes.process_s(),
            machine_s=processes.machine_s(),
            memory_mb=processes.memory_mb(),
            gpu=self._gpu.read(),
        )
