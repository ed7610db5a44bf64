"""What the modules of a model read of one another besides calling each other, such as a convolution's stride."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn

from mgu.errors import InputError


@dataclass(frozen=True)
class Seen:
    """Which modules were called, and the names that were read of each from outside."""

    called: set[nn.Module]
    reads: Mapping[nn.Module, set[str]]


@contextmanager
def watching(modules: Iterable[nn.Module]) -> Iterator[Seen]:
    """Which of the modules are called, and the names that are read of each while it does not run, as they come in.

    What every module has, such as its parameters and its mode, is left out, but not ``forward``, whose reader calls it
    without hooks. Meanwhile each module is of a subclass that tells of it.
    """
    kinds = {module: type(module) for module in modules}
    seen = Seen(set(), {module: set() for module in kinds})
    running = dict.fromkeys(kinds, 0)

    def telling(kind: type[nn.Module]) -> type[nn.Module]:
        def read(module: nn.Module, name: str) -> Any:
            if not running.get(module, 1) and (name == "forward" or not _everyones(name)):
                seen.reads[module].add(name)
            return kind.__getattribute__(module, name)

        def call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            if module not in running:  # a copy
                return kind.__call__(module, *args, **kwargs)
            seen.called.add(module)
            running[module] += 1
            try:
                return kind.__call__(module, *args, **kwargs)
            finally:
                running[module] -= 1

        return type(kind.__name__, (kind,), {"__getattribute__": read, "__call__": call, "__module__": kind.__module__})

    told = {kind: telling(kind) for kind in kinds.values()}
    for module, kind in kinds.items():
        module.__class__ = told[kind]
    try:
        yield seen
    finally:
        for module, kind in kinds.items():
            module.__class__ = kind


def constants(module: nn.Module, names: Iterable[str]) -> dict[str, Any]:
    """What the module has under those names. Raises InputError where that is more than plain data: whatever takes the
    module's place can keep a stride for others to read, but not the weight."""
    found = {name: getattr(module, name) for name in sorted(names) if hasattr(module, name)}
    for name, value in found.items():
        if not _is_plain(value):
            raise InputError(f"its {name} is read besides")
    return found


def _everyones(name: str) -> bool:
    return name.startswith("_") or name == "training" or hasattr(nn.Module, name)


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple | list):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, bool | int | float | str)
