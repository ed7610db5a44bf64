"""What converting costs: a ResNet-18-like model, a copy of it, the converted one, and that hardened by its own answers.

    python benchmarks/converted.py [WIDTH] [ROUNDS]

Median ms of an evaluation pass over a batch of 8 pictures of 64 x 64, the two of each ratio called in turn; and of a
training step, a pass and its gradients. The ratio of the copy says how much the clock is worth. WIDTH is the stem's
channels, 64 in ResNet-18.
"""

import copy
import importlib.util
import sys
import time
from pathlib import Path
from statistics import median

import torch
from torch.nn import functional as F

from mgu.torch import compare_latency, convert, harden

BATCH, SIDE = 8, 64


def resnet(width):
    """The model that the tests of ``convert`` have, with lived-in norms."""
    path = Path(__file__).parents[1] / "tests" / "others.py"
    spec = importlib.util.spec_from_file_location("others", path)
    others = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(others)
    return others.lived_in(others.ResNet(width))


def step_s(models, x, labels, rounds):
    """The median seconds of each model's training step, called in turn."""

    def timed(model):
        begun = time.perf_counter()
        F.cross_entropy(model(x), labels).backward()
        return time.perf_counter() - begun

    models = {name: copy.deepcopy(model).train() for name, model in models.items()}
    taken = [{name: timed(model) for name, model in models.items()} for _ in range(rounds + 2)]
    return {name: median(seconds[name] for seconds in taken[2:]) for name in models}


def main(width="64", rounds="30"):
    torch.manual_seed(0)
    model, x, rounds = resnet(int(width)).eval(), torch.randn(BATCH, 3, SIDE, SIDE), int(rounds)
    converted = convert(model, x)
    print(converted.text().splitlines()[-2], converted.text().splitlines()[-1], sep="\n")
    with torch.no_grad():
        answers = model(x)
    hardened = harden(converted.model, [(x, answers)], F.mse_loss)
    print(f"hardened by its own answers, the largest difference is {(hardened.model(x) - answers).abs().max():.3g}")
    for name, other in (("copy", copy.deepcopy(model)), ("hardened", hardened.model), ("converted", converted.model)):
        found = compare_latency({"original": model, name: other}, x, rounds)
        print(f"{name:10}{1000 * found[name]:>9.1f} ms a pass, / original {found[name] / found['original']:.3f}")
    steps = step_s({"original": model, "converted": converted.model}, x, torch.arange(BATCH), max(3, rounds // 5))
    ratio = steps["converted"] / steps["original"]
    print(f"{'converted':10}{1000 * steps['converted']:>9.1f} ms a training step, / original {ratio:.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
