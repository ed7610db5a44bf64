"""The meter around a run: on a recorded run to the digit, and on this machine as it is."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
import torch

from mgu.errors import InputError
from mgu.history import Energy, Usage
from mgu.measure import Meter, carbon_intensity, combined, meter, processes
from mgu.measure.host import NoHost

#: Time in s, the GPU's energy in mJ, its load in %, its memory in bytes, the process's seconds on the cores, those of
#: all processes, and resident MB.
ROWS = [
    (100.0, 3_600_000, 90, 1_000_000_000, 10.0, 50.0, 800.0),
    (100.5, 5_400_000, 50, 1_500_000_000, 10.5, 50.75, 900.0),
    (101.5, 9_000_000, 25, 2_500_000_000, 12.5, 53.25, 1000.0),
    (102.0, 10_800_000, 75, 1_250_000_000, 12.75, 53.75, 850.0),
    (106.0, 46_800_000, 100, 1_000_000_000, 13.75, 54.75, 875.0),
]


@pytest.fixture
def recording(nvml, monkeypatch):
    """``recording(i)`` is the moment of row i."""
    moment, waited = {}, []

    def at(row):
        moment.update(
            zip(("time", "energy", "load", "memory", "process", "machine", "resident"), ROWS[row], strict=True)
        )
        nvml.now.energy_mj, nvml.now.percent, nvml.now.memory = (moment[k] for k in ("energy", "load", "memory"))

    at.waited = waited
    monkeypatch.setattr(time, "perf_counter", lambda: moment["time"])
    monkeypatch.setattr(processes, "process_s", lambda: moment["process"])
    monkeypatch.setattr(processes, "machine_s", lambda: moment["machine"])
    monkeypatch.setattr(processes, "memory_mb", lambda: moment["resident"])
    monkeypatch.setattr(meter, "open_host", lambda country: NoHost("not in the recording"))
    monkeypatch.setattr(meter, "SAMPLE_S", 3600.0)  # the test takes the readings
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    return at


ABSENT = tuple(Energy(part, None, "absent", "not in the recording") for part in ("cpu", "ram"))


def test_a_recorded_run(recording):
    device = torch.device("cuda")
    recording(0)
    with Meter(device) as running:
        recording(1)
        running.sample()
        recording(2)
        running.sample()
        recording(3)
        first = running.lap()
        recording(4)
        second = running.lap()
    assert first == Usage(
        energy=(*ABSENT, Energy("gpu", 0.002, "measured", "NVML, NVIDIA H200")),
        device_load_mean=(0.5 * 0.5 + 1.0 * 0.25 + 0.5 * 0.75) / 2,
        device_load_peak=0.75,
        cpu_load_mean=1.375,
        cpu_load_peak=2.0,
        others_load_mean=0.5,
        memory_peak_mb=1000.0,
        device_memory_peak_mb=2500.0,
        carbon_intensity=None,
        country=None,
        duration_s=2.0,
    )
    assert second == Usage(
        energy=(*ABSENT, Energy("gpu", 0.01, "measured", "NVML, NVIDIA H200")),
        device_load_mean=1.0,
        device_load_peak=1.0,
        cpu_load_mean=0.25,
        cpu_load_peak=0.25,
        others_load_mean=0.0,
        memory_peak_mb=875.0,
        device_memory_peak_mb=1250.0,
        carbon_intensity=None,
        country=None,
        duration_s=4.0,
    )
    assert recording.waited == [device] * 3
    assert first.disturbed
    assert not second.disturbed
    assert combined(first, second) == Usage(
        energy=(*ABSENT, Energy("gpu", 0.012, "measured", "NVML, NVIDIA H200")),
        device_load_mean=(2 * 0.4375 + 4 * 1.0) / 6,
        device_load_peak=1.0,
        cpu_load_mean=(2 * 1.375 + 4 * 0.25) / 6,
        cpu_load_peak=2.0,
        others_load_mean=1 / 6,
        memory_peak_mb=1000.0,
        device_memory_peak_mb=2500.0,
        carbon_intensity=None,
        country=None,
        duration_s=6.0,
    )


def worked(seconds):
    """Keep one core at work for so many seconds of its time."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_this_machine_as_it_is(codecarbon, monkeypatch):
    """The process's seconds on the cores lie between those counted inside and outside; 256 MB were taken a while."""
    monkeypatch.setattr(meter, "SAMPLE_S", 0.05)
    outside = time.process_time()
    with Meter(torch.device("cpu"), "CHE") as running:
        inside = time.process_time()
        block = torch.ones(64_000_000)
        worked(0.3)
        inside = time.process_time() - inside
        first = running.lap()
        outside = time.process_time() - outside
        del block
        second = running.lap()
    assert inside <= first.cpu_load_mean * first.duration_s <= outside
    assert first.cpu_load_peak >= first.cpu_load_mean
    assert first.memory_peak_mb > 256
    assert (first.country, first.carbon_intensity) == ("CHE", carbon_intensity("CHE"))
    assert (first.device_load_mean, first.device_memory_peak_mb) == (None, None)
    assert [entry.part for entry in first.energy] == ["cpu", "ram", "gpu"]
    assert combined(first, second).duration_s == first.duration_s + second.duration_s


