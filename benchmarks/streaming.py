"""What it costs to train on images in a file (mgu.data.mapped.Mapped) and not in memory: samples a second, in turn.

    python benchmarks/streaming.py OUT_FOLDER [ROUNDS] [IMAGES]

Random images of 3 x 32 x 32, for a network of the MNIST layout with units and for its plain cell with batch norm and
residual, in batches of 64. A round trains each network for an epoch on images in memory, on the same in a file that the
system has in its cache ("warm"), and in one that it was told to forget before ("cold", on Linux). Counted are training
steps alone, with the reading. The ratio of a round is that to images in memory.

What came of it is written to OUT_FOLDER/streaming.json, and printed: medians over the rounds, and the ratios with the
smallest and the largest.
"""

import gc
import json
import os
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from data_parallel import PLAIN, UNITS
from steps import note_of_load
from subjects import BASE, NETWORKS

from mgu.data import DataSet, Split
from mgu.data.mapped import Mapped
from mgu.files import write_whole
from mgu.spaces import Cell
from mgu.training import Recipe, flush_denormals
from mgu.training.learner import Setting
from mgu.training.samples import on_device
from mgu.training.tasks import task_of
from mgu.training.torch_learner import TorchLearner

SHAPE, CLASSES = (3, 32, 32), 10
MEMORY, WARM, COLD = "memory", "file, warm", "file, cold"


def forget(images: Mapped) -> None:
    """Have the system forget what it has of a file in its cache, which it does where nobody has mapped it."""
    vars(images).pop("_file", None)
    gc.collect()
    with images.path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def learner(name: str, data: DataSet) -> TorchLearner:
    architecture = NETWORKS["mnist"].architecture()
    if name == PLAIN:
        architecture = replace(architecture, cell=Cell.of(BASE))
    recipe, device = Recipe(batch_size=64), torch.device("cpu")
    setting = Setting(task_of(data), recipe, device, 0)
    return TorchLearner.built(architecture, SHAPE, {}, setting, on_device(data, device)[0])


def seconds(learners: dict[str, TorchLearner]) -> dict[str, float]:
    """Seconds of an epoch on each kind of images."""
    found = {}
    for kind, one in learners.items():
        if kind == COLD:
            forget(one.samples.x.images)
        begun = time.perf_counter()
        one.train()
        found[kind] = time.perf_counter() - begun
    return found


def compared(name: str, held: Split, folder: Path, rounds: int) -> dict[str, dict[str, float]]:
    few = held.take(np.arange(100))
    splits = {MEMORY: held}
    for kind in (WARM, COLD) if hasattr(os, "posix_fadvise") else (WARM,):
        path = folder / f"{kind}.npy"
        np.save(path, held.x)
        splits[kind] = Split(Mapped(path), held.y)
    sets = {kind: DataSet("random", split, few, few, tuple("0123456789"), "0" * 64) for kind, split in splits.items()}
    learners = {kind: learner(name, data) for kind, data in sets.items()}
    seconds(learners)
    taken = [seconds(learners) for _ in range(rounds)]
    told = {}
    for kind in learners:
        ratios = [each[MEMORY] / each[kind] for each in taken]
        told[kind] = {
            "samples a second": len(held.y) / statistics.median(each[kind] for each in taken),
            "ratio": statistics.median(ratios),
            "smallest ratio": min(ratios),
            "largest ratio": max(ratios),
        }
    return told


def main(out: Path, rounds: int = 5, images: int = 4096) -> None:
    note = note_of_load()
    print(end=note)
    flush_denormals()
    out.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    x = generator.integers(0, 256, (images, *SHAPE), dtype=np.uint8)
    held = Split(x, generator.integers(0, CLASSES, images))
    record = {"note": note.strip(), "torch": torch.__version__, "rounds": rounds, "images": images}
    with TemporaryDirectory(dir=out) as folder:
        record |= {name: compared(name, held, Path(folder), rounds) for name in (UNITS, PLAIN)}
    write_whole(out / "streaming.json", json.dumps(record, indent=1).encode() + b"\n")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
