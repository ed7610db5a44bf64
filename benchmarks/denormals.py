"""What denormal numbers cost: seconds of training an epoch with them taken for 0, as in ``fit``, and with them kept.

Each run is a process of its own, since threads keep the setting that they were started with.

    python benchmarks/denormals.py [MODEL ...]      models of the digits space; by default two without a norm, one with
"""

import multiprocessing
import sys

from mgu.data import load_data
from mgu.spaces import load_space
from mgu.training import Recipe, fit, fitting


def seconds_an_epoch(name, kept):
    if kept:
        fitting.flush_denormals = lambda: None
    result = fit(load_space("digits").models()[name], load_data("digits"), Recipe()).result
    return result.train_s / len(result.history)


def main(*names):
    print(f"{'model':14}{'taken for 0, s':>16}{'kept, s':>12}{'ratio':>8}")
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for name in names or ("DIG_005", "DIG_006", "DIG_007"):
            flushed, kept = (pool.apply(seconds_an_epoch, (name, kept)) for kept in (False, True))
            print(f"{name:14}{flushed:>16.3f}{kept:>12.3f}{kept / flushed:>8.1f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
