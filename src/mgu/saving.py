"""The files of a finished trial: its weights, what its gates do, and the plain network that it was hardened to."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mgu.data import DataSet
from mgu.diagnosis import Diagnosis
from mgu.files import write_whole
from mgu.history import Decision, Epoch
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
    """``write_diagnosis`` of the soft network, explained on validation samples. Raises OSError."""
    hardening = fitted.result.hardening
    decisions = hardening.decisions if hardening else None
    write_diagnosis(explained(fitted), folder, fitted.result.history, decisions)


def explained(fitted: Fitted) -> Diagnosis:
    """What the gates of the soft network do on validation samples."""
    return fitted.learner.explained(fitted.validation.spread(EXPLAINED_ON), fitted.task.loss)


def write_diagnosis(
    diagnosis: Diagnosis,
    folder: Path,
    history: Sequence[Epoch] = (),
    decisions: Iterable[Decision] | None = None,
) -> None:
    """Write ``diagnosis.json``, ``diagnosis.txt`` and the pictures of ``mgu.report.gates.write_pictures``, the
    architecture as the ``decisions`` left it where there are. Raises OSError."""
    write_whole(folder / "diagnosis.json", json.dumps(diagnosis.to_json(), indent=1).encode())
    write_whole(folder / "diagnosis.txt", f"{diagnosis.text()}\n".encode())
    write_pictures(diagnosis, folder, history, decisions)
