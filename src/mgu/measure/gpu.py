"""The energy, load and memory of a GPU, as its driver tells them."""

from collections.abc import Callable
from typing import Any, Protocol

import torch

from mgu.history import Energy
from mgu.measure.reading import GpuReading

#: A kWh is so many mJ.
MJ_PER_KWH = 3.6e9


class Gpu(Protocol):
    """What a meter asks of a GPU."""

    def read(self) -> GpuReading:
        """The GPU now."""
        ...

    def energy(self, first: GpuReading, last: GpuReading) -> Energy:
        """What it took between two readings."""
        ...


class NoGpu:
    """Stands where there is no GPU, or none that can be read: of it nothing is known, for the ``reason``."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def read(self) -> GpuReading:
        return GpuReading()

    def energy(self, first: GpuReading, last: GpuReading) -> Energy:
        return Energy("gpu", None, "absent", self.reason)


class NvmlGpu:
    """An NVIDIA GPU by the driver's own library, NVML (https://docs.nvidia.com/deploy/nvml-api/).

    Energy is the counter of nvmlDeviceGetTotalEnergyConsumption, in mJ since the driver was loaded; the load is the
    share of a short time (1/6 s to 1 s) in which any kernel ran; memory is all that is taken on the device, by other
    processes too. What the device does not offer is None.
    """

    def __init__(self, nvml: Any, uuid: str) -> None:
        self._nvml = nvml
        nvml.nvmlInit()
        self._handle = nvml.nvmlDeviceGetHandleByUUID(uuid)
        self.meter = f"NVML, {nvml.nvmlDeviceGetName(self._handle)}"

    def read(self) -> GpuReading:
        rates = self._ask(self._nvml.nvmlDeviceGetUtilizationRates)
        memory = self._ask(self._nvml.nvmlDeviceGetMemoryInfo)
        return GpuReading(
            energy_mj=self._ask(self._nvml.nvmlDeviceGetTotalEnergyConsumption),
            load=None if rates is None else rates.gpu / 100,
            memory_mb=None if memory is None else memory.used / 1e6,
        )

    def energy(self, first: GpuReading, last: GpuReading) -> Energy:
        if first.energy_mj is None or last.energy_mj is None:
            return Energy("gpu", None, "absent", f"{self.meter}: no energy counter")
        return Energy("gpu", (last.energy_mj - first.energy_mj) / MJ_PER_KWH, "measured", self.meter)

    def _ask(self, question: Callable[[Any], Any]) -> Any:
        try:
            return question(self._handle)
        except self._nvml.NVMLError:
            return None


def open_gpu(device: torch.device) -> Gpu:
    """The meter of the GPU that a run is on; one that knows nothing, and says why, where there is none."""
    if device.type != "cuda":
        return NoGpu(f"the run is on {device.type}")
    try:
        import pynvml
    except ImportError:
        return NoGpu("pip install mgu[energy]")
    try:
        # By its UUID, since CUDA numbers only the devices that CUDA_VISIBLE_DEVICES lets it see, and NVML all.
        return NvmlGpu(pynvml, f"GPU-{torch.cuda.get_device_properties(device).uuid}")
    except pynvml.NVMLError as error:
        return NoGpu(f"NVML: {error}")
    except (AssertionError, RuntimeError) as error:  # another framework's GPU, which this build of torch does not know
        return NoGpu(f"torch: {error}")
