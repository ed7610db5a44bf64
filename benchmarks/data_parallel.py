"""One network in two processes beside the same in one, each process with one thread: samples a second, in turn.

    python benchmarks/data_parallel.py OUT_FOLDER [ROUNDS] [EPOCHS]

The networks are the MNIST layout's with units and its plain cell with batch norm and residual, in batches of 256; the
data are scikit-learn's digits, enlarged to 28 x 28 and each there four times: 4,788 training samples. A round trains
each network in one process and in two, anew. Counted is the time of training steps alone, the first process's; starting
processes and reading data is not in it. The ratio of a round is that of two processes to one.

What came of it is written to OUT_FOLDER/record.json, and printed: medians over the rounds, the ratios with the smallest
and the largest, and both validation accuracies. On a machine with fewer than two idle cores it says nothing.
"""

import json
import os
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from steps import note_of_load
from subjects import BASE, NETWORKS

from mgu.data import DataSet, Split, load_data
from mgu.files import write_whole
from mgu.spaces import Cell
from mgu.training import Recipe, fit
from mgu.training.world import joined

BATCH, ENLARGED, TIMES = 256, 4, 4
UNITS, PLAIN = "units", "plain cell"
ONE = (sys.executable,)
TWO = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def enlarged(split: Split, times: int = 1) -> Split:
    """Pixels as squares, without the outermost two rows and columns."""
    x = np.kron(split.x, np.ones((1, 1, ENLARGED, ENLARGED), split.x.dtype))[..., 2:-2, 2:-2]
    return Split(np.tile(x, (times, 1, 1, 1)), np.tile(split.y, times))


def measure(name: str, epochs: int) -> None:
    """Train, in as many processes as were started; the first prints what it measured."""
    digits = load_data("digits")
    splits = enlarged(digits.train, TIMES), enlarged(digits.validation), enlarged(digits.test)
    data = DataSet("enlarged", *splits, digits.classes, "0" * 64)
    architecture = NETWORKS["mnist"].architecture()
    if name == PLAIN:
        architecture = replace(architecture, cell=Cell.of(BASE))
    recipe = Recipe(epochs=epochs, batch_size=BATCH, harden_after=0)
    with joined() as world:
        result = fit(architecture, data, recipe, world=world).result
        if world.first:
            samples = len(data.train.y) * len(result.history)
            print(json.dumps({"samples_s": samples / result.train_s, "accuracy": result.val_score}))


def started(command: tuple[str, ...], name: str, epochs: int) -> dict[str, float]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, __file__, "measure", name, str(epochs)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def compared(name: str, rounds: int, epochs: int) -> dict[str, float]:
    pairs = [(started(ONE, name, epochs), started(TWO, name, epochs)) for _ in range(rounds)]
    ratios = [two["samples_s"] / one["samples_s"] for one, two in pairs]
    return {
        "samples a second, one process": statistics.median(one["samples_s"] for one, _ in pairs),
        "samples a second, two processes": statistics.median(two["samples_s"] for _, two in pairs),
        "ratio": statistics.median(ratios),
        "smallest ratio": min(ratios),
        "largest ratio": max(ratios),
        "validation accuracy, one process": pairs[0][0]["accuracy"],
        "validation accuracy, two processes": pairs[0][1]["accuracy"],
    }


def main(out: Path, rounds: int = 5, epochs: int = 4) -> None:
    note = note_of_load()
    print(end=note)
    out.mkdir(parents=True, exist_ok=True)
    record = {
        "note": note.strip(),
        "torch": torch.__version__,
        "cores": os.cpu_count(),
        "rounds": rounds,
        "batch": BATCH,
    }
    record |= {name: compared(name, rounds, epochs) for name in (UNITS, PLAIN)}
    write_whole(out / "record.json", json.dumps(record, indent=1).encode() + b"\n")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    if sys.argv[1] == "measure":
        measure(sys.argv[2], int(sys.argv[3]))
    else:
        main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
