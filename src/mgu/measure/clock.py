"""A stopwatch that waits for the device."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Clock:
    """A stopwatch that first waits for the device: ``seconds`` adds up the time spent inside ``running()``."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds = 0.0

    def now(self) -> float:
        """Seconds of a monotonic clock, once the device has done all that it was given."""
        if self.device.type == "cuda" and torch.cuda.is_available():  # it may be another framework's
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the time inside the ``with`` block."""
        self._begun = self.now()
        try:
            yield
        finally:
            self.seconds += self.now() - self._begun

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Count none of the time inside the ``with`` block, which is inside one of ``running()``."""
        self.seconds += self.now() - self._begun
        try:
            yield
        finally:
            self._begun = self.now()
