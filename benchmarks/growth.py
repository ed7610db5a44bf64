"""How cost grows: a training step with depth and width, an epoch with images, a study's driver with cells, and a study
with workers.

    python benchmarks/growth.py OUT_FOLDER [PART ...]

MGU (channel gates, shortcut bypass) and the plain cell with batch norm and residual are timed in turn. Each part is a
table, with the line of least squares through it and the exponent of a power law (see series.py): 1 is in proportion,
and of workers -1 what none beside the trials would give.
They are printed, and written to OUT_FOLDER as growth.txt and growth.svg, with the figures in growth.json. A part that
is not asked for keeps what OUT_FOLDER has of it. It takes some five minutes on one core.
"""

import json
import os
import sys
import time
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from driver import ANSWER, BEGAN, CHECKPOINT, EPOCH, drive
from matplotlib.figure import Figure
from memory import peak_mb
from series import Series
from steps import note_of_load, seconds
from subjects import BASE, CHEAP, build, stepper

from mgu.comparison import Comparison
from mgu.data import DataSet, Split, load_data
from mgu.files import write_whole
from mgu.layouts import Layout
from mgu.progress import Silent
from mgu.spaces import Architecture, Cell, load_space
from mgu.training import Recipe, fit, flush_denormals
from mgu.workplaces import Workplace

BATCH, ROUNDS = 32, 7
MGU, PLAIN = "MGU", "plain"
VARIANTS = {MGU: CHEAP[0], PLAIN: BASE}
#: Whose results the made-up study's trials have.
STUDY = Path(__file__).parents[1] / "results" / "digits"


@dataclass(frozen=True)
class Subject:
    """So many convolutions of equal width, that keep the positions: a network as those of ``subjects.NETWORKS``."""

    depth: int
    width: int
    steps: int = 1
    shape: tuple[int, ...] = (3, 16, 16)
    classes: int = 10

    def architecture(self) -> Architecture:
        return Architecture(Layout(self.depth, 0, 1, 1, 1), start_filters=self.width, max_filters=self.width)


def steps(title: str, size: str, subjects: dict[int, Subject]) -> Series:
    """Milliseconds a step, and the peak of memory in it."""
    columns: dict[str, list[float]] = {}
    for subject in subjects.values():
        models = {name: build(subject, variant) for name, variant in VARIANTS.items()}
        makers = {name: stepper(model, subject, torch.device("cpu"), BATCH) for name, model in models.items()}
        for name, times in seconds(makers, subject, ROUNDS).items():
            columns.setdefault(f"{name}, ms", []).append(1000 * median(times))
        for name, variant in VARIANTS.items():
            columns.setdefault(f"{name}, MB", []).append(peak_mb(subject, variant, torch.get_num_threads()))
    return Series(title, size, list(subjects), columns)


def depth() -> Series:
    subjects = {number: Subject(number, 32) for number in (1, 2, 4, 8, 16)}
    return steps(f"A training step, 32 channels, 16 x 16 positions, batch {BATCH}", "layers", subjects)


def width() -> Series:
    subjects = {number: Subject(3, number) for number in (16, 32, 64, 128, 256)}
    return steps(f"A training step, 3 layers, 16 x 16 positions, batch {BATCH}", "channels", subjects)


def images() -> Series:
    """Seconds an epoch, with its evaluation on a fifth as many images."""
    sizes, columns = (500, 1000, 2000, 4000, 8000), {}
    for number in sizes:
        data = random_images(number)
        for name, variant in VARIANTS.items():
            layers = Subject(3, 16, shape=data.input_shape).architecture()
            network = replace(layers, cell=Cell.of(variant)) if name == PLAIN else layers
            history = fit(network, data, Recipe(epochs=4, harden_after=0)).result.history
            ends = [epoch.elapsed_s for epoch in history]
            columns.setdefault(f"{name}, s", []).append(median(b - a for a, b in pairwise(ends)))
    return Series("An epoch, 3 layers of 16 channels, images of 8 x 8, batch 64", "images", sizes, columns)