@pytest.mark.skipif(psutil.cpu_times().user == 0, reason="this system does not count its processes' work")
def test_another_process_is_seen(monkeypatch):
    """One that takes a second of a core; the system counts in ticks, hence the half."""
    monkeypatch.setattr(meter, "open_host", lambda country: NoHost("not asked"))
    script = "import time\nwhile time.process_time() < 1: pass"
    with Meter(torch.device("cpu")) as running:
        subprocess.run([sys.executable, "-c", script], check=True)
        usage = running.lap()
    assert usage.others_load_mean * usage.duration_s > 0.5
    assert usage.cpu_load_mean * usage.duration_s < 0.5


@pytest.mark.skipif(any(Path("/sys/class/powercap").glob("*rapl*")), reason="this machine has power meters")
def test_without_power_meters_nothing_looks_measured(codecarbon):
    with Meter(torch.device("cpu"), "CHE") as running:
        worked(0.2)
        usage = running.lap()
    assert {entry.part: entry.source for entry in usage.energy} == {
        "cpu": "estimated",
        "ram": "estimated",
        "gpu": "absent",
    }
    assert usage.measured_kwh is None
    assert usage.measured_carbon_kg is None
    assert usage.estimated_kwh > 0
    for entry in usage.energy[:2]:
        assert "W x " in entry.meter


def test_the_meter_ends_with_the_run_also_where_it_fails(codecarbon):
    def run():
        with Meter(torch.device("cpu")):
            assert "mgu meter" in {thread.name for thread in threading.enumerate()}
            raise FloatingPointError

    before = set(threading.enumerate())
    with pytest.raises(FloatingPointError):
        run()
    for thread in set(threading.enumerate()) - before:  # CodeCarbon's timers were told to end, and are not waited for
        thread.join(5)
    assert set(threading.enumerate()) <= before


def test_an_unknown_country_is_refused_before_anything_runs(codecarbon, monkeypatch):
    monkeypatch.setattr(meter, "open_host", pytest.fail)
    with pytest.raises(InputError, match="such as CHE"):
        Meter(torch.device("cpu"), "XYZ")


@pytest.mark.parametrize("parts", [("cpu", "ram"), ("gpu",)])
def test_of_a_part_that_is_shared_no_energy_is_told_but_why(parts):
    with Meter(torch.device("cpu"), shared=dict.fromkeys(parts, "3 at once")) as running:
        usage = running.lap()
    assert sorted(entry.part for entry in usage.energy) == ["cpu", "gpu", "ram"]
    for entry in usage.energy:
        known = (entry.source, entry.kwh, entry.meter) == ("absent", None, "3 at once")
        assert known == (entry.part in parts)
    assert usage.cpu_load_mean is not None
