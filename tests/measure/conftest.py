"""A GPU that gives recorded rows through NVML's names, and CodeCarbon without what it remembers."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch


class NVMLError(Exception):
    pass


@pytest.fixture
def nvml(monkeypatch):
    """NVML's Python module as it would be on a machine with one GPU, whose state is ``nvml.now``."""
    module = ModuleType("pynvml")
    module.now = SimpleNamespace(energy_mj=0, percent=0, memory=0)
    module.NVMLError = NVMLError
    module.nvmlInit = lambda: None
    module.nvmlDeviceGetHandleByUUID = {"GPU-4a5b": "handle"}.__getitem__
    module.nvmlDeviceGetName = {"handle": "NVIDIA H200"}.__getitem__
    module.nvmlDeviceGetTotalEnergyConsumption = lambda handle: module.now.energy_mj
    module.nvmlDeviceGetUtilizationRates = lambda handle: SimpleNamespace(gpu=module.now.percent)
    module.nvmlDeviceGetMemoryInfo = lambda handle: SimpleNamespace(used=module.now.memory)
    monkeypatch.setitem(sys.modules, "pynvml", module)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="4a5b"))
    return module


@pytest.fixture
def codecarbon():
    """CodeCarbon finds out anew what hardware there is, before the test and after it."""
    codecarbon = pytest.importorskip("codecarbon", reason="needs the energy extra")
    from codecarbon.core.hardware_cache import clear_cache

    clear_cache()
    yield codecarbon
    clear_cache()
