"""Does the 15-layer CIFAR-10 layout train at the paper's learning rate? The unit's defaults and the paper's bypass.

    python experiments/depth.py CIFAR10_FOLDER [SEEDS] [ARM ...]

Trains the MGU network of the paper's CIFAR-10 space, with the unit's defaults and with the paper's bypass, and its
plain bn_pre and bn_post cells for 3 epochs on 2,000 images. Prints the mean training loss of each epoch, and the best
validation accuracy (400 images). A run "trains" where the loss of its last epoch is below that of its first; three
epochs say no more.
"""

import math
import sys
from dataclasses import replace

from mgu.data import Split, load_data
from mgu.spaces import load_space
from mgu.training import Recipe, fit


def main(folder, seeds="3", *only):
    data = load_data(folder, limit=2400)
    data = replace(data, test=Split(data.test.x[:200], data.test.y[:200]))
    models = load_space("cifar10").models()
    arms = [
        ("plain bn_pre", models["CIF_008"], {}),
        ("plain bn_post", models["CIF_006"], {}),
        ("MGU", models["CIF_MGU_001"], {}),
        ("MGU, paper's bypass", models["CIF_MGU_001"], {"bypass": "replica"}),
    ]
    for seed in range(int(seeds)):
        for name, architecture, unit in (arm for arm in arms if not only or arm[0] in only):
            result = fit(architecture, data, Recipe(epochs=3, decay=1e-4, harden_after=0), seed=seed, unit=unit).result
            losses = "  ".join(f"{epoch.train_loss:12.4g}" for epoch in result.history)
            best = max((epoch.val_score for epoch in result.history), default=0.0)
            first, last = (result.history[i].train_loss if result.history else math.inf for i in (0, -1))
            outcome = "trains" if result.status == "finished" and last < first else "does not"
            line = f"seed {seed}  {name:22}{outcome:10}{losses:42}  {100 * best:5.1f} %  {result.train_s:6.0f} s"
            print(line, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
