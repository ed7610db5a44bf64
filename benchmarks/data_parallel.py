"""One network in two processes beside the same in one, each process with one thread: samples a second, in turn.

    python benchmarks/data_parallel.py OUT_FOLDER [ROUNDS] [EPOCHS]

The networks are those of CASES, with units and with the plain cell of batch norm and residual, in batches of so many;
the data are scikit-learn's digits, enlarged to the network's own shape and each there four times: 4,788 training
samples. A round trains each network in one process and in two, anew. Counted is the time of training steps alone, the
first process's; starting processes and reading data is not in it. The ratio of a round is that of two processes to one.

What came of it is written to OUT_FOLDER/record.json, and printed: medians over the rounds, the ratios with the smallest
and the largest, and the validation accuracies of the last round. On a machine with fewer than
two idle cores it says nothing.
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

CASES = (("mnist", 256), ("mnist", 2048), ("cifar10-7", 256), ("cifar10-7", 1024), ("cifar10-7", 2048))
ENLARGED, TIMES = 4, 4
UNITS, PLAIN = "units", "plain cell"
ONE = (sys.executable,)
TWO = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def enlarged(split: Split, shape: tuple[int, ...], times: int = 1) -> Split:
    """Pixels as squares, as many channels alike as asked for, and the middle where rows and columns are too many."""
    x = np.kron(split.x, np.ones((1, shape[0], ENLARGED, ENLARGED), split.x.dtype))
    margin = (x.shape[-1] - shape[-1]) // 2
    return Split(
        np.tile(x[..., margin:, margin:][..., : shape[1], : shape[2]], (times, 1, 1, 1)), np.tile(split.y, times)
    )


def measure(network: str, cell: str, batch: int, epochs: int) -> None:
    """Train, in as many processes as were started; the first prints what it measured."""
    digits, shape = load_data("digits"), NETWORKS[network].shape
    splits = (
        enlarged(digits.train, shape, TIMES),
        *(enlarged(split, shape) for split in (digits.validation, digits.test)),
    )
    data = DataSet("enlarged", *splits, digits.classes, "0" * 64)
    architecture = NETWORKS[network].architecture()
    if cell == PLAIN:
        architecture = replace(architecture, cell=Cell.of(BASE))
    recipe = Recipe(epochs=epochs, batch_size=batch, harden_after=0)
    with joined() as world:
        result = fit(architecture, data, recipe, world=world).result
        if world.first:
            samples = len(data.train.y) * len(result.history)
            print(json.dumps({"samples_s": samples / result.train_s, "accuracy": result.val_score}))


def started(command: tuple[str, ...], *case: str | int) -> dict[str, float]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, __file__, "measure", *map(str, case)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def compared(network: str, cell: str, batch: int, rounds: int, epochs: int) -> dict[str, str | float]:
    case = network, cell, batch, epochs
    pairs = [(started(ONE, *case), started(TWO, *case)) for _ in range(rounds)]
    one, two = (
        statistics.median(each["samples_s"] for each in of_one_kind) for of_one_kind in zip(*pairs, strict=True)
    )
    ratios = [two["samples_s"] / one["samples_s"] for one, two in pairs]
    last_one, last_two = pairs[-1]
    return {
        "network": f"{network}, {cell}",
        "batch": batch,
        "samples a second, one process": round(one),
        "samples a second, two processes": round(two),
        "ms a step, one process": round(1000 * batch / one, 1),
        "ms a step, two processes": round(1000 * batch / two, 1),
        "ratio": round(statistics.median(ratios), 3),
        "smallest ratio": round(min(ratios), 3),
        "largest ratio": round(max(ratios), 3),
        "validation accuracy, one process": last_one["accuracy"],
        "validation accuracy, two processes": last_two["accuracy"],
    }


def main(out: Path, rounds: int = 3, epochs: int = 4) -> None:
    note = note_of_load()
    print(end=note)
    out.mkdir(parents=True, exist_ok=True)
    cases = [compared(network, cell, batch, rounds, epochs) for network, batch in CASES for cell in (UNITS, PLAIN)]
    record = {
        "note": note.strip(),
        "torch": torch.__version__,
        "cores": os.cpu_count(),
        "rounds": rounds,
        "epochs": epochs,
        "cases": cases,
    }
    write_whole(out / "record.json", json.dumps(record, indent=1).encode() + b"\n")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    if sys.argv[1] == "measure":
        measure(*sys.argv[2:4], *map(int, sys.argv[4:]))
    else:
        main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
