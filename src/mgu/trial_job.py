"""One trial of a study from its start, or its last checkpoint, to its files."""

import time
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
from mgu.study.workers import Kept, Place
from mgu.training import fit, fit_estimator
from mgu.training.checkpoints import APART_S, SHARE, Checkpoint, Checkpoints, UnkeptError


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
        keeper = TellingCheckpoints(place.folder / CHECKPOINTS, self.key, place.tell)
        try:
            result, save = self._trained(common, place, keeper)
        except UnkeptError as error:  # no fault of the trial
            raise InputError(f"{error}; make room, and the same command goes on") from error
        try:
            place.folder.mkdir(parents=True, exist_ok=True)
            save(place.folder)
        except Exception as error:
            return Trained(result, error)
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


class TellingCheckpoints(Checkpoints):
    """Checkpoints that tell of each that is found or written. Where they must be sent to the one who is told, that is
    part of the time that writing takes."""

    def __init__(self, folder: Path, of: str, tell: Callable[[Kept], None]) -> None:
        super().__init__(folder, of)
        self.tell = tell

    def newest(self) -> Checkpoint | None:
        found = super().newest()
        self.tell(Kept(found.facts["elapsed_s"] if found else 0.0))
        return found

    def keep(self, make: Callable[[], Checkpoint]) -> None:
        def told() -> Checkpoint:
            made.append(make())
            return made[0]

        made: list[Checkpoint] = []
        begun = time.monotonic()
        super().keep(told)
        if made:
            self.tell(Kept(made[0].facts["elapsed_s"]))
            ended = time.monotonic()
            self.next_at = ended + max(APART_S, (ended - begun) / SHARE)
