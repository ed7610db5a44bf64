"""What it costs to train on images that stay in a file, beside the same images in memory.

    python benchmarks/streaming.py OUT_FOLDER [IMAGES] [SIDE] [ROUNDS]

Random images, 20,000 of 3 x 64 x 64 unless given. In turn, ROUNDS times (3): the shuffled batches of an epoch, 64
images each, read and no more; and some steps of training on them, of the smallest MGU network that ``mgu fit`` builds,
so that reading weighs as much as it may. Each from memory; from the file where the system has it in its cache; and from
the disk, where each batch was dropped from there before, as where the file is far larger than memory. Then what is done
once a study: the checksum of the file and that of the splits, and their moments. The table is printed and written to
OUT_FOLDER/streaming.txt; the images are deleted.
"""

import gc
import mmap
import os
import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.lib.format import open_memmap

from mgu.data import DataSet, Split
from mgu.data.arrays import checksum
from mgu.data.mapped import Mapped
from mgu.files import sha256, write_whole
from mgu.sizing import architecture_for
from mgu.training import Recipe
from mgu.training.learner import Setting
from mgu.training.samples import Samples, Shuffled, on_device
from mgu.training.tasks import task_of
from mgu.training.torch_learner import TorchLearner

BATCH = 64
CPU = torch.device("cpu")


def written(path: Path, images: int, side: int) -> None:
    random = np.random.default_rng(0)
    x = open_memmap(path, "w+", np.uint8, (images, 3, side, side))
    for start in range(0, images, 1000):
        x[start : start + 1000] = random.integers(0, 256, x[start : start + 1000].shape, dtype=np.uint8)
    x.flush()


def opened(path: Path) -> DataSet:
    x = Mapped(path)
    few = Split(np.array(x[:10]), np.arange(10))
    return DataSet("random", Split(x, np.arange(len(x)) % 10), few, few, tuple("abcdefghij"), "")


@cache
def held(path: Path) -> DataSet:
    data = opened(path)
    return replace(data, train=replace(data.train, x=np.array(data.train.x)))


def cached(path: Path) -> DataSet:
    sha256(path)  # reads all of it
    return opened(path)


def dropped(data: DataSet) -> None:
    """The images are in memory no more, neither of this process nor of the system."""
    x = data.train.x
    x._file.base.madvise(mmap.MADV_DONTNEED)  # what is mapped would not be dropped
    with x.path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read(samples: Samples):
    """Takes batches, and reads them."""
    return iter(Shuffled(samples, BATCH, torch.Generator().manual_seed(0))).__next__


def trained(samples: Samples, data: DataSet):
    """Takes steps of training."""
    setting = Setting(task_of(data), Recipe(batch_size=BATCH), CPU, seed=0)
    learner = TorchLearner.built(architecture_for(data.input_shape, 1), data.input_shape, {}, setting, samples)
    learner.warm_up()
    learner.network.train()
    batches = iter(learner.batches)
    return lambda: learner._step(*next(batches))


#: Where images are read from: what opens them, and what is done before each batch, on no clock.
PLACES = {
    "memory": (held, lambda data: None),
    "cached file": (cached, lambda data: None),
    "disk": (opened, dropped),
}
KINDS = {"reading": (lambda samples, data: read(samples), None), "training": (trained, 30)}


def measured(path: Path, place: str, kind: str, moments) -> tuple[float, float]:
    """Seconds an image, and kB that were read from the disk for it."""
    gc.collect()  # what an earlier network has mapped would not be dropped
    (open_, before), (begin, steps) = PLACES[place], KINDS[kind]
    data = open_(path)
    data.__dict__["_moments"] = moments
    samples = on_device(data, CPU)[0]
    step, seconds = begin(samples, data), 0.0
    steps = steps or len(samples) // BATCH
    was = disk_bytes()
    for _ in range(steps):
        before(data)
        seconds += timed(step)
    return seconds / steps / BATCH, (disk_bytes() - was) / 1000 / steps / BATCH


def disk_bytes() -> int:
    """What this process has had read from the disk."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("read_bytes")).split()[1])


def timed(function) -> float:
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def table(path: Path, rounds: int):
    moments = opened(path)._moments
    images, size = len(opened(path).train.y), path.stat().st_size
    yield f"{images:,} images of {size / images / 1000:.1f} kB, {size / 1e9:.2f} GB; as 32-bit numbers four times that"
    yield f"{'':10}{'from':14}{'us an image':>12}{'/ memory':>10}{'kB from the disk':>18}"
    for kind in KINDS:
        taken = [{place: measured(path, place, kind, moments) for place in PLACES} for _ in range(rounds)]
        for place in PLACES:
            seconds, kilobytes = (median(found[place][i] for found in taken) for i in (0, 1))
            ratio = median(found[place][0] / found["memory"][0] for found in taken)
            yield f"{kind:10}{place:14}{1e6 * seconds:>12.1f}{ratio:>10.3f}{kilobytes:>18.1f}"
    data = opened(path)
    once = {
        "checksum of the file": lambda: sha256(path),
        "checksum of the splits": lambda: checksum(
            dict(zip(("train", "validation", "test"), data.splits, strict=True)), ()
        ),
        "mean and deviation": lambda: data.mean,
    }
    yield "once a study, warm:"
    for name, function in once.items():
        yield f"  {name:24}{timed(function) / (size / 1e9):>9.2f} s a GB"


def main(out, images="20000", side="64", rounds="3"):
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "images.npy"
    lines = []
    try:
        written(path, int(images), int(side))
        for line in table(path, int(rounds)):
            print(line, flush=True)
            lines.append(line)
    finally:
        path.unlink(missing_ok=True)
    write_whole(folder / "streaming.txt", "".join(f"{line}\n" for line in lines).encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
