"""A trial's job that says what took its time beside the training. It is imported in the trial's own process, and so
imports nothing that is not there anyway."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from mgu.history import Epoch
from mgu.study.runner import Trained
from mgu.study.workers import Place
from mgu.trial_job import Common, ToldCheckpoints, TrialJob

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
