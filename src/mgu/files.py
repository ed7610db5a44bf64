"""Files that are whole or absent, and where those lie that can be made again."""

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG

#: How the name of a file ends that is not yet whole.
HALF = ".half"


def write_whole(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` so that a reader, also after a crash, finds the old file or the new one. Once
    it returns, the new one is on the disk.

    Raises OSError where it cannot be written; the old file is then as it was, and nothing else is left behind. What is
    killed meanwhile leaves what ``sweep`` deletes.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=HALF)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def sweep(folder: Path) -> None:
    """Delete what processes that were killed have half written into a folder and those below; none may be at work
    there. Raises OSError."""
    for path in list(folder.rglob(f".*{HALF}")):
        path.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    """Have the names in a folder on the disk, where a system does that at all."""
    if os.name == "posix":
        with suppress(OSError):  # some network file systems refuse
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def is_own(path: Path, folder: Path, most: int) -> bool:
    """Whether a path leads, through links too, to a regular file of at most so many bytes in a folder, which is given
    without links: what else it leads to may be somebody's secret, a pipe that never ends, or larger than memory.
    Raises OSError where it leads to nothing, and ValueError or RuntimeError for names and links that no file has."""
    found = path.resolve(strict=True)
    known = found.stat()
    return found.is_relative_to(folder) and S_ISREG(known.st_mode) and known.st_size <= most


def sha256(path: Path) -> str:
    """The SHA-256 of a file. Raises OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def cache_folder() -> Path:
    """``$MGU_CACHE``, ``$XDG_CACHE_HOME/mgu`` or ``~/.cache/mgu``. Raises RuntimeError where there is no home."""
    if own := os.environ.get("MGU_CACHE"):
        return Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "mgu"
