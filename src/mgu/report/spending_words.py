"""How it is said what the models took."""

from collections.abc import Callable

from mgu.history import ALONE_CORES, Flops
from mgu.report import units
from mgu.report.figures import UNKNOWN
from mgu.report.spending import Kind, Spending, Spent
from mgu.report.summary import Summary
from mgu.report.words import Column, seconds, seed_list

METHOD = (
    "The clock is the system's monotonic one, read with the device synchronised. It runs from the first touch of the "
    "data to the end of the test evaluation, and stands still where records are written, the screen is drawn, and a "
    "batch of a new size is run for the first time: that is the time of compilation.",
    "Floating-point operations are counted from the shapes of what was run, matrix products and convolutions (a "
    "multiplication and an addition are two) apart from all operations; nothing was measured for them.",
    "Energy is of the whole machine, whoever used it. Measured means that a counter in the hardware gave it (RAPL for "
    "the processor, NVML for the GPU); estimated that it was worked out from time, load and the power that the "
    "processor and the memory are taken to draw. The two are never added up, and what is absent, if only for a "
    "stretch, is in no sum. Carbon is energy times the mean carbon intensity of the country that was given.",
    "The load of the GPU is the share of the time in which it ran anything, by its driver. The load of the processor "
    "is in cores that were kept busy, this process's and all others' apart; peaks are of half a second. A trial beside "
    f"which other processes kept more than {ALONE_CORES:g} cores busy was not alone on its machine: neither its times "
    "nor its energies are its own. Memory is the resident memory of the process and what was taken on the GPU.",
)
TABLE = (
    "A row a model: means over its seeds, of peaks the highest. Operations are those of matrix products and "
    "convolutions / all of them. A hardened network's row has the soft epochs before in it. What killed attempts took "
    "beside their time is not on record."
)


def columns(spending: Spending) -> tuple[Column[Spent], ...]:
    """The columns of which something is known."""
    every_row = rows(spending)
    kinds = sorted({kind for row in every_row for kind in row.energy})
    sources = sorted({source for row in every_row for source in row.carbon}, reverse=True)
    found = (*_TIMES, *_OPERATIONS, *map(_energy, kinds), *map(_carbon, sources), *_LOADS, *_ALONE)
    return (_NAME, *(column for column in found if any(column.value(row) is not None for row in every_row)))


def rows(spending: Spending) -> tuple[Spent, ...]:
    """The rows of the table, the whole grid's last."""
    return (*spending.rows, spending.grid) if spending.grid else spending.rows


def places(spending: Spending) -> str:
    """For which countries carbon is reckoned; empty where none was given."""
    known = [f"{country} ({grams:g} g CO2-equivalent per kWh)" for country, grams in spending.places]
    return f"Carbon is that of the electricity of {', '.join(known)}." if known else ""


def meters(spending: Spending) -> list[tuple[str, str, str, str]]:
    """By part and source, the meter and of how many networks it is."""
    return [(use.part, use.source, use.meter, str(use.networks)) for use in spending.meters]


def _energy(kind: Kind) -> Column[Spent]:
    header = f"{kind[0]}, {kind[1]}"
    return Column(
        header, lambda row: units.energy(row.energy.get(kind)), lambda row: row.energy.get(kind), numeric=True
    )


def _carbon(source: str) -> Column[Spent]:
    header = f"CO2e, {source}"
    return Column(header, lambda row: units.carbon(row.carbon.get(source)), lambda row: row.carbon.get(source), True)


def _load(header: str, name: str, say: Callable[[float | None], str]) -> Column[Spent]:
    return Column(header, lambda row: say(row.usage.get(name)), lambda row: row.usage.get(name), numeric=True)


def _every(flops: Flops | None) -> int | None:
    return flops.every if flops else None


