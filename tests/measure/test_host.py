"""Processor and memory by CodeCarbon: what is measured, what is a guess, and that it stays by itself."""

import socket
import sys
import time
from types import SimpleNamespace

import pytest

from mgu.errors import InputError
from mgu.history import Energy
from mgu.measure import carbon_intensity
from mgu.measure.host import METHODS, READ_S, open_host

J_PER_KWH = 3.6e6
ROUNDED = 1e-6  # CodeCarbon's own kWh per J has 6 digits
WRAP_J = 262_143


@pytest.fixture
def rapl(codecarbon, monkeypatch, tmp_path):
    """A machine whose one processor has a RAPL counter, in the kernel's files; ``rapl(joules)`` sets it."""
    from codecarbon.core import cpu
    from codecarbon.external import hardware

    domain = tmp_path / "intel-rapl" / "intel-rapl:0"
    domain.mkdir(parents=True)
    (domain / "name").write_text("package-0\n")
    (domain / "max_energy_range_uj").write_text(f"{WRAP_J * 10**6}\n")
    interface = hardware.IntelRAPL
    monkeypatch.setattr(cpu, "is_rapl_available", lambda: True)
    monkeypatch.setattr(
        hardware, "IntelRAPL", lambda **settings: interface(**{**settings, "rapl_dir": str(domain.parent)})
    )

    def count(joules):
        (domain / "energy_uj").write_text(f"{round(joules * 1e6)}\n")

    count(1000)
    return count


@pytest.fixture
def host(codecarbon):
    hosts = []

    def opened(country=None):
        hosts.append(open_host(country))
        hosts[-1].start()
        return hosts[-1]

    yield opened
    for each in hosts:
        each.stop()


@pytest.fixture
def later(monkeypatch):
    """``later(seconds)`` has them pass at once."""
    passed = [0.0]
    clock = time.perf_counter
    for name in ("perf_counter", "monotonic"):
        monkeypatch.setattr(time, name, lambda: clock() + passed[0])

    def leap(seconds):
        passed[0] += seconds

    return leap


def by_part(energy):
    return {entry.part: entry for entry in energy}


def test_a_counter_is_a_measurement(rapl, host, later):
    meter = host()
    later(10)
    rapl(1450)
    first = by_part(meter.lap())
    later(10)
    rapl(1750)
    second = by_part(meter.lap())
    assert first["cpu"].kwh == pytest.approx(450 / J_PER_KWH, rel=ROUNDED)
    assert second["cpu"].kwh == pytest.approx(300 / J_PER_KWH, rel=ROUNDED)
    assert first["cpu"].source == "measured"
    assert first["cpu"].meter == f"{meter.name}, RAPL"
    assert first["ram"].source == "estimated"


def test_a_counter_that_runs_over_more_than_once_in_a_lap(rapl, host, later):
    """100 kJ each 20 s, 600 kJ in all, where the counter begins again after 262."""
    meter = host()
    for i in range(1, 7):
        later(READ_S + 5)
        rapl((1000 + i * 100_000) % WRAP_J)
        meter.refresh()
    assert by_part(meter.lap())["cpu"].kwh == pytest.approx(600_000 / J_PER_KWH, rel=ROUNDED)


def test_a_counter_that_stands_still_is_no_measurement(rapl, host, later):
    meter = host()
    later(10)
    assert by_part(meter.lap())["cpu"] == Energy("cpu", None, "absent", f"{meter.name}, RAPL: gave nothing")


def test_an_estimate_says_what_it_is_made_of(codecarbon, host, monkeypatch, later):
    """Memory is a constant times the time; 7 W are what the user told CodeCarbon."""
    monkeypatch.setenv("CODECARBON_FORCE_RAM_POWER", "7")
    meter = host("CHE")
    later(1800)
    energy = by_part(meter.lap())
    assert energy["ram"].kwh == pytest.approx(0.0035, rel=1e-3)
    assert energy["ram"].source == "estimated"
    assert energy["ram"].meter == f"CodeCarbon {codecarbon.__version__}, 7 W x time"


def test_a_lap_too_short_for_codecarbon_is_waited_for(codecarbon, host):
    found = host()
    found.start()
    assert all(entry.kwh for entry in [*found.lap(), *found.lap()])


