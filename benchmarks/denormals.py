"""What denormal numbers cost: seconds of training an epoch with and without taking them for 0, in turn.

python benchmarks/denormals.py [MODEL ...]      models of the digits space; by default two without a norm, one with
"""

import sys
from contextlib import nullcontext
from unittest.mock import patch

from mgu import training
from mgu.data import load_data
from mgu.spaces import load_space


def seconds_an_epoch(architecture, data):
    result = training.fit(architecture, data, training.Recipe()).result
    return result.train_s / len(result.history)


def main(*names):
    data, models = load_data("digits"), load_space("digits").models()
    print(f"{'model':14}{'flushed, s':>12}{'kept, s':>12}{'ratio':>8}")
    for name in names or ("DIG_005", "DIG_006", "DIG_007"):
        flushed = seconds_an_epoch(models[name], data)
        with patch.object(training, "_flushed_denormals", nullcontext):
            kept = seconds_an_epoch(models[name], data)
        print(f"{name:14}{flushed:>12.3f}{kept:>12.3f}{kept / flushed:>8.1f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
