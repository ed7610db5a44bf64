"""Data sets of the Hugging Face Hub."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mgu.data.loading import load_sets
from mgu.errors import InputError

#: Short names, and what they are called on the Hub.
HUB_NAMES = {"mnist": "ylecun/mnist", "cifar10": "uoft-cs/cifar10"}

#: Beyond this, a Hub that does not answer is taken for unreachable; its own client goes on for half a minute.
TIMEOUT_S = 5


def is_hub_id(name: str) -> bool:
    """Whether the name reads owner/name."""
    return re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name, flags=re.ASCII) is not None


def hub_folders() -> list[Path]:
    """Where the Hub's files lie on this machine."""
    from datasets import config
    from huggingface_hub import constants

    folders = (config.HF_DATASETS_CACHE, config.DOWNLOADED_DATASETS_PATH, constants.HF_HUB_CACHE)
    return [Path(folder).expanduser().absolute() for folder in folders]


def load_from_hub(name: str) -> Any:
    """The ``datasets.DatasetDict`` of a Hub id, or the copy that an earlier load left on this machine.

    Raises InputError where the Hub has no such set, or cannot be reached and there is no copy.
    """
    import datasets

    if not _answers():
        return _load_copy(name)
    try:
        return load_sets(name, name)
    except InputError as error:
        if not isinstance(error.__cause__, datasets.exceptions.DatasetNotFoundError):
            raise
    raise InputError(
        f"{name}: there is no such folder here, and the Hugging Face Hub has no such data set that is open to you; "
        "check the name, log in with `hf auth login` where access was granted, or give the path of a local copy"
    )


def _load_copy(name: str) -> Any:
    try:
        with _offline():
            return load_sets(name, name)
    except InputError as error:
        raise InputError(
            f"{name}: there is no such folder here, and the Hugging Face Hub cannot be reached to fetch it; give the "
            "path of a local copy instead"
        ) from error


def _answers() -> bool:
    import datasets
    from huggingface_hub import get_session

    try:
        get_session().head(datasets.config.HF_ENDPOINT, timeout=TIMEOUT_S)
    except Exception:  # the client's own kinds of errors change with its version
        return False
    return True


@contextmanager
def _offline() -> Iterator[None]:
    # Else ``datasets`` would ask the Hub again, and again, before it turns to its own copy.
    import datasets

    before = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE = before
