"""A GPU's meter: what it reads, and what it says where there is nothing to read."""

import sys

import pytest
import torch

from mgu.history import Energy
from mgu.measure.gpu import open_gpu
from mgu.measure.reading import GpuReading

CUDA = torch.device("cuda")


def refusing(nvml):
    def refuse(*_):
        raise nvml.NVMLError("Not Supported")

    return refuse


def test_readings_and_energy_in_their_units(nvml):
    """A kWh is 3.6 million joules."""
    gpu = open_gpu(CUDA)
    nvml.now.energy_mj, nvml.now.percent, nvml.now.memory = 5_000, 25, 1_500_000_000
    first = gpu.read()
    assert first == GpuReading(5_000, 0.25, 1500.0)
    nvml.now.energy_mj += 7_200_000_000
    assert gpu.energy(first, gpu.read()) == Energy("gpu", 2.0, "measured", "NVML, NVIDIA H200")


@pytest.mark.parametrize(
    ("question", "read"),
    [
        ("nvmlDeviceGetTotalEnergyConsumption", GpuReading(None, 0.0, 0.0)),
        ("nvmlDeviceGetUtilizationRates", GpuReading(0, None, 0.0)),
        ("nvmlDeviceGetMemoryInfo", GpuReading(0, 0.0, None)),
    ],
)
def test_what_a_device_does_not_offer_is_not_known(nvml, monkeypatch, question, read):
    monkeypatch.setattr(nvml, question, refusing(nvml))
    assert open_gpu(CUDA).read() == read


def test_a_gpu_without_a_counter_has_no_energy(nvml, monkeypatch):
    monkeypatch.setattr(nvml, "nvmlDeviceGetTotalEnergyConsumption", refusing(nvml))
    gpu = open_gpu(CUDA)
    absent = Energy("gpu", None, "absent", "NVML, NVIDIA H200: no energy counter")
    assert gpu.energy(gpu.read(), gpu.read()) == absent


def test_what_stands_where_there_is_no_gpu(nvml, monkeypatch):
    def reason(device):
        gpu = open_gpu(torch.device(device))
        assert gpu.read() == GpuReading()
        entry = gpu.energy(gpu.read(), gpu.read())
        assert (entry.part, entry.kwh, entry.source) == ("gpu", None, "absent")
        return entry.meter

    assert reason("cpu") == "the run is on cpu"
    assert reason("mps") == "the run is on mps"
    monkeypatch.setattr(nvml, "nvmlInit", refusing(nvml))
    assert reason("cuda") == "NVML: Not Supported"
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert reason("cuda") == "pip install mgu[energy]"
