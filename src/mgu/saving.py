"""The files of a finished trial: its weights, what its gates do, and the plain network that it was hardened to."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as safetensors_bytes

from mgu.data import DataSet
from mgu.files import write_whole
from mgu.report.gates import write_pictures
from mgu.torch.explain import explain
from mgu.torch.export import save
from mgu.training import Fitted

#: At most so many validation samples are what a network is explained on: each gate costs two passes over them.
EXPLAINED_ON = 100


def save_trial(fitted: Fitted, data: DataSet, folder: Path) -> None:
    """Write what a trial leaves into its folder, where its training finished: its weights, its self-diagnosis where it
    has gates, and in ``hardened`` what it was hardened to, where the training of that finished.

    Raises OSError; each file is whole or absent.
    """
    hardening = fitted.result.hardening
    if fitted.hardened and hardening and hardening.result.status == "finished":
        card = {
            **_answers_card(data),
            "mean": data.mean.tolist(),
            "std": data.std.tolist(),
            **({"features": data.features.to_json()} if data.features else {}),
            "decisions": [asdict(decision) for decision in hardening.decisions],
        }
        save(fitted.hardened, folder / "hardened", data.input_shape, card)
    if fitted.result.status == "finished":
        save_weights(fitted.network, folder)
        if any(epoch.gates for epoch in fitted.result.history):
            save_diagnosis(fitted, folder)


def _answers_card(data: DataSet) -> dict[str, Any]:
    """What the network's outputs mean: logits of classes, or the standardised target."""
    if data.classes:
        return {"classes": list(data.classes)}
    return {"target_mean": data.target_mean, "target_std": data.target_std}


def save_weights(network: torch.nn.Module, folder: Path) -> None:
    """Write ``weights.safetensors`` and its SHA-256 beside it, each whole or not at all. Raises OSError."""
    weights = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    content = safetensors_bytes(weights)
    path = folder / "weights.safetensors"
    write_whole(path, content)
    write_whole(folder / "weights.sha256", f"{hashlib.sha256(content).hexdigest()}  {path.name}\n".encode())


def save_diagnosis(fitted: Fitted, folder: Path) -> None:
    """Write ``diagnosis.json``, ``diagnosis.txt`` and the pictures of ``mgu.report.gates.write_pictures``: the soft
    network explained on validation samples, its architecture as hardening decided it where it did. Raises OSError."""
    diagnosis = explain(fitted.network, fitted.validation.spread(EXPLAINED_ON).batches(), fitted.task.loss)
    hardening = fitted.result.hardening
    write_whole(folder / "diagnosis.json", json.dumps(diagnosis.to_json(), indent=1).encode())
    write_whole(folder / "diagnosis.txt", f"{diagnosis.text()}\n".encode())
    write_pictures(diagnosis, folder, fitted.result.history, hardening.decisions if hardening else None)
