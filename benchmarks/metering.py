"""What the meter costs: seconds of training with a ``Meter`` around it and without, in turn, and their ratio.

Seconds by the wall clock are what a user waits for; seconds of the process on its cores leave out what else the machine
does, and have the meter's threads in them.

    python benchmarks/metering.py [ROUNDS]
"""

import sys
import time
from contextlib import nullcontext
from statistics import median

import torch

from mgu.data import load_data
from mgu.measure import Meter
from mgu.spaces import load_space
from mgu.training import Recipe, fit

CPU = torch.device("cpu")
CLOCKS = {"wall": time.perf_counter, "cores": time.process_time}


def seconds(around):
    """By each clock; the meter's own start and end are not counted, since it looks for hardware only once a run."""
    with around:
        begun = {name: clock() for name, clock in CLOCKS.items()}
        fit(load_space("digits").models()["DIG_007"], load_data("digits"), Recipe(epochs=5))
        return {name: clock() - begun[name] for name, clock in CLOCKS.items()}


def pair(first):
    """Without and with the meter, the one or the other first."""
    taken = {number: seconds(Meter(CPU, "CHE") if number else nullcontext()) for number in (first, 1 - first)}
    return taken[0], taken[1]


def main(rounds="20"):
    seconds(Meter(CPU))  # the first of each loads what all later ones find loaded
    pairs = [pair(first) for first in [0, 1] * (int(rounds) // 2)]
    print(f"{'clock':8}{'without, s':>12}{'with, s':>12}{'ratio':>9}")
    for name in CLOCKS:
        without, metered = (median(both[i][name] for both in pairs) for i in range(2))
        ratio = median(both[1][name] / both[0][name] for both in pairs)
        print(f"{name:8}{without:>12.3f}{metered:>12.3f}{ratio:>9.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
