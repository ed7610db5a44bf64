"""A hardened network in a folder, loaded by a Python that cannot import mgu.

It prints:

    files: model.json, model.py, model.safetensors
    answers: [1]
    Network of Linear, ..., Linear
    answers: [1]
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from mgu.torch import MultiGatedUnit, fine_tune, harden, save

ELSEWHERE = """
import sys
sys.modules["mgu"] = None  # as if it were not installed: an import of it fails
import torch
from model import Network, load

network = load()
print(type(network).__name__, "of", ", ".join(type(layer).__name__ for layer in network.children()))
print("answers:", network(torch.ones(1, 6)).argmax(dim=1).tolist())
"""

torch.manual_seed(0)
x = torch.randn(256, 6)
labels = (x.sum(dim=1) > 0).long()
network = nn.Sequential(MultiGatedUnit(nn.Linear(6, 16), "relu"), nn.Linear(16, 2))
fine_tune(network, [(x, labels)], epochs=40, lr=1e-2)
hardened = harden(network, [(x, labels)])

with TemporaryDirectory() as folder:
    save(hardened.model, folder, (6,), {"classes": ["negative", "positive"]})
    print("files:", ", ".join(sorted(path.name for path in Path(folder).iterdir())))
    print("answers:", hardened.model(torch.ones(1, 6)).argmax(dim=1).tolist())
    subprocess.run([sys.executable, "-c", ELSEWHERE], cwd=folder, check=True)
