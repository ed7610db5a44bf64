"""The files of a finished trial: its weights, what its gates do, and the plain network that it was hardened to."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mgu.data import DataSet
from mgu.files import write_whole
from mgu.report.gates import write_pictures
from mgu.training import Fitted

#: At most so many validation samples are what a network is explained on: each gate costs two passes over them.
EXPLAINED_ON = 100


def save_trial(fitted: Fitted, data: DataSet, folder: Path) -> None:
    """Write what a trial leaves into its folder, where its training finished: its weights, its self-diagnosis where it
    has gates, and in ``hardened`` what it was hardened to, where the training of that finished.

    Raises OSError; each file is whole or absent.
    """
    hardening = fitted.result.hardening
    if fitted.hardened_learner and hardening and hardening.result.status == "finished":
        card = {
            **_answers_card(data),
            "mean": data.mean.tolist(),
            "std": data.std.tolist(),
            **({"features": data.features.to_json()} if data.features else {}),
            "decisions": [asdict(decision) for decision in hardening.decisions],
        }
        fitted.hardened_learner.save_plain(folder / "hardened", data.input_shape, card)
    if fitted.result.status == "finished":
        fitted.learner.save(folder)
        if any(epoch.gates for epoch in fitted.result.history):
            save_diagnosis(fitted, folder)


def _answers_card(data: DataSet) -> dict[str, Any]:
    """What the network's outputs mean: logits of classes, or the standardised target."""
    if data.classes:
        return {"classes": list(data.classes)}
    return {"target_mean": data.target_mean, "target_std": data.target_std}


def save_diagnosis(fitted: Fitted, folder: Path) -> None:
    """Write ``diagnosis.json``, ``diagnosis.txt`` and the pictures of ``mgu.report.gates.write_pictures``: the soft
    network explained on validation samples, its architecture as hardening decided it where it did. Raises OSError."""
    diagnosis = fitted.learner.explained(fitted.validation.spread(EXPLAINED_ON), fitted.task.loss)
    hardening = fitted.result.hardening
    write_whole(folder / "diagnosis.json", json.dumps(diagnosis.to_json(), indent=1).encode())
    write_whole(folder / "diagnosis.txt", f"{diagnosis.text()}\n".encode())
    write_pictures(diagnosis, folder, fitted.result.history, hardening.decisions if hardening else None)
