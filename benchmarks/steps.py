"""What a training step costs: the plain cells and the unit in each gate kind, on the layout of a space's MGU network.

Variants are stepped in turn, so that a change of the machine's speed meets all of them alike. Printed are the median of
the rounds in ms, and the median over rounds of the ratio to the plain cell with batch norm and residual.

    python benchmarks/steps.py [SPACE] [ROUNDS]
"""

import statistics
import sys
import time
from dataclasses import replace

import torch
from torch.nn import functional as F

from mgu.spaces import Cell, load_space
from mgu.torch import GATES, build_network, count_weights
from mgu.training import Recipe

BASE = "bn_pre+residual"
WARM_UP, STEPS = 5, 5


def stepper(architecture, shape, classes, batch, **unit):
    """The network, and a function that takes one training step with it."""
    network = build_network(architecture, shape, classes, **unit).to(memory_format=torch.channels_last)
    optimizer = torch.optim.NAdam(network.parameters(), lr=Recipe().lr)
    x = torch.randn(batch, *shape).to(memory_format=torch.channels_last)
    y = torch.randint(classes, (batch,))

    def step():
        optimizer.zero_grad()
        F.cross_entropy(network(x), y).backward()
        optimizer.step()

    return network, step


def variants(space):
    """Name -> (network, step) for every variant."""
    mgu = next(architecture for architecture in space.models().values() if architecture.cell is None)
    cells = {cell: replace(mgu, cell=Cell.of(cell)) for cell in ("bn_pre", BASE, "ln", "no_norm")}
    batch = Recipe().batch_size
    made = {name: stepper(a, space.input_shape, space.classes, batch) for name, a in cells.items()}
    return made | {
        f"MGU, {kind} gates": stepper(mgu, space.input_shape, space.classes, batch, gates=kind) for kind in GATES
    }


def rounds(steps, count):
    """Seconds a step by variant, one entry a round."""
    for step in steps.values():
        for _ in range(WARM_UP):
            step()
    seconds = {name: [] for name in steps}
    for _ in range(count):
        for name, step in steps.items():
            begun = time.perf_counter()
            for _ in range(STEPS):
                step()
            seconds[name].append((time.perf_counter() - begun) / STEPS)
    return seconds


def main(space_name="mnist", count="15"):
    torch.manual_seed(0)
    made = variants(load_space(space_name))
    seconds = rounds({name: step for name, (_, step) in made.items()}, int(count))
    print(f"{space_name}, batch {Recipe().batch_size}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"{'':24}{'weights':>12}{'ms a step':>12}{'ratio to ' + BASE:>26}")
    for name, (network, _) in made.items():
        ratio = statistics.median(a / b for a, b in zip(seconds[name], seconds[BASE], strict=True))
        median = 1000 * statistics.median(seconds[name])
        print(f"{name:24}{count_weights(network):>12,}{median:>12.2f}{ratio:>26.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
