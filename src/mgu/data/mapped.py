"""Images that are too many for memory: in a file, from which they are read as they are asked for."""

import math
import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from mgu.errors import InputError

#: Images are held in memory where all of a data set's take at most this share of what is free of it. Held, they are in
#: the study's process and in the trial's, and there once more as 32-bit numbers: six times their size in all.
SHARE = 1 / 16

#: Arrays are gone through in pieces of about so many bytes.
PIECE_BYTES = 2**22


@dataclass(frozen=True, eq=False)
class Mapped:
    """The rows of an array in a .npy file, in this order; None is all of them.

    Indexed by a slice or by positions it gives an array in memory. It is pickled as path and rows. Where the file is
    gone or cut short since, whatever needs it raises InputError.
    """

    path: Path
    rows: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self._file if self.rows is None else self.rows)

    def __getitem__(self, wanted: slice | NDArray[np.int64]) -> NDArray[Any]:
        rows = wanted if self.rows is None else self.rows[wanted]
        if not isinstance(rows, slice):
            _announce(rows, self._file)
        return np.asarray(self._file)[rows]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self[:], dtype=dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        return Mapped, (self.path, self.rows)

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self), *self._file.shape[1:]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._file.dtype

    def take(self, rows: NDArray[np.int64]) -> "Mapped":
        """The rows at these positions; nothing is read."""
        return Mapped(self.path, rows if self.rows is None else self.rows[rows])

    @cached_property
    def _file(self) -> "np.memmap[Any, np.dtype[Any]]":
        try:
            file: np.memmap[Any, np.dtype[Any]] = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise InputError(
                f"{self.path}: the decoded images cannot be read ({error}); the same command decodes them again"
            ) from None
        return file


def fits(size: int) -> bool:
    """Whether images of so many bytes are held in memory."""
    return size <= room(SHARE)


def room(share: float) -> float:
    """This share of the memory that is free, in bytes."""
    return share * float(psutil.virtual_memory().available)


def new_images(shape: tuple[int, ...], folder: Path | None) -> "np.memmap[Any, np.dtype[np.uint8]]":
    """Room for images of ``shape`` in a new .npy file in the folder, which the disk has set aside: nothing that is
    written there later finds it full.

    Raises InputError where there is no such folder, and where the disk has not so much room.
    """
    size = math.prod(shape)
    needed = f"the images take {size / 1e9:.3g} GB decoded, too much for memory"
    remedy = "set MGU_CACHE to a folder with more room, or make the images smaller (--image-size)"
    if folder is None:
        raise InputError(f"{needed}, and the cache cannot be written; {remedy}")
    try:
        free = shutil.disk_usage(folder).free
        if free < size:
            raise InputError(f"{needed}, and {folder.parent} has room for {free / 1e9:.3g} GB; {remedy}")
        handle, path = tempfile.mkstemp(dir=folder, suffix=".npy")
        os.close(handle)
        images = open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
        _set_aside(path)
    except OSError as error:
        raise InputError(f"{needed}, and cannot be written to {folder.parent} ({error.strerror}); {remedy}") from None
    return images


def pieces(x: NDArray[Any] | Mapped) -> Iterator[NDArray[Any]]:
    """All of an array in its order, in pieces that are small in memory."""
    rows = max(1, PIECE_BYTES // max(1, math.prod(x.shape[1:]) * x.dtype.itemsize))
    return (x[start : start + rows] for start in range(0, len(x), rows))


def _announce(rows: NDArray[np.int64], file: "np.memmap[Any, np.dtype[Any]]") -> None:
    """Have the system read these rows together. By itself it reads one after the other, and what lies around each:
    hundreds of times as much, it may be."""
    mapping: Any = file.base
    size = file[:1].nbytes
    if not isinstance(mapping, mmap.mmap) or not hasattr(mmap, "MADV_WILLNEED"):
        return
    for begin in (file.offset + rows * size).tolist():
        page = begin // mmap.PAGESIZE * mmap.PAGESIZE
        mapping.madvise(mmap.MADV_WILLNEED, page, begin + size - page)


def _set_aside(path: str) -> None:
    # Without, a write to the mapping would kill the process once the disk is full.
    if hasattr(os, "posix_fallocate"):
        with open(path, "r+b") as file:
            os.posix_fallocate(file.fileno(), 0, os.path.getsize(path))