def test_only_counters_count_as_measurements():
    assert {method for method, (source, _) in METHODS.items() if source == "measured"} == {"intel_rapl", "windows_emi"}


def test_a_method_not_known_here_is_an_estimate(rapl, host, later):
    """As a later CodeCarbon may call one."""
    meter = host()
    meter._tracker._hardware[1]._mode = "a new one"
    meter._tracker._hardware[1].measure_power_and_energy = meter._tracker._hardware[0].measure_power_and_energy
    later(10)
    cpu = by_part(meter.lap())["cpu"]
    assert (cpu.source, cpu.meter) == ("estimated", f"{meter.name}, by a method not known here")


def test_codecarbon_does_not_read_the_gpu_as_well(codecarbon, monkeypatch, host):
    from codecarbon.emissions_tracker import BaseEmissionsTracker

    ready = BaseEmissionsTracker._ensure_hardware_ready

    def with_a_gpu(self):
        ready(self)
        self._hardware.append(SimpleNamespace(chip_part="GPU", start=lambda: None, measure_power_and_energy=None))

    monkeypatch.setattr(BaseEmissionsTracker, "_ensure_hardware_ready", with_a_gpu)
    assert [type(item).__name__ for item in host()._tracker._hardware] == ["RAM", "CPU"]


def test_codecarbons_own_failure_is_told(codecarbon, host, monkeypatch):
    from codecarbon.emissions_tracker import BaseEmissionsTracker

    def fail(self):
        raise OSError("no such machine")

    monkeypatch.setattr(BaseEmissionsTracker, "_ensure_hardware_ready", fail)
    meter = host()
    assert meter.lap() == tuple(Energy(part, None, "absent", f"{meter.name} failed") for part in ("cpu", "ram"))


def test_nothing_is_written_said_or_sent_whatever_codecarbon_is_set_to(host, monkeypatch, tmp_path, later, capfd):
    asked = []

    def ask(*arguments, **_):
        asked.append(arguments)
        raise OSError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    monkeypatch.setattr(socket.socket, "connect", ask)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    settings = {
        "SAVE_TO_FILE": "true",
        "OUTPUT_METHODS": "csv,api",
        "EMISSIONS_ENDPOINT": "http://127.0.0.1:9",
        "CO2_SIGNAL_API_TOKEN": "token",
        "CLOUD_PROVIDER": "gcp",
        "PUE": "3",
        "FORCE_RAM_POWER": "7",
        "LOG_LEVEL": "debug",
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"CODECARBON_{name}", value)
    meter = host("CHE")
    later(3600)
    assert by_part(meter.lap())["ram"].kwh == pytest.approx(0.007, rel=1e-3)
    meter.stop()
    assert asked == []
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_without_codecarbon(monkeypatch):
    monkeypatch.setitem(sys.modules, "codecarbon", None)
    monkeypatch.setitem(sys.modules, "codecarbon.input", None)
    meter = open_host(None)
    meter.start()
    meter.refresh()
    assert meter.lap() == tuple(Energy(part, None, "absent", "pip install mgu[energy]") for part in ("cpu", "ram"))
    meter.stop()
    assert carbon_intensity(None) is None
    with pytest.raises(InputError, match=r"pip install mgu\[energy\]"):
        carbon_intensity("CHE")


@pytest.mark.parametrize("country", ["CHE", "DEU", "USA", "IND", "NOR"])
def test_carbon_intensity_is_what_codecarbon_works_with(codecarbon, country):
    from codecarbon.core.emissions import Emissions
    from codecarbon.core.units import Energy as Electricity
    from codecarbon.external.geography import GeoMetadata
    from codecarbon.input import DataSource

    kg = Emissions(DataSource()).get_country_emissions(Electricity.from_energy(1.0), GeoMetadata(country))
    assert carbon_intensity(country) == pytest.approx(1000 * kg, rel=1e-12)


@pytest.mark.parametrize("country", ["XXX", "CH", "che", "Switzerland", ""])
def test_an_unknown_country_is_refused(codecarbon, country):
    with pytest.raises(InputError, match="such as CHE, DEU") as error:
        carbon_intensity(country)
    assert repr(country) in str(error.value)
