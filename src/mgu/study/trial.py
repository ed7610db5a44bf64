"""What a trial is, and what is known of it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mgu.history import Result
from mgu.spaces import Architecture

#: A trial's statuses. "pending" has not begun; "running" has begun and has not ended (or its process died);
#: "diverged" met a loss that is not finite; "failed" raised an error. The last three are ended.
STATUSES = ("pending", "running", "finished", "diverged", "failed")
ENDED = ("finished", "diverged", "failed")


@dataclass(frozen=True)
class Trial:
    """One training run: an architecture and a seed.

    ``model_size`` counts all weights, batch norm's running statistics included (as Keras does).
    """

    model_name: str
    architecture: Architecture
    model_size: int
    seed: int

    @property
    def is_mgu(self) -> bool:
        return self.architecture.cell is None

    @property
    def layout(self) -> str:
        return str(self.architecture.layout)

    @property
    def norm(self) -> str:
        """The cell's norm, or N/A for an MGU network, which learns it."""
        return self.architecture.cell.norm if self.architecture.cell else "N/A"

    @property
    def residual(self) -> str:
        """1 or 0, or N/A for an MGU network, which learns it."""
        return str(int(self.architecture.cell.residual)) if self.architecture.cell else "N/A"

    def key(self, settings: Mapping[str, Any]) -> str:
        """The trial's identity: the SHA-256 of its architecture, its seed and the study's settings.

        Raises TypeError where a setting is not plain JSON data.
        """
        identity = {"architecture": asdict(self.architecture), "seed": self.seed, "settings": dict(settings)}
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Record:
    """A trial with what the ledger knows of it; ``result`` is None until it has ended.

    ``lost_s`` is wall time spent in attempts that were killed, as far as their last written epoch.
    """

    trial: Trial
    status: str = "pending"
    attempts: int = 0
    result: Result | None = None
    lost_s: float = 0.0


@dataclass(frozen=True)
class StudyView:
    """A whole study as it stands, for tables and reports: what was set, where it ran, and every record in order."""

    settings: Mapping[str, Any]
    environment: Mapping[str, Any]
    records: tuple[Record, ...] = field(default_factory=tuple)
