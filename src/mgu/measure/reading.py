"""Readings of counters and gauges, and what a stretch of them comes to."""

from dataclasses import dataclass, replace

#: Seconds below which an interval says nothing of a peak: the reading itself would be most of it.
SHORTEST_S = 0.1


@dataclass(frozen=True)
class GpuReading:
    """A GPU at one moment: ``energy_mj`` is a counter, in mJ; ``load`` in 0..1 is of a short time before; memory is in
    MB. What cannot be read is None."""

    energy_mj: int | None = None
    load: float | None = None
    memory_mb: float | None = None


@dataclass(frozen=True)
class Reading:
    """The machine at one moment. ``time_s`` is of a monotonic clock; ``process_s`` and ``machine_s`` count the seconds
    that cores have worked for this process and for all processes; ``memory_mb`` is this process's resident memory."""

    time_s: float
    process_s: float
    machine_s: float
    memory_mb: float
    gpu: GpuReading


@dataclass(frozen=True)
class Lap:
    """The stretch between two readings. Means come from the counters at its ends; peaks and the GPU's load from the
    readings between them, each load counted for the time since the reading before."""

    first: Reading
    last: Reading
    marked: Reading
    cpu_peak: float
    memory_peak_mb: float
    device_load_s: float | None
    device_load_peak: float | None
    device_memory_peak_mb: float | None

    @classmethod
    def begin(cls, first: Reading) -> "Lap":
        """A lap of no length yet."""
        known = first.gpu.load is not None
        return cls(
            first=first,
            last=first,
            marked=first,
            cpu_peak=0.0,
            memory_peak_mb=first.memory_mb,
            device_load_s=0.0 if known else None,
            device_load_peak=0.0 if known else None,
            device_memory_peak_mb=first.gpu.memory_mb,
        )

    def extended(self, reading: Reading) -> "Lap":
        """The lap up to a further reading."""
        marked_s = reading.time_s - self.marked.time_s
        judged = marked_s >= SHORTEST_S
        load = (reading.process_s - self.marked.process_s) / marked_s if judged else 0.0
        gpu = reading.gpu
        loaded_s = None if gpu.load is None else gpu.load * (reading.time_s - self.last.time_s)
        return replace(
            self,
            last=reading,
            marked=reading if judged else self.marked,
            cpu_peak=max(self.cpu_peak, load),
            memory_peak_mb=max(self.memory_peak_mb, reading.memory_mb),
            device_load_s=None if self.device_load_s is None or loaded_s is None else self.device_load_s + loaded_s,
            device_load_peak=larger(self.device_load_peak, gpu.load),
            device_memory_peak_mb=larger(self.device_memory_peak_mb, gpu.memory_mb),
        )

    @property
    def duration_s(self) -> float:
        return self.last.time_s - self.first.time_s

    @property
    def cpu_load_mean(self) -> float:
        """This process, in cores."""
        return (self.last.process_s - self.first.process_s) / self.duration_s

    @property
    def cpu_load_peak(self) -> float:
        """This process, in cores: the largest of any interval, the whole lap included."""
        return max(self.cpu_peak, self.cpu_load_mean)

    @property
    def others_load_mean(self) -> float:
        """All other processes, in cores; the machine's counters are coarser than the process's own, hence the floor."""
        everyone = (self.last.machine_s - self.first.machine_s) / self.duration_s
        return max(0.0, everyone - self.cpu_load_mean)

    @property
    def device_load_mean(self) -> float | None:
        return None if self.device_load_s is None else self.device_load_s / self.duration_s


def larger(one: float | None, other: float | None) -> float | None:
    """The larger of two peaks; None where either is not known."""
    return None if one is None or other is None else max(one, other)
