"""One trial of a study from its start, or its last checkpoint, to its files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from mgu.data import DataSet
from mgu.errors import InputError
from mgu.history import Epoch, Result
from mgu.measure import Meter
from mgu.recipe import Recipe
from mgu.saving import save_trial
from mgu.study.runner import Kept, trial_folder
from mgu.study.trial import Estimator, Trial
from mgu.training import fit, fit_estimator
from mgu.training.checkpoints import Checkpoint, Checkpoints


@dataclass(frozen=True)
class TrialJob:
    """The training of one trial of a study and the writing of its files, to be done in a process of its own."""

    trial: Trial
    key: str
    study: Path
    data: DataSet
    recipe: Recipe
    unit: Mapping[str, Any]
    device: str
    country: str | None
    framework: str

    def __call__(self, tell: Callable[[Epoch | Kept], None]) -> tuple[Result, Exception | None]:
        """The trial's result, and what kept its files from being made. Raises InputError where a checkpoint cannot be
        written, and what the training raises."""
        folder = trial_folder(self.study, self.trial)
        keeper = Telling(folder / "checkpoints", self.key, tell)
        try:
            result, save = self._trained(keeper, tell)
        except UnkeptError as error:  # no fault of the trial
            raise InputError(f"{error}; make room, and the same command goes on") from error
        try:
            folder.mkdir(parents=True, exist_ok=True)
            save(folder)
        except Exception as error:
            return result, error
        keeper.clear()
        return result, None

    def _trained(
        self, keeper: Checkpoints, tell: Callable[[Epoch | Kept], None]
    ) -> tuple[Result, Callable[[Path], None]]:
        trial = self.trial
        with Meter(torch.device(self.device), self.country) as meter:
            if isinstance(trial.architecture, Estimator):
                result = fit_estimator(trial.architecture.name, self.data, seed=trial.seed, meter=meter)
                return result, lambda folder: None
            fitted = fit(
                trial.architecture,
                self.data,
                self.recipe,
                seed=trial.seed,
                device=self.device,
                unit=self.unit,
                on_epoch=tell,
                meter=meter,
                framework=self.framework,
                keeper=keeper,
            )
        return fitted.result, partial(save_trial, fitted, self.data)


class UnkeptError(OSError):
    """A checkpoint could not be written."""


class Telling(Checkpoints):
    """Checkpoints that tell of each that is found or written."""

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
        try:
            super().keep(told)
        except OSError as error:
            raise UnkeptError(f"{self.folder}: the trial's state cannot be kept ({error.strerror or error})") from error
        if made:
            self.tell(Kept(made[0].facts["elapsed_s"]))
