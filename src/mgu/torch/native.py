"""C code compiled once on a machine and loaded.

A compiled library lies in the cache under a name made from all that it depends on: the source, the flags, the compiler
and the processor, so that a home directory may be shared between machines.
"""

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mgu.files import cache_folder, write_whole

#: No -ffast-math: it would turn denormal numbers off in the whole process, and a NaN would not stay one.
FLAGS = (
    *("-std=gnu11", "-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"),
    *("-fopenmp", "-shared", "-fPIC"),
    *["-mprefer-vector-width=512"] * (platform.machine() in ("x86_64", "AMD64")),  # compilers go no further than 256
)
#: Linking needs a second at most; a compiler that hangs is as good as none.
PATIENCE_S = 120


def load(source: Path, definitions: Sequence[str] = ()) -> ctypes.CDLL:
    """The library made from a C file, from the cache or compiled now; ``definitions`` are as in ``-Dname=value``.

    Where the cache cannot be written, the library is compiled for this process alone. Raises OSError, with the reason,
    where there is no compiler, where it does not take the file, or where the result cannot be loaded.
    """
    compiler = find_compiler()
    flags = [*FLAGS, *(f"-D{definition}" for definition in definitions)]
    version = _output([*compiler, "--version"])
    sources = [path.read_bytes() for path in (source, *sorted(source.parent.glob("*.h")))]
    identity = repr((sources, compiler, flags, version, _processor())).encode()
    name = f"{source.stem}-{hashlib.sha256(identity).hexdigest()[:32]}.so"
    path = _place(name)
    if path is not None and (kept := _loaded(path)) is not None:
        return kept
    with tempfile.TemporaryDirectory(prefix="mgu-", ignore_cleanup_errors=True) as folder:
        made = Path(folder, name)
        _output([*compiler, *flags, str(source), "-o", str(made), "-lm"])
        return ctypes.CDLL(str(_kept(made, path) or made))


def find_compiler() -> list[str]:
    """The command of the C compiler: ``$CC``, or the first of cc, gcc and clang. Raises OSError where there is none."""
    for command in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        words = shlex.split(command)
        if words and shutil.which(words[0]):
            return words
    raise FileNotFoundError("no C compiler was found: $CC, cc, gcc, clang")


def _place(name: str) -> Path | None:
    """Where the library lies in the cache, None where there is no home."""
    try:
        return cache_folder() / "native" / name
    except RuntimeError:
        return None


def _loaded(path: Path) -> ctypes.CDLL | None:
    """The library, None where it is absent, out of reach or damaged."""
    try:
        return ctypes.CDLL(str(path)) if path.is_file() else None
    except OSError:
        return None


def _kept(made: Path, path: Path | None) -> Path | None:
    """Where the library lies in the cache, None where it cannot: two processes may both put it there."""
    if path is None:
        return None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, made.read_bytes())
    except OSError:
        return None
    return path


def _output(command: Sequence[str]) -> str:
    """What a command prints. Raises OSError, with what it complains of, where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{command[0]} did not answer within {PATIENCE_S} s") from error
    if done.returncode:
        raise OSError(f"{shlex.join(command)} failed: {done.stderr.strip() or done.returncode}")
    return done.stdout


def _processor() -> list[str]:
    """What -march=native goes by."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0].splitlines()
    except OSError:
        return [platform.machine(), platform.processor()]
    facts = ("vendor", "model", "stepping", "flags", "features", "cpu family", "cpu implementer", "cpu part")
    return [line for line in lines if line.lower().startswith(facts)]
