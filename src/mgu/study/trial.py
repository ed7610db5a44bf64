"""What a trial is, and what is known of it."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from mgu.history import Hardening, Result, Usage
from mgu.spaces import Architecture, Cell

#: The statuses of a trial that has ended; see ``Result``.
ENDED = ("finished", "diverged", "failed")
#: The norm and the residual of what has no cell.
NO_CELL = "N/A"
#: Settings that say what things are called, and decide nothing.
_NAMES = ("data.name", "data.class_names", "data.note")


@dataclass(frozen=True)
class Estimator:
    """One of ``mgu.training.ESTIMATORS``, by name: what is trained where it is no network of ours."""

    name: str


@dataclass(frozen=True)
class Trial:
    """One training run: an architecture and a seed.

    ``model_size`` counts all weights, batch norm's running statistics included (as Keras does); it is 0 for estimators,
    whose size is not known before. ``rival`` names the trained rival that it is a model of; it is empty for the grid's
    models and for MGU's.
    """

    model_name: str
    architecture: Architecture | Estimator
    model_size: int
    seed: int
    rival: str = ""

    @property
    def kind(self) -> str:
        """What it is trained for: "plain" as a model of the grid, "mgu", or "rival" as neither."""
        if self.rival:
            return "rival"
        return "plain" if self._cell else "mgu"

    @property
    def is_mgu(self) -> bool:
        return self.kind == "mgu"

    @property
    def layout(self) -> str:
        """The layout, or N/A for an estimator."""
        return "N/A" if isinstance(self.architecture, Estimator) else str(self.architecture.layout)

    @property
    def norm(self) -> str:
        """The cell's norm, or N/A for an MGU network, which learns it, and for an estimator."""
        return self._cell.norm if self._cell else NO_CELL

    @property
    def residual(self) -> str:
        """1 or 0, or N/A for an MGU network, which learns it, and for an estimator."""
        return str(int(self._cell.residual)) if self._cell else NO_CELL

    @property
    def _cell(self) -> Cell | None:
        return None if isinstance(self.architecture, Estimator) else self.architecture.cell

    def key(self, settings: Mapping[str, Any]) -> str:
        """What tells the trial from all others: the SHA-256 of its architecture, its seed, ``identity(settings)``, and
        its rival where it is of one.

        Raises TypeError where a setting is not plain JSON data.
        """
        known = {"architecture": asdict(self.architecture), "seed": self.seed, "settings": identity(settings)}
        known |= {"rival": self.rival} if self.rival else {}
        return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Record:
    """A trial with what the ledger knows of it; ``result`` is None until it has ended.

    ``status`` is "pending" (not begun), "running" (begun and not ended, or its process died), or the result's.
    ``lost_s`` is wall time spent in attempts that were killed and not kept, to about a second or epoch. Of a hardened
    network the first ``after_epoch`` epochs of the history are the soft network's; of all others it is 0.
    """

    trial: Trial
    status: str = "pending"
    attempts: int = 0
    result: Result | None = None
    lost_s: float = 0.0
    after_epoch: int = 0

    @property
    def hardened(self) -> "Record | None":
        """The plain network that an MGU network was hardened to, as a trial of its own with all costs on its clock:
        the soft epochs before, the deciding, and its own training. None where it was not hardened."""
        if not self.result or not self.result.hardening:
            return None
        hard = self.result.hardening
        trial = replace(self.trial, model_name=f"{self.trial.model_name} hardened", model_size=hard.model_size)
        return replace(self, trial=trial, status=hard.result.status, result=hard.result, after_epoch=hard.after_epoch)

    @property
    def spent_s(self) -> float:
        """Seconds that the trial took in all: its clocks, what was lost, and what was done beside for hardening,
        each with its compilation."""
        if not self.result:
            return self.lost_s
        hard = self.result.hardening
        compiled_s = hard.result.compile_s if hard else self.result.compile_s  # which has the soft network's in it
        return self.lost_s + self.result.tts_s + self._hardening_s + compiled_s

    @property
    def spent_kwh(self) -> float:
        """Electricity of the attempt that ended, measured or estimated. Of hardening it is what its usage has beside
        that of the soft epochs; where theirs is not on record, the share that hardening's time has."""
        hard = self.result.hardening if self.result else None
        return _kwh(self.result.usage if self.result else None) + (self._hardening_kwh(hard) if hard else 0.0)

    def _hardening_kwh(self, hard: Hardening) -> float:
        kwh = _kwh(hard.result.usage)
        return kwh - _kwh(hard.soft_usage) if hard.soft_usage else kwh * self._hardening_s / hard.result.tts_s

    @property
    def _hardening_s(self) -> float:
        """Seconds of the hardened network's clock that are not the soft one's too."""
        hard = self.result.hardening if self.result else None
        return hard.result.tts_s - hard.result.history[hard.after_epoch - 1].elapsed_s if hard else 0.0


def _kwh(usage: Usage | None) -> float:
    return usage.told_kwh if usage else 0.0


@dataclass(frozen=True, repr=False)
class StudyView:
    """A whole study as it stands, for tables and reports: what was set, where it ran, every record in order, and the
    commands that worked on it."""

    settings: Mapping[str, Any]
    environment: Mapping[str, Any]
    records: tuple[Record, ...] = ()
    commands: tuple[str, ...] = ()

    def __repr__(self) -> str:
        ended = sum(record.status in ENDED for record in self.records)
        return f"<StudyView: {ended} of {len(self.records)} trials have ended>"

    @property
    def grid_size(self) -> int:
        """How many plain models the study's space has, trained or not; 0 where the settings do not say."""
        space = self.settings.get("space")
        return len(space.get("layouts", ())) * len(space.get("cells", ())) if isinstance(space, Mapping) else 0

    @property
    def task(self) -> str:
        """What the networks are to do: "regression" where the settings say so, else "classification"."""
        data = self.settings.get("data")
        is_regression = isinstance(data, Mapping) and data.get("task") == "regression"
        return "regression" if is_regression else "classification"


def identity(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What makes two studies the same: all settings by dotted name, but what the data and its classes are called, and
    what is noted of it.

    Raises TypeError where a setting is not plain JSON data.
    """
    flat = dict(_flat("", json.loads(json.dumps(dict(settings)))))
    return {name: value for name, value in flat.items() if name not in _NAMES}


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(f"{prefix}.{name}" if prefix else name, inner)
    else:
        yield prefix, value
