"""The energy of the processor and the memory, by CodeCarbon."""

import time
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Protocol

from mgu.history import Energy
from mgu.measure.carbon import silence_codecarbon

#: Seconds after which CodeCarbon reads again: a RAPL counter runs over after 262 kJ, which take some minutes at most.
READ_S = 15.0
#: Seconds from one reading to the next, at least: asked sooner, CodeCarbon reads nothing.
APART_S = 0.06

#: Where CodeCarbon's figures come from, by its own names. Measured are only those that a counter in the hardware adds
#: up; readings of power, and all that CodeCarbon works out from what it takes the hardware to be, are estimates.
METHODS: Mapping[str, tuple[str, str]] = {
    "intel_rapl": ("measured", "RAPL"),
    "windows_emi": ("measured", "Windows EMI"),
    "cpu_load": ("estimated", "TDP taken as {hardware._tdp:g} W x load"),
    "constant": ("estimated", "TDP taken as {hardware._tdp:g} W x 0.5 x time"),
    "intel_power_gadget": ("estimated", "readings of Power Gadget x time"),
    "AppleSiliconChip": ("estimated", "readings of powermetrics x time"),
    "Raspberry": ("estimated", "readings of the power chip x time"),
    "RAM": ("estimated", "{totals.ram_power:g} W x time"),
}
_UNKNOWN = ("estimated", "by a method not known here")


class Host(Protocol):
    """What a meter asks of the machine around the GPU."""

    def start(self) -> None:
        """Begin the first lap."""
        ...

    def refresh(self) -> None:
        """To be called every second or so."""
        ...

    def lap(self) -> tuple[Energy, ...]:
        """What processor and memory took since the last lap; a short lap is waited for."""
        ...

    def stop(self) -> None:
        """The end."""
        ...


class NoHost:
    """Stands where CodeCarbon cannot be used, for the ``reason``."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def start(self) -> None: ...

    def refresh(self) -> None: ...

    def lap(self) -> tuple[Energy, ...]:
        return tuple(Energy(part, None, "absent", self.reason) for part in ("cpu", "ram"))

    def stop(self) -> None: ...


class CodeCarbonHost:
    """Processor and memory of the whole machine, by an OfflineEmissionsTracker (https://docs.codecarbon.io) of its own.

    It writes no file, asks no server, and logs nothing. CodeCarbon swallows its own errors: where it gives no totals,
    or a part's do not grow, the part is absent for that lap.
    """

    def __init__(self, country: str | None) -> None:
        self.name = f"CodeCarbon {version('codecarbon')}"
        self._tracker = _tracker(country, self)
        self._given: Any = None
        self._lap_began: Any = None
        self._read_at = 0.0

    def start(self) -> None:
        self._tracker.start()
        # The GPU has a meter of its own, and its driver would be asked twice.
        self._tracker._hardware = [item for item in self._hardware() if _part(item) != "gpu"]
        self._totals()  # the first time it loads its tables, after it has read its meters
        self._lap_began = self._totals()

    def refresh(self) -> None:
        if time.monotonic() - self._read_at >= READ_S:
            self._totals()

    def lap(self) -> tuple[Energy, ...]:
        time.sleep(max(0.0, self._read_at + APART_S - time.monotonic()))
        before, after = self._lap_began, self._totals()
        self._lap_began = after
        if before is None or after is None:
            return NoHost(f"{self.name} failed").lap()
        return (
            self._energy("cpu", after.cpu_energy - before.cpu_energy, after),
            self._energy("ram", after.ram_energy - before.ram_energy, after),
        )

    def stop(self) -> None:
        self._tracker.stop()

    def out(self, total: Any, delta: Any) -> None:
        """CodeCarbon calls it with its totals at each flush."""
        self._given = total

    def exit(self) -> None:
        """CodeCarbon calls it when it stops."""

    def _totals(self) -> Any:
        """CodeCarbon's totals by now; None where it failed."""
        self._given = None
        self._tracker.flush()
        self._read_at = time.monotonic()
        return self._given

    def _hardware(self) -> list[Any]:
        """What CodeCarbon reads; nothing where it failed."""
        return list(getattr(self._tracker, "_hardware", ()))

    def _energy(self, part: str, kwh: float, totals: Any) -> Energy:
        hardware = next((item for item in self._hardware() if _part(item) == part), None)
        source, words = METHODS.get(_method(hardware), _UNKNOWN)
        meter = f"{self.name}, {words.format(hardware=hardware, totals=totals)}"
        return Energy(part, kwh, source, meter) if kwh > 0 else Energy(part, None, "absent", f"{meter}: gave nothing")


def open_host(country: str | None) -> Host:
    """The meter of processor and memory; one that knows nothing, and says why, without CodeCarbon."""
    try:
        return CodeCarbonHost(country)
    except ImportError:
        return NoHost("pip install mgu[energy]")


def _tracker(country: str | None, receiver: CodeCarbonHost) -> Any:
    """CodeCarbon's tracker; what is stated here cannot be changed by a file or variable of CodeCarbon's."""
    silence_codecarbon()
    from codecarbon import OfflineEmissionsTracker

    return OfflineEmissionsTracker(
        country_iso_code=country,
        region=None,
        cloud_provider=None,
        cloud_region=None,
        tracking_mode="machine",  # as the counters do
        force_mode_cpu_load=False,
        rapl_include_dram=False,  # memory is a part of its own
        rapl_prefer_psys=False,
        pue=1.0,
        wue=0.0,
        force_carbon_intensity_g_co2e_kwh=0.0,  # no carbon from here, so that it never asks a server for today's
        electricitymaps_api_token=None,
        emissions_endpoint=None,
        output_methods=[],
        output_handlers=[receiver],
        output_dir=".",
        api_call_interval=-1,
        measure_power_secs=1e6,  # never: its thread could count an interval that a flush counts too
        allow_multiple_runs=True,  # no lock file, no signal handlers
        log_level="critical",
    )


def _part(hardware: Any) -> str:
    return str(getattr(hardware, "chip_part", type(hardware).__name__)).lower()


def _method(hardware: Any) -> str:
    return str(getattr(hardware, "_mode", type(hardware).__name__))
