"""What one process, or one of two, works out of a batch: ``python shares.py RANK FOLDER`` writes one of two's answers.

The functions take how many processes there are and which of them this is; the tests call them for one alone.
"""

import math
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from mgu.data import DataSet, Split
from mgu.layouts import Layout
from mgu.spaces import Architecture, Cell
from mgu.torch import MultiGatedUnit
from mgu.torch.norms import BatchNorm
from mgu.torch.one_batch import OneBatch, Share
from mgu.torch.switchable import SwitchableNorm
from mgu.training import Recipe, fit
from mgu.training.world import World

#: Norms by name, and the shape of a whole batch, which two processes share unequally or with a single value each.
NORMS = {
    "torch, maps": (lambda: nn.BatchNorm2d(3), (5, 3, 4, 2)),
    "torch, no weights": (lambda: nn.BatchNorm1d(3, affine=False), (5, 3)),
    "ours, maps": (lambda: BatchNorm(3), (7, 3, 4, 2)),
    "ours, sequences": (lambda: BatchNorm(3, -1), (3, 4, 3)),
    "one value each": (lambda: BatchNorm(3, -1), (2, 3)),
    "switchable, maps": (lambda: SwitchableNorm(3), (5, 3, 4, 2)),
    "switchable, one value each": (lambda: SwitchableNorm(3, -1), (2, 3)),
}
#: Units by name: the layer, the shape of a whole batch, and options.
UNITS = {
    "maps": (lambda: nn.Conv2d(2, 4, 3, stride=2, padding=1), (5, 2, 6, 5), {"gates": "channel"}),
    "replicas": (lambda: nn.Conv1d(2, 4, 3), (6, 2, 7), {"gates": "replica", "bypass": "replica"}),
    "features": (lambda: nn.Linear(4, 5), (3, 4), {"gates": "squeeze", "form": "equations", "bypass": "normed"}),
    "processors": (
        lambda: nn.Conv2d(2, 4, 3),
        (5, 2, 6, 5),
        {"gates": "depthwise", "processors": ("rms_norm", "group_norm", "instance_norm", "squeeze_excite")},
    ),
}


def step(network, shape, share, together, dtype=torch.float64):
    """One step of a network on a share of a batch, in training: outputs, gradients and statistics afterwards."""
    generator = torch.Generator().manual_seed(1)
    x = 3 + 2 * torch.randn(shape, generator=generator, dtype=dtype)
    own = x[share.rows].requires_grad_()
    model = DistributedDataParallel(network) if together and [*network.parameters()] else network
    with OneBatch(share) if together else torch.enable_grad():
        y = model(own)
    wanted = torch.randn((share.whole, *y.shape[1:]), generator=generator, dtype=dtype)[share.rows]
    parts = 2 if together else 1  # gradients are means over the processes
    (F.mse_loss(y, wanted) * len(share) * parts / share.whole).backward()
    grads = {name: weight.grad for name, weight in network.named_parameters()}
    return {"y": y.detach(), "x": own.grad / parts, **grads, **dict(network.named_buffers())}


def steps(rank, count):
    """By name, a step of each norm and of each unit, with dropout behind it, in float64; and of a unit in float32."""
    found = {}
    for name, (make, shape) in NORMS.items():
        torch.manual_seed(0)
        norm = make().double()
        found[name] = step(norm, shape, Share.of(shape[0], rank, count), count > 1)
    for name, (make, shape, options) in UNITS.items():
        for dtype in (torch.float64, torch.float32):
            torch.manual_seed(0)
            network = nn.Sequential(MultiGatedUnit(make(), prior="neutral", **options), nn.Dropout(0.4)).to(dtype)
            network.get_submodule("0").sharpness = 1.5
            share = Share.of(shape[0], rank, count)
            found[f"{name} {dtype}"] = step(network, shape, share, count > 1, dtype)
    return found


def images(count, seed):
    """Small images whose class is the direction of their stripes, with noise."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, count)
    stripe = np.tile((np.arange(8) % 4 < 2) * 160, (8, 1))
    x = np.where(y[:, None, None] == 0, stripe, stripe.T) + rng.integers(0, 96, (count, 8, 8))
    return Split(x[:, None].astype(np.uint8), y.astype(np.int64))


def rows(count, seed):
    """Rows of a table with a quantity that follows from them."""
    x = np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)
    return Split(x, (x[:, 0] * x[:, 1] + x[:, 2]).astype(np.float32))


#: Trainings by name: the architecture, the data, and the unit's options. 41 samples make batches of 16, 16 and 9.
IMAGES = DataSet("stripes", images(41, 0), images(21, 1), images(15, 2), ("across", "down"), "0" * 64)
ROWS = DataSet("rows", rows(41, 0), rows(21, 1), rows(15, 2), (), "0" * 64, task="regression")
CONVOLUTIONS, LINEAR = Layout(2, 1, 2, math.inf, 2), Layout(2, 0, 1, 1, 1)
TRAININGS = {
    "convolutions": (Architecture(CONVOLUTIONS, start_filters=4, dropout=0.3), IMAGES, {}),
    "linear": (Architecture(LINEAR, start_filters=4, dropout=0.3), ROWS, {"gates": "squeeze"}),
    "plain": (Architecture(CONVOLUTIONS, Cell("bn_post", True), start_filters=4), IMAGES, {}),
}


def trained(rank, count, names=tuple(TRAININGS)):
    """By name, what the training gives: losses and scores of each epoch, decisions, and the weights of each network."""
    found = {}
    for name in names:
        fitted = fitted_as(name, rank, count)
        networks = [fitted.network.state_dict()]
        results, decisions = [fitted.result], []
        if hardening := fitted.result.hardening:
            networks.append(fitted.hardened.state_dict())
            results.append(hardening.result)
            decisions = [(d.unit, d.gate, d.side) for d in hardening.decisions]
        epochs = [
            [(e.train_loss, e.train_score, e.val_loss, e.val_score) for e in result.history] for result in results
        ]
        tests = [result.test_score for result in results]
        found[name] = {"epochs": epochs, "tests": tests, "decisions": decisions, "networks": networks}
    return found


def fitted_as(name, rank, count):
    """The training of that name."""
    architecture, data, unit = TRAININGS[name]
    recipe = Recipe(epochs=3, batch_size=16, lr=0.003)
    return fit(architecture, data, recipe, seed=3, unit=unit, world=World(rank, count))


def unhardened(rank, count):
    """What becomes of a training whose hardening raises an error: what it says of it, or what it raises."""
    with mock.patch("mgu.training.fitting.harden_and_train", side_effect=ZeroDivisionError("by 0")):
        try:
            return fitted_as("linear", rank, count).result.message
        except ZeroDivisionError as error:
            return repr(error)


def main(rank, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    found = {"steps": steps(rank, 2), "trained": trained(rank, 2), "unhardened": unhardened(rank, 2)}
    torch.save(found, folder / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
