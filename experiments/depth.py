"""Does the 15-layer CIFAR-10 layout train at the paper's learning rate? By bypass kind, over seeds.

    python experiments/depth.py CIFAR10_FOLDER [SEEDS]

Trains the MGU network of the paper's CIFAR-10 space and its plain bn_pre cell for 3 epochs on 2,000 images and prints
the mean training loss of each epoch, and the best validation accuracy (400 images). Three epochs say whether it
diverges, not how good it gets.
"""

import sys
from dataclasses import replace

from mgu.data import Split, load_data
from mgu.spaces import load_space
from mgu.torch.bypass import BYPASSES
from mgu.training import Recipe, fit


def main(folder, seeds="3"):
    data = load_data(folder, limit=2400)
    data = replace(data, test=Split(data.test.x[:200], data.test.y[:200]))
    models = load_space("cifar10").models()
    arms = [("plain bn_pre", models["CIF_008"], {})]
    arms += [(f"MGU, {kind} bypass", models["CIF_MGU_001"], {"bypass": kind}) for kind in BYPASSES]
    for seed in range(int(seeds)):
        for name, architecture, unit in arms:
            result = fit(architecture, data, Recipe(epochs=3, decay=1e-4), seed=seed, unit=unit).result
            losses = "  ".join(f"{epoch.train_loss:12.4g}" for epoch in result.history)
            best = max((epoch.val_acc for epoch in result.history), default=0.0)
            line = f"seed {seed}  {name:24}{result.status:10}{losses:42}  {100 * best:5.1f} %  {result.train_s:6.0f} s"
            print(line, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
