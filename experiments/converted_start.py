"""How a converted model may start: how far from the same function, and what its gates learn by.

    python experiments/converted_start.py

A ResNet-18-like model with a stem of 16 channels and lived-in norms is converted, and its units' gates set to start at
logits of +-p, as plain sigmoids and stretched to pass on the one side wholly there. Printed are the largest output
differences in evaluation and in training mode, the slope of a gate at its start, the median gate gradient of a
cross-entropy step, and where a gate ends that goes on in the direction in which it starts.
"""

import copy
import importlib.util
import math
from pathlib import Path

import torch
from torch.nn import functional as F

from mgu.torch import MultiGatedUnit, convert

STARTS = [(False, 4), (False, 8), (False, 12), (False, 16), (False, 20), (True, 2), (True, 4), (True, 8)]


def resnet():
    """The model that the tests of ``convert`` have."""
    path = Path(__file__).parents[1] / "tests" / "others.py"
    spec = importlib.util.spec_from_file_location("others", path)
    others = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(others)
    return others.lived_in(others.ResNet(16))


def started(model, x, logit, stretched):
    """The converted model with another start."""
    converted = convert(model, x).model
    for unit in converted.modules():
        if isinstance(unit, MultiGatedUnit):
            with torch.no_grad():
                unit.gates.logits.mul_(logit / unit.reach)
            unit.reach = logit if stretched else math.inf
    return converted


def difference(model, converted, x, training):
    ours, theirs = (copy.deepcopy(either).train(training) for either in (converted, model))
    with torch.no_grad():
        return (ours(x) - theirs(x)).abs().max().item()


def gradient(converted, x):
    """The median gradient of the logits of the gates that every unit has."""
    F.cross_entropy(converted.train()(x), torch.arange(len(x))).backward()
    units = [module for module in converted.modules() if isinstance(module, MultiGatedUnit)]
    rows = [unit.gate_names.index(name) for unit in units[:1] for name in ("norm", "residual", "skip")]
    return torch.cat([unit.gates.logits.grad[rows].abs().flatten() for unit in units]).median().item()


def main():
    torch.manual_seed(0)
    model, x = resnet(), torch.randn(8, 3, 64, 64)
    print(f"{'p':>3} {'gate':10}{'evaluation':>12}{'training':>10}{'slope':>10}{'gradient':>10}{'ends at':>9}")
    for stretched, p in STARTS:
        torch.manual_seed(1)
        converted = started(model, x, p, stretched)
        differences = [difference(model, converted, x, training) for training in (False, True)]
        stretch = 1 / math.tanh(p / 2) if stretched else 1.0
        slope = stretch / (2 + 2 * math.cosh(p))
        name = "stretched" if stretched else "sigmoid"
        print(
            f"{p:>3} {name:10}{differences[0]:>12.1e}{differences[1]:>10.1e}{slope:>10.1e}"
            f"{gradient(converted, x):>10.1e}{0.5 + stretch / 2:>9.4f}"
        )


if __name__ == "__main__":
    main()
