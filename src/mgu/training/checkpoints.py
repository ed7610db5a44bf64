"""A training's state on disk: the last two checkpoints, each one file whose name says what it must hold."""

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

import mgu
from mgu.files import write_whole
from mgu.plain_json import read_json

#: checkpoint-NUMBER-SHA256.safetensors
NAME = re.compile(r"checkpoint-(\d{6})-([0-9a-f]{64})\.safetensors")
KEPT = 2
#: Seconds between two checkpoints, at least, and the most of the time that writing them takes.
APART_S, SHARE = 2.0, 0.01
#: Where a file of safetensors has its facts, as JSON.
FACTS = "mgu"

#: Who wrote a file: of another one's, the epochs to come would not be those of one training.
MAKER = f"mgu {mgu.__version__}, torch {torch.__version__}, format 2"

Tensors = Mapping[str, Tensor]


class UnkeptError(OSError):
    """A checkpoint could not be read or written."""


@dataclass(frozen=True)
class Checkpoint:
    """Plain JSON data, and tensors by group and name."""

    facts: Mapping[str, Any]
    tensors: Mapping[str, Tensors]


class Keeper(Protocol):
    """Where a training keeps its state, when it is time for that, and finds it again."""

    @property
    def due(self) -> bool: ...

    def newest(self) -> Checkpoint | None: ...

    def keep(self, make: Callable[[], Checkpoint]) -> None: ...


class Forgetful:
    """Keeps nothing."""

    due = False

    def newest(self) -> Checkpoint | None:
        return None

    def keep(self, make: Callable[[], Checkpoint]) -> None:
        pass


class Checkpoints:
    """The checkpoints of what ``of`` names, in a folder.

    One is ``due`` ``APART_S`` after the last one, and so that writing takes at most ``SHARE`` of the time. Its file is
    whole or absent, and the last ``KEPT`` stay. A file that does not hold what its name says, or that another version
    of mgu or torch has written, is set aside as ``unusable-...``, and the one before it is used.
    """

    def __init__(self, folder: Path, of: str) -> None:
        self.folder, self.of = folder, of
        self.next_at = time.monotonic() + APART_S

    @property
    def due(self) -> bool:
        return time.monotonic() >= self.next_at

    def newest(self) -> Checkpoint | None:
        """The last one that is whole. Raises UnkeptError where one cannot be read."""
        with self._told():
            return self._newest()

    def _newest(self) -> Checkpoint | None:
        for path in self._files():
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() == _digest(path) and (found := self._read(content)):
                return found
            path.rename(path.with_name(f"unusable-{path.name}"))
        return None

    def keep(self, make: Callable[[], Checkpoint]) -> None:
        """Write what ``make`` gives. Raises UnkeptError; those before are then as they were."""
        begun = time.monotonic()
        self.write(make())
        ended = time.monotonic()
        self.next_at = ended + max(APART_S, (ended - begun) / SHARE)

    def write(self, checkpoint: Checkpoint) -> None:
        """Write one, due or not. Raises as ``keep`` does."""
        content = self._content(checkpoint)
        with self._told():
            self.folder.mkdir(parents=True, exist_ok=True)
            before = self._files()
            number = 1 + max((_number(path) for path in before), default=0)
            name = f"checkpoint-{number:06}-{hashlib.sha256(content).hexdigest()}.safetensors"
            write_whole(self.folder / name, content)
            for path in before[KEPT - 1 :]:
                path.unlink(missing_ok=True)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UnkeptError(f"{self.folder}: the trial's state cannot be kept ({error.strerror or error})") from error

    def _files(self) -> list[Path]:
        """The newest first."""
        found = self.folder.iterdir() if self.folder.is_dir() else ()
        return sorted((path for path in found if NAME.fullmatch(path.name)), key=_number, reverse=True)

    def _content(self, checkpoint: Checkpoint) -> bytes:
        facts = json.dumps({"of": self.of, "maker": MAKER, **checkpoint.facts})
        flat = {
            f"{group}/{name}": tensor.detach().cpu().contiguous()
            for group, tensors in checkpoint.tensors.items()
            for name, tensor in tensors.items()
        }
        return save(flat, {FACTS: facts})

    def _read(self, content: bytes) -> Checkpoint | None:
        """None for what is no checkpoint, or one of something else, or of another version."""
        try:
            length = int.from_bytes(content[:8], "little")
            facts = read_json(read_json(content[8 : 8 + length])["__metadata__"][FACTS])
            grouped: dict[str, dict[str, Tensor]] = {}
            for flat, tensor in load(content).items():
                group, _, name = flat.partition("/")
                grouped.setdefault(group, {})[name] = tensor
            return Checkpoint(facts, grouped) if (facts.pop("of"), facts.pop("maker")) == (self.of, MAKER) else None
        except (SafetensorError, ValueError, KeyError, TypeError, AttributeError):
            return None


def _number(path: Path) -> int:
    return int(_matched(path)[1])


def _digest(path: Path) -> str:
    return _matched(path)[2]


def _matched(path: Path) -> re.Match[str]:
    match = NAME.fullmatch(path.name)
    assert match
    return match