_NAME = Column[Spent]("model_name", lambda row: row.name, lambda row: row.name)
_TIMES = (
    Column[Spent]("tts", lambda row: seconds(row.tts_s), lambda row: row.tts_s, numeric=True),
    Column[Spent]("training", lambda row: seconds(row.train_s), lambda row: row.train_s, numeric=True),
    Column[Spent]("compilation, apart", lambda row: seconds(row.compile_s), lambda row: row.compile_s, numeric=True),
)
_OPERATIONS = (
    Column[Spent](
        "a step, matrix / all",
        lambda row: units.flops(row.step_flops),
        lambda row: _every(row.step_flops),
        numeric=True,
    ),
    Column[Spent](
        "the run, matrix / all", lambda row: units.flops(row.run_flops), lambda row: _every(row.run_flops), numeric=True
    ),
)
_LOADS = (
    _load("GPU load", "device_load_mean", units.share),
    _load("GPU load, peak", "device_load_peak", units.share),
    _load("CPU load, cores", "cpu_load_mean", units.cores),
    _load("CPU load, peak", "cpu_load_peak", units.cores),
    _load("others' load, cores", "others_load_mean", units.cores),
    _load("memory, peak", "memory_peak_mb", units.memory),
    _load("GPU memory, peak", "device_memory_peak_mb", units.memory),
)
_ALONE = (
    Column[Spent](
        "not alone",
        lambda row: f"{row.disturbed} of {row.metered}" if row.metered else UNKNOWN,
        lambda row: row.disturbed if row.metered else None,
        numeric=True,
    ),
)


def facts(spending: Spending, summary: Summary) -> dict[str, str]:
    """What the grid of a whole study took beside MGU, as hardened where it was, for the same seeds."""
    mgu, grid = spending.mgu, spending.grid
    cost = summary.hardened.cost if summary.hardened else summary.mgu_cost
    if not summary.complete or not mgu or not grid or not cost or not summary.grid_cost:
        return {}
    if cost.seeds != summary.grid_cost.seeds:
        return {}
    known = {}
    only = f" ({seed_list(cost.seeds)})" if summary.is_uneven else ""
    if grid.run_flops and mgu.run_flops:
        every = (float(grid.run_flops.every), float(mgu.run_flops.every))
        known["Operations"] = _against(grid, mgu, every, lambda count: units.quantity(count, "FLOP")) + only
    for source in ("measured", "estimated"):
        parts = {part for part, of in mgu.energy if of == source}
        whole = not any(of == source for _, of in mgu.partly)
        if whole and parts and parts == {part for part, of in grid.energy if of == source}:
            sums = (_sum(grid, source), _sum(mgu, source))
            known[f"Energy, {source} ({', '.join(sorted(parts))})"] = _against(grid, mgu, sums, units.energy) + only
    return known


def _sum(row: Spent, source: str) -> float:
    return sum(kwh for (_, of), kwh in row.energy.items() if of == source)


def _against(grid: Spent, mgu: Spent, figures: tuple[float, float], say: Callable[[float], str]) -> str:
    ratio = f": {figures[0] / figures[1]:.2f} times as much" if figures[1] else ""
    return f"{say(figures[0])} for {grid.name}, {say(figures[1])} for {mgu.name}{ratio}"


def disturbance(spending: Spending) -> str:
    """How many trials had their machine for themselves, as far as anyone looked."""
    if not spending.metered:
        return "Whether the trials were alone on their machine is not on record."
    if not spending.disturbed:
        return (
            f"None of the {spending.metered} trials of which it is on record had other work beside it on the machine."
        )
    were = "was not alone on its" if spending.disturbed == 1 else "were not alone on their"
    return (
        f"{spending.disturbed} of {spending.metered} trials {were} machine: other processes kept more than "
        f"{ALONE_CORES:g} cores busy, so times and energies mean less."
    )


def missing(spending: Spending) -> str:
    """What no trial has on record; empty where all is."""
    known = {
        "floating-point operations": any(row.run_flops for row in spending.rows),
        "energy": any(row.energy for row in spending.rows),
        "loads and memory": any(row.usage for row in spending.rows),
    }
    gone = [name for name, found in known.items() if not found]
    return f"Not on record of any trial: {', '.join(gone)}." if gone else ""
