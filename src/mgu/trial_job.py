"""One trial of a study from its start, or its last checkpoint, to its files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from mgu.data import DataSet
from mgu.errors import InputError
from mgu.history import Result
from mgu.measure import Meter
from mgu.recipe import Recipe
from mgu.saving import save_trial
from mgu.study.runner import CHECKPOINTS, Trained
from mgu.study.trial import Estimator, Trial
from mgu.study.workers import Kept, Place, Stopped
from mgu.training import fit, fit_estimator
from mgu.training.checkpoints import Checkpoint, Checkpoints, UnkeptError


@dataclass(frozen=True)
class Common:
    """What all trials of a study have in common. ``threads`` is how many of PyTorch each has: as many as its process
    has by itself where it is not given."""

    data: DataSet
    recipe: Recipe
    unit: Mapping[str, Any]
    device: str
    country: str | None
    framework: str
    threads: int | None = None


@dataclass(frozen=True)
class TrialJob:
    """The training of one trial of a study and the writing of its files, to be done in a process of its own; the key
    says whose its checkpoints are."""

    trial: Trial
    key: str

    def __call__(self, common: Common, place: Place) -> Trained:
        """What the trial gives. Raises InputError where its state cannot be kept, and what the training raises."""
        if common.threads:
            torch.set_num_threads(common.threads)
        keeper = ToldCheckpoints(place, self.key)
        try:
            result, save = self._trained(common, place, keeper)
        except UnkeptError as error:  # no fault of the trial
            raise InputError(f"{error}; make room, and the same command goes on") from error
        try:
            place.folder.mkdir(parents=True, exist_ok=True)
            save(place.folder)
        except OSError as error:
            return Trained(result, unwritable=error.strerror or str(error))
        except Exception as error:
            return Trained(result, unsaved=f"{type(error).__name__}: {error}")
        return Trained(result)

    def _trained(self, common: Common, place: Place, keeper: Checkpoints) -> tuple[Result, Callable[[Path], None]]:
        trial = self.trial
        with Meter(torch.device(common.device), common.country, place.shared) as meter:
            if isinstance(trial.architecture, Estimator):
                result = fit_estimator(trial.architecture.name, common.data, seed=trial.seed, meter=meter)
                return result, lambda folder: None
            fitted = fit(
                trial.architecture,
                common.data,
                common.recipe,
                seed=trial.seed,
                device=common.device,
                unit=common.unit,
                on_epoch=place.tell,
                meter=meter,
                framework=common.framework,
                keeper=keeper,
            )
        return fitted.result, partial(save_trial, fitted, common.data)


class ToldCheckpoints(Checkpoints):
    """A place's checkpoints: it is told of each that is found or written, which is part of what writing takes, since
    they may have to be sent; and one is due where the job is to stop, which then ends with it."""

    def __init__(self, place: Place, of: str) -> None:
        super().__init__(place.folder / CHECKPOINTS, of)
        self.place = place

    @property
    def due(self) -> bool:
        return self.place.stopping() or super().due

    def newest(self) -> Checkpoint | None:
        found = super().newest()
        self.place.tell(Kept(found.facts["elapsed_s"] if found else 0.0))
        return found

    def write(self, checkpoint: Checkpoint) -> None:
        """Raises Stopped too."""
        super().write(checkpoint)
        self.place.tell(Kept(checkpoint.facts["elapsed_s"]))
        if self.place.stopping():
            raise Stopped