def random_images(number: int) -> DataSet:
    generator = np.random.default_rng(0)

    def split(count):
        x = generator.integers(0, 256, (count, 1, 8, 8), dtype=np.uint8)
        return Split(x, generator.integers(0, 10, count))

    return DataSet("random", split(number), split(number // 5), split(100), tuple("0123456789"), "0" * 64)


def cells() -> Series:
    """What the driver takes a trial and in all, and the ledger's size."""
    sizes, columns = (10, 100, 1000), {}
    for number in sizes:
        with TemporaryDirectory() as folder:
            driven = drive(Path(folder) / "study", number, STUDY)
        last = {kind: 1000 * median(times[-50:]) for kind, times in driven.messages.items()}
        figures = {
            "began, ms": last[BEGAN],
            "epoch, ms": last[EPOCH],
            "checkpoint, ms": last[CHECKPOINT],
            "answer, ms": last[ANSWER],
            "opening, s": driven.opening,
            "read all, s": driven.view,
            "report, s": driven.report,
            "ledger, kB": driven.bytes / 1000,
        }
        for name, figure in figures.items():
            columns.setdefault(name, []).append(figure)
    title = "The driver: the last 50 trials' messages (median), and a whole study's opening, reading, report and ledger"
    return Series(title, "cells", sizes, columns)


def workers() -> Series:
    """Seconds of a study of digits with so many trials at once."""
    comparison = Comparison(load_data("digits"), load_space("digits"), Recipe(epochs=20, patience=20, harden_after=0))
    trials = comparison.trials([0], ["DIG_00[1-4]"])
    makespans = []
    for number in (1, 2):
        with TemporaryDirectory() as folder:
            comparison.run(Path(folder) / "warm", trials[:1], Silent())
            begun = time.perf_counter()
            comparison.run(Path(folder) / "study", trials, Silent(), place=Workplace(workers=number))
            makespans.append(time.perf_counter() - begun)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    title = f"A study of {len(trials)} trials on digits, its report included, on {cores} core(s)"
    return Series(title, "workers", (1, 2), {"makespan, s": makespans})


PARTS = {part.__name__: part for part in (depth, width, images, cells, workers)}


def plot(series: dict[str, Series]) -> Figure:
    figure = Figure((4 * len(series), 4), layout="constrained")
    for axes, one in zip(np.atleast_1d(figure.subplots(1, len(series))), series.values(), strict=True):
        for name, values in one.columns.items():
            axes.loglog(one.sizes, values, "o-", label=f"{name}: ^{one.fits[name].exponent:.2f}")
        axes.set_xlabel(one.size)
        axes.set_xticks(one.sizes, map(str, one.sizes))
        axes.minorticks_off()
        axes.legend(fontsize="x-small")
    return figure


def main(out: Path, *asked: str) -> None:
    if unknown := set(asked) - set(PARTS):
        sys.exit(f"unknown parts: {', '.join(sorted(unknown))}; allowed: {', '.join(PARTS)}")
    flush_denormals()
    out.mkdir(parents=True, exist_ok=True)
    record = out / "growth.json"
    known = json.loads(record.read_text()) if record.exists() else {}
    for name in asked or PARTS:
        known[name] = {"note": note_of_load().strip(), **asdict(PARTS[name]())}
        print(f"\n{Series(**_without_note(known[name])).text}", flush=True)
        write_whole(record, json.dumps(known, indent=1).encode())
    series = {name: Series(**_without_note(known[name])) for name in PARTS if name in known}
    head = f"torch {torch.__version__}, {torch.get_num_threads()} thread(s)"
    notes = {name: f"{known[name]['note']}\n" if known[name]["note"] else "" for name in series}
    texts = [f"{notes[name]}{one.text}" for name, one in series.items()]
    write_whole(out / "growth.txt", "\n\n".join([head, *texts]).encode())
    plot(series).savefig(out / "growth.svg")


def _without_note(entry):
    return {name: value for name, value in entry.items() if name != "note"}


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
