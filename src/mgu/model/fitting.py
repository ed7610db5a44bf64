"""From a data set to a model's folder: one network of its size, trained, explained and hardened."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from mgu.data import DataSet
from mgu.data.preprocessing import Preprocessing
from mgu.diagnosis import Diagnosis
from mgu.errors import InputError
from mgu.files import sha256
from mgu.history import Epoch, Hardening
from mgu.measure import Meter, environment
from mgu.measure.carbon import carbon_intensity
from mgu.model.card import answers_card, architecture_card, cost_card, data_card, metrics_card
from mgu.model.folder import SOFT_WEIGHTS, write_folder
from mgu.model.soft import describe_soft
from mgu.saving import explained, write_diagnosis
from mgu.sizing import architecture_for
from mgu.spaces import Architecture
from mgu.torch.network import model_size
from mgu.torch.weights import save_weights
from mgu.training import Fitted, Recipe, fit
from mgu.training.tasks import task_of
from mgu.training.world import ALONE, World


class NotTrainedError(RuntimeError):
    """The training did not come to an end, as the message tells."""


@dataclass(frozen=True, eq=False, repr=False)
class FittedModel:
    """A trained network of one's own data, all that was learned of it, and its card."""

    data: DataSet
    preprocessing: Preprocessing
    architecture: Architecture
    unit: Mapping[str, Any]
    fitted: Fitted
    hardening: Hardening
    diagnosis: Diagnosis
    card: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"<FittedModel of {self.data!r}>"

    def save(self, folder: Path) -> Path:
        """Write the folder, whole or not at all. Raises InputError where it is there already, and OSError."""
        return write_folder(folder, self._write)

    def save_networks(self, folder: Path) -> Path:
        """Write both networks and the card into a folder, without the pictures. Raises OSError."""
        weights = save_weights(self.fitted.network, folder / SOFT_WEIGHTS)
        soft = {**describe_soft(self.architecture, self.unit), "sha256": sha256(weights)}
        assert self.fitted.hardened_learner
        self.fitted.hardened_learner.save_plain(folder, self.data.input_shape, {**self.card, "soft": soft})
        return folder

    def _write(self, folder: Path) -> None:
        self.save_networks(folder)
        write_diagnosis(self.diagnosis, folder, self.fitted.result.history, self.hardening.decisions)


def fit_model(
    data: DataSet,
    recipe: Recipe,
    *,
    unit: Mapping[str, Any] | None = None,
    seed: int = 0,
    device: str = "cpu",
    country: str | None = None,
    command: str = "",
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    world: World = ALONE,
) -> FittedModel:
    """Train the network of ``architecture_for`` the data's shape by the recipe, harden it and explain it.

    ``unit`` are MultiGatedUnit's options; ``country`` says where the electricity comes from; ``command`` is kept in the
    card. See ``mgu.training.fit`` for the rest. Of the processes of a ``world`` the first alone measures what it takes.

    Raises InputError for a recipe that leaves no epoch after hardening and for options that the data does not take, and
    NotTrainedError where a loss was not finite or hardening failed.
    """
    if not 0 < recipe.soft_epochs < recipe.epochs:
        raise InputError(
            f"the network is hardened and then trained on: of {recipe.epochs} epochs, at least one must come before "
            "and one after; give 2 epochs or more, and a share above 0 to harden after"
        )
    unit, chosen = dict(unit or {}), architecture_for(data.input_shape, len(data.train.y))
    model_size(chosen, data.input_shape, task_of(data).outputs, **unit)  # options are refused before any training
    with _meter(device, country, world) as meter:
        fitted = fit(
            chosen,
            data,
            recipe,
            seed=seed,
            device=device,
            unit=unit,
            on_epoch=on_epoch,
            meter=meter,
            world=world,
        )
    hardening = _finished(fitted)
    diagnosis, preprocessing = explained(fitted), Preprocessing.of(data)
    result = hardening.result
    by_case = result.test_case_answers
    card = {
        **answers_card(preprocessing),
        "data": data_card(data),
        "preprocessing": preprocessing.to_json(),
        "metrics": metrics_card(result.test_answers, "the test split"),
        **({"case_metrics": metrics_card(by_case, "the test split, one answer a group")} if by_case else {}),
        "cost": cost_card(fitted.result, hardening),
        "architecture": architecture_card(diagnosis, hardening.decisions),
        "training": {**asdict(replace(recipe, decay=recipe.step_decay)), "seed": seed, **_together(world)},
        "versions": environment(torch.device(device)),
        "command": command,
    }
    return FittedModel(data, preprocessing, chosen, unit, fitted, hardening, diagnosis, card)


def _meter(device: str, country: str | None, world: World) -> AbstractContextManager[Meter | None]:
    """What measures, in the first process; the others refuse what it refuses."""
    if world.first:
        return Meter(torch.device(device), country)
    carbon_intensity(country)
    return nullcontext()


def _together(world: World) -> Mapping[str, int]:
    return {"processes": world.size} if world.size > 1 else {}


def _finished(fitted: Fitted) -> Hardening:
    """Raise NotTrainedError where the soft or the plain network did not come to its end."""
    hardening = fitted.result.hardening
    ended = [fitted.result, hardening.result] if hardening else [fitted.result]
    for result in ended:
        if result.status != "finished":
            raise NotTrainedError(f"{result.message}; lower the learning rate (--lr)")
    if hardening is None:
        raise NotTrainedError(fitted.result.message or "the training ended before the network could be hardened")
    return hardening
