"""The folder of a model: written whole or not at all, and read without running anything in it.

model.safetensors, model.json, model.py    the plain network and its card, as ``mgu.torch.save`` writes them
weights.safetensors                        the soft network's; its architecture and options are in the card
diagnosis.json, diagnosis.txt, *.svg       what its gates do
"""

import copy
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mgu.data.preprocessing import Preprocessing
from mgu.errors import InputError
from mgu.files import sha256
from mgu.history import Decision
from mgu.model.soft import build_soft
from mgu.torch import export
from mgu.torch.build import attempt
from mgu.torch.network import count_weights
from mgu.torch.reading import check_finite, inside
from mgu.torch.trying import tried
from mgu.torch.weights import load_weights
from mgu.training.tasks import Classification, Regression

SOFT_WEIGHTS = "weights.safetensors"


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A folder's plain network, in evaluation mode on ``device``; its ``card``; and what data must be made into."""

    folder: Path
    network: nn.Module
    card: Mapping[str, Any]
    preprocessing: Preprocessing
    device: torch.device

    def __repr__(self) -> str:
        classes = self.preprocessing.classes
        answers = f"{len(classes)} classes" if classes else "a quantity"
        weights = f"{count_weights(self.network):,} weights"
        return f"<Model {self.folder}: inputs of shape {self.preprocessing.input_shape}, {answers}, {weights}>"

    @property
    def task(self) -> Classification | Regression:
        """What the network's outputs are for."""
        classes = self.preprocessing.classes
        return Classification(len(classes)) if classes else Regression(self.preprocessing.target_std)

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """How the gates were decided. Raises InputError for a card that says something else."""
        try:
            found = tuple(Decision(**decision) for decision in self.card["architecture"]["decisions"])
            for decision in found:
                if not all(isinstance(name, str) for name in (decision.unit, decision.gate, decision.side)):
                    raise TypeError(f"{decision} has no names")
            return found
        except (KeyError, TypeError) as error:
            raise InputError(f"{self.folder}: its card has no decisions: {error}") from None

    def soft(self) -> nn.Sequential:
        """The network with its gates, in evaluation mode on the device. Raises InputError where the folder has none, or
        where its architecture and its weights do not fit one another."""
        path = inside(self.folder, SOFT_WEIGHTS)
        try:
            described = self.card["soft"]
            shape, outputs = self.preprocessing.input_shape, self.task.outputs
            network = build_soft(described, shape, outputs, path.stat().st_size)  # which says what is too much to read
            if sha256(path) != described["sha256"]:
                raise InputError(f"{path} is not as it was written: its SHA-256 is not that in {export.DESCRIPTION}")
        except (KeyError, TypeError) as error:
            raise InputError(f"{self.folder}: its card describes no network with gates: {error}") from None
        load_weights(network, path)
        check_finite(network.state_dict(), path)
        return network.eval().to(self.device)


def read_model(folder: str | Path, device: str = "cpu") -> Model:
    """The model in a folder. Only JSON and safetensors are read and nothing in the folder is run.

    Raises InputError where the folder is not there, a file of it is missing, damaged, or leads out of the folder, and
    where the parts of its card do not fit one another or the network.
    """
    folder, place = Path(os.path.expanduser(folder)), torch.device(device)
    if not folder.is_dir():
        raise InputError(f"there is no model folder {str(folder)!r}; mgu fit writes one")
    inside(folder, export.WEIGHTS)
    saved = export.read_card(folder)
    if not isinstance(saved.card, dict) or "preprocessing" not in saved.card:
        raise InputError(f"{folder} holds a network, but not what its data must be made into; mgu fit writes both")
    try:
        preprocessing = Preprocessing.from_json(saved.card["preprocessing"])
    except InputError as error:
        raise InputError(f"{folder}: {error}") from None
    if saved.input_shape != preprocessing.input_shape:
        raise InputError(f"{folder}: its network takes {saved.input_shape}, its data is {preprocessing.input_shape}")
    model = Model(folder, export.load(folder).to(place), saved.card, preprocessing, place)
    check_answers(model, without_numbers(model.network), 1)
    return model


def without_numbers(network: nn.Module) -> nn.Module:
    """A copy of a network on device "meta"."""
    return copy.deepcopy(network).to("meta")


def check_answers(model: Model, network: nn.Module, samples: int) -> None:
    """Raise InputError where a network ``without_numbers`` does not give the outputs that the card needs for so many
    samples, or has larger values on the way to them than any network."""
    x = torch.empty(samples, *model.preprocessing.input_shape, device="meta")
    given = tuple(attempt(f"{model.folder}: the network does not run", tried, network, x).shape)
    if given != (samples, model.task.outputs):
        raise InputError(f"{model.folder}: its network gives {given[1:]}, its card needs {model.task.outputs} outputs")


def most_samples(check: Callable[[int], None], most: int) -> int:
    """How many samples are taken at once: ``most``, halved until ``check`` of that many raises no InputError. Raises
    that of a single sample."""
    while True:
        try:
            check(most)
            return most
        except InputError:
            if most == 1:
                raise
            most //= 2


def check_free(folder: Path) -> None:
    """Raise InputError where a folder cannot be made: it is there and not empty, is a file, or cannot be written."""
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists():
        raise InputError(f"{folder} is there already; name another folder (--out), or remove it")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".mgu-"):
            pass
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror}; name another folder (--out)") from None


def write_folder(folder: Path, write: Callable[[Path], None]) -> Path:
    """The folder with what ``write`` puts into it, there whole or not at all; its path.

    Raises InputError as ``check_free`` does, and OSError where it cannot be written.
    """
    check_free(folder)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.", ignore_cleanup_errors=True) as part:
        whole = Path(part, "whole")
        whole.mkdir()
        write(whole)
        if folder.exists():
            folder.rmdir()
        os.replace(whole, folder)
    return folder
