"""Images of one's own by the command line: fit a model, and let it answer for new ones.

It prints:

    $ mgu fit photos --out model --epochs 50
    Data: photos, 266 training, 54 validation, 80 test; 2 classes
    Network: 3 layers of 8, 16, 32 channels, 6,154 weights; what its gates left:
      layer_1: layer, ...
    Test: accuracy 100.00 %, macro F1 100.00 %, log loss 0.0000, of 80 samples
    Cost: ...
    model
    $ mgu predict model new
    file,label,p(disc),p(ring)
    disc-0.png,disc,1,5.45035e-09
    disc-1.png,disc,1,6.70551e-08
    ring-0.png,ring,3.30065e-11,1
    ring-1.png,ring,2.46187e-11,1
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

rng = np.random.default_rng(0)


def draw(path: Path, shape: str) -> None:
    """A small grey picture with noise: a filled disc, or a ring."""
    row, column = rng.integers(5, 11, 2)
    y, x = np.mgrid[:16, :16]
    distance = np.hypot(y - row, x - column)
    ink = distance < 4.5 if shape == "disc" else abs(distance - 3.5) < 1
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((200 * ink + rng.uniform(0, 55, (16, 16))).astype(np.uint8)).save(path)


def mgu(arguments: str) -> None:
    """Run an mgu command in the folder, as in a shell there."""
    print(f"$ mgu {arguments}", flush=True)
    subprocess.run([sys.executable, "-m", "mgu", *arguments.split()], cwd=folder, check=True)


with TemporaryDirectory() as name:
    folder = Path(name)
    for i in range(200):
        for shape in ("disc", "ring"):
            draw(folder / f"photos/{shape}/{i}.png", shape)  # one folder a class
    for i in range(2):
        for shape in ("disc", "ring"):
            draw(folder / f"new/{shape}-{i}.png", shape)
    mgu("fit photos --out model --epochs 50")
    mgu("predict model new")
