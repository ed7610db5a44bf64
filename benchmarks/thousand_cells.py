"""What a study of a thousand cells on a hundred workers asks of its driver: by measured costs and a simulated clock.

    python benchmarks/thousand_cells.py OUT_FOLDER [CELLS] [WORKERS] [STUDY ...]

Trials have the lengths and epochs of the STUDY's own (results/digits and results/mnist), in turn. OUT_FOLDER has
growth.json of ``growth.py OUT_FOLDER cells``: seconds of the driver for each message, the slowest measured, and for an
answer by how many trials are recorded. The driver takes one message after the other. A trial tells that it began, of
its epochs and checkpoints as often as is written (of more epochs nothing is), and its answer, upon which the driver
starts the next in its place. Neither the network nor the starting of processes takes time here, and workers wait for
nothing but an answer's successor.

Besides: at how many workers the driver has no time left (mean length / driver's seconds a trial), and the simulation of
ten trials each for that number. What came of it is printed, and written to OUT_FOLDER/thousand_cells.txt.
"""

import heapq
import json
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from statistics import fmean

from series import fit

from mgu.files import write_whole
from mgu.study import runner
from mgu.study.ledger import read_study
from mgu.training import checkpoints

RESULTS = Path(__file__).parents[1] / "results"
BEGAN, EPOCH, CHECKPOINT, ANSWER = "began", "epoch", "checkpoint", "answer"
#: Seconds between two, at least.
APART_S = {EPOCH: runner.APART_S, CHECKPOINT: checkpoints.APART_S}


@dataclass(frozen=True)
class Length:
    """A trial's seconds, and its epochs, all of one length."""

    seconds: float
    epochs: int

    def told(self) -> list[tuple[float, str]]:
        """What it tells, with the seconds since its beginning."""
        ends = [self.seconds * (i + 1) / self.epochs for i in range(self.epochs)]
        told = [(0.0, BEGAN)]
        last = dict.fromkeys(APART_S, 0.0)
        for end in ends:
            for kind, apart_s in APART_S.items():
                if end - last[kind] >= apart_s:
                    told.append((end, kind))
                    last[kind] = end
        return [*told, (self.seconds, ANSWER)]


@dataclass(frozen=True)
class Simulated:
    """Seconds of the whole, of the driver at work, and of the same without any driver's work; and the most messages
    that ever waited for the driver."""

    makespan: float
    busy: float
    ideal: float
    most_waiting: int


#: Seconds of the driver for a message, by its kind and the number of trials recorded.
Cost = Callable[[str, int], float]


def simulate(trials: Sequence[Length], workers: int, cost: Cost) -> Simulated:
    """The study with one driver, who hears what is told in the order in which it was told."""
    makespan, busy, most = _run(trials, workers, cost)
    return Simulated(makespan, busy, _run(trials, workers, lambda kind, recorded: 0.0)[0], most)


def _run(trials: Sequence[Length], workers: int, cost: Cost) -> tuple[float, float, int]:
    waiting, heard = deque(enumerate(trials)), deque()  # heard: when the driver is done with what was told
    told: list[tuple[float, int, int, str]] = []

    def start(now: float) -> None:
        if waiting:
            number, trial = waiting.popleft()
            for place, (after, kind) in enumerate(trial.told()):
                heapq.heappush(told, (now + after, number, place, kind))

    for _ in range(workers):
        start(0.0)
    free, busy, recorded, most = 0.0, 0.0, 0, 0
    while told:
        at, _, _, kind = heapq.heappop(told)
        seconds = cost(kind, recorded)
        free, busy = max(free, at) + seconds, busy + seconds
        while heard and heard[0] <= at:
            heard.popleft()
        heard.append(free)
        most = max(most, len(heard))
        if kind == ANSWER:
            recorded += 1
            start(free)
    return free, busy, most


def measured(folder: Path) -> tuple[Cost, Callable[[str, int], float]]:
    """The driver's cost of messages, and by line the figure of a column of the part "cells" at a number of cells."""
    known = json.loads((folder / "growth.json").read_text())["cells"]
    lines = {name: fit(known["sizes"], values) for name, values in known["columns"].items()}

    def at(name: str, cells: int) -> float:
        return lines[name].slope * cells + lines[name].intercept

    slowest = {kind: max(known["columns"][f"{kind}, ms"]) / 1000 for kind in (BEGAN, EPOCH, CHECKPOINT)}
    least = min(known["columns"]["answer, ms"])

    def cost(kind: str, recorded: int) -> float:
        return slowest[kind] if kind in slowest else max(least, at("answer, ms", recorded)) / 1000

    return cost, at


def lengths(study: Path, count: int) -> list[Length]:
    """So many trials of the lengths of those of a study that have finished, in turn."""
    found = [record for record in read_study(study).records if record.status == "finished"]
    known = [Length(record.result.tts_s, len(record.result.history)) for record in found]
    return list(islice(cycle(known), count))


def told_of(study: Path, cells: int, workers: int, cost: Cost) -> str:
    trials = lengths(study, cells)
    one = simulate(trials, workers, cost)
    mean = fmean(trial.seconds for trial in trials)
    each = one.busy / len(trials)
    most = max(1, int(mean / each))
    beyond = simulate(lengths(study, 10 * most), most, cost)
    return (
        f"{study.name}: {cells} cells of {mean:.1f} s and {fmean(t.epochs for t in trials):.0f} epochs on average, "
        f"{workers} workers\n"
        f"  driver: {1000 * each:.0f} ms a trial, {100 * one.busy / one.makespan:.1f} % busy; at most "
        f"{one.most_waiting} messages waited\n"
        f"  makespan {one.makespan:.0f} s, {one.makespan / one.ideal:.3f} times the {one.ideal:.0f} s without the "
        f"driver's work ({sum(t.seconds for t in trials) / workers:.0f} s of work a worker)\n"
        f"  the driver has no time left at {most} workers: there {100 * beyond.busy / beyond.makespan:.0f} % busy, "
        f"{beyond.makespan / beyond.ideal:.2f} times the makespan without\n"
    )


def main(out: Path, cells: int = 1000, workers: int = 100, *studies: str) -> None:
    cost, at = measured(out)
    chosen = [Path(name) for name in studies] or [RESULTS / "digits", RESULTS / "mnist"]
    seeds = {1: cells, 3: 3 * cells}
    sizes = "".join(
        f"{count} records ({seed} seed(s)): ledger {at('ledger, kB', count) / 1000:.1f} MB, read in "
        f"{at('read all, s', count):.1f} s, report in {at('report, s', count):.0f} s, an answer in "
        f"{at('answer, ms', count):.0f} ms\n"
        for seed, count in seeds.items()
    )
    text = "\n".join([*(told_of(study, cells, workers, cost) for study in chosen), sizes])
    print(text)
    write_whole(out / "thousand_cells.txt", text.encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:4]), *sys.argv[4:])
