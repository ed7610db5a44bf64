"""A folder on one machine as it is on another, by what changes in it."""

from collections.abc import Mapping
from pathlib import Path

from mgu.files import write_whole

#: What files have become, by their path within the folder: their content, or None for one that is gone.
Changes = Mapping[str, bytes | None]


class Original:
    """A folder whose changes are to be told, from what is in it now on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known = self._stamps()

    def changes(self) -> Changes:
        """What has changed since the last call, or since the beginning. Raises OSError where it cannot be read."""
        before, self.known = self.known, self._stamps()
        gone = dict.fromkeys(before.keys() - self.known.keys())
        new = [name for name, stamp in self.known.items() if before.get(name) != stamp]
        return {**{name: (self.folder / name).read_bytes() for name in new}, **gone}

    def _stamps(self) -> dict[str, tuple[int, int, int]]:
        """What tells a file's states apart: each is a new file, written whole."""
        stats = {path.relative_to(self.folder).as_posix(): path.stat() for path in _files(self.folder)}
        return {name: (stat.st_ino, stat.st_mtime_ns, stat.st_size) for name, stat in stats.items()}


def contents(folder: Path) -> Changes:
    """All files of a folder, as changes to an empty one; none where it is not there."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in _files(folder)}


def apply(changes: Changes, folder: Path) -> None:
    """Make the folder as the other one has become. Raises OSError; each file is whole or absent.

    A file goes once all new ones are there, so that a checkpoint never does before the one that follows it.
    """
    for name, content in changes.items():
        if content is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            write_whole(folder / name, content)
    for name in [name for name, content in changes.items() if content is None]:
        (folder / name).unlink(missing_ok=True)
        if folder in (folder / name).parent.parents and not any((folder / name).parent.iterdir()):
            (folder / name).parent.rmdir()


def _files(folder: Path) -> list[Path]:
    return (
        sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
        if folder.is_dir()
        else []
    )
