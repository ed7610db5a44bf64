"""What a study does for its trials beside their training, second by second, by the clock that all processes share."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mgu.history import Epoch
from mgu.progress import Silent
from mgu.study.ledger import Ledger
from mgu.study.processes import Processes
from mgu.study.runner import Trained, run, trial_folder
from mgu.study.trial import Trial
from mgu.study.workers import Place
from mgu.trial_job import Common, ToldCheckpoints, TrialJob

if TYPE_CHECKING:  # a trial's process would import all of it with this module
    from mgu.comparison import Comparison

FILE = "account.json"


class Timer:
    """The seconds spent in functions, all together."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            begun = time.monotonic()
            try:
                return function(*arguments)
            finally:
                self.seconds += time.monotonic() - begun

        return call


@dataclass(frozen=True)
class Accounted:
    """A trial's job that leaves in its folder when it began and ended, and what took its time beside the training."""

    job: TrialJob

    def __call__(self, common: Common, place: Place) -> Trained:
        begun, keeping, telling = time.monotonic(), Timer(), Timer()
        ToldCheckpoints.keep = keeping.timed(ToldCheckpoints.keep)  # type: ignore[method-assign]
        ToldCheckpoints.newest = keeping.timed(ToldCheckpoints.newest)  # type: ignore[method-assign]
        tell = telling.timed(place.tell)

        def told(message: Any) -> None:
            (tell if isinstance(message, Epoch) else place.tell)(message)

        trained = self.job(common, replace(place, tell=told))
        account = {"begun": begun, "keeping": keeping.seconds, "telling": telling.seconds, "ended": time.monotonic()}
        (place.folder / FILE).write_text(json.dumps(account))
        return trained


class Starting(Processes):
    """Notes when each job was handed in."""

    def start(self, key: str, job: Any, folder: Path) -> None:
        self.times = [*getattr(self, "times", []), time.monotonic()]
        super().start(key, job, folder)


#: What takes a trial's time beside its training.
PARTS = ("starting", "checkpoints", "telling", "ending")


def account(comparison: "Comparison", trials: list[Trial], folder: Path) -> list[dict[str, float]]:
    """Train the trials, one after the other, and give the seconds of each, as a whole and by ``PARTS``."""
    settings = comparison.settings()
    common = Common(comparison.data, comparison.recipe, comparison.unit, comparison.device, None, "torch")
    with Starting(common, 1, 3600.0) as workers, Ledger.open(folder, settings) as ledger:
        keys = ledger.add(trials, settings)
        run(ledger, keys, lambda trial: Accounted(TrialJob(trial, trial.key(settings))), workers, Silent())
        times = [*workers.times, time.monotonic()]
    found = []
    for trial, start, end in zip(trials, times[:-1], times[1:], strict=True):
        told = json.loads((trial_folder(folder, trial) / FILE).read_text())
        parts = (told["begun"] - start, told["keeping"], told["telling"], end - told["ended"])
        found.append({"whole": end - start, **dict(zip(PARTS, parts, strict=True))})
    return found
