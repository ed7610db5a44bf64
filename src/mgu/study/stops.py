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
    not. An error that ends the block is told rather than a stop that came. In another thread than the main one, which
    alone hears of signals, it is as if it were not there."""
    if _otherwise or threading.current_thread() is not threading.main_thread():
        yield
        return
    try:
        does = {number: signal.getsignal(number) for number in STOPS}
        _otherwise.update({number: it for number, it in does.items() if it not in (None, signal.SIG_IGN)})
        _hold()
        yield
    except Exception:
        _came.clear()
        raise
    finally:
        try:
            _release()
        finally:  # one that came in the midst of that
            _release()
            _otherwise.clear()
            _send_again()


@contextmanager
def heard() -> Iterator[None]:
    """In the block, within one that holds them, they do what they do otherwise; one that came before does so first."""
    if not _otherwise or threading.current_thread() is not threading.main_thread():
        yield
        return
    try:
        _release()
        _send_again()
        yield
    finally:
        _hold()


def hear() -> None:
    """Where nothing is half done: one that came does what it does otherwise."""
    with heard():
        pass


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
