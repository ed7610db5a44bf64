"""Ctrl-C and SIGTERM wait while a study does what must not be left half done."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

#: What a study is stopped by.
STOPS = (signal.SIGINT, signal.SIGTERM)
#: While they are held: what each does otherwise, and the one that came.
_otherwise: dict[int, Any] = {}
_came: list[int] = []


@contextmanager
def held() -> Iterator[None]:
    """In the block the first of them waits for ``heard``, or the end, to do what it does otherwise; a second one does
    not. In another thread than the main one, which alone hears of signals, it is as if it were not there."""
    if _otherwise or threading.current_thread() is not threading.main_thread():
        yield
        return
    known = {number: signal.getsignal(number) for number in STOPS}
    _otherwise.update({number: does for number, does in known.items() if does is not None})  # None: not Python's own
    _hold()
    try:
        yield
    finally:
        _release()
        _otherwise.clear()
        _send_again()


@contextmanager
def heard() -> Iterator[None]:
    """In the block, within one that holds them, they do what they do otherwise; one that came before does so first."""
    if not _otherwise or threading.current_thread() is not threading.main_thread():
        yield
        return
    _release()
    try:
        _send_again()
        yield
    finally:
        _hold()


def _hold() -> None:
    for number in _otherwise:
        signal.signal(number, _keep)


def _keep(number: int, frame: FrameType | None) -> None:
    if _came:
        _release()
        signal.raise_signal(number)
    else:
        _came.append(number)


def _release() -> None:
    for number, does in _otherwise.items():
        signal.signal(number, does)


def _send_again() -> None:
    if _came:
        signal.raise_signal(_came.pop())
