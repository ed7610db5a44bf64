"""From encoded image files to one array a split."""

import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgu.data.places import Place
from mgu.errors import InputError

Pixels = NDArray[np.uint8]


def decode_images(sets: Mapping[str, Any], column: str, places: Mapping[str, Place]) -> dict[str, Pixels]:
    """The images of each ``datasets.Dataset``, (samples, channels, height, width) uint8.

    One channel where every image of every split is greyscale (16 bits are scaled to 8), else red, green and blue;
    transparency is dropped. Raises InputError, naming the file or the row, for an image that cannot be read and for one
    that differs in size.
    """
    arrays: dict[str, Pixels] = {}
    first: tuple[str, Pixels] | None = None
    for role, rows in sets.items():
        for i, (name, pixels) in enumerate(_images(rows, column, places[role])):
            first = first or (name, pixels)
            if pixels.shape[1:] != first[1].shape[1:]:
                raise InputError(
                    f"{name} is {_size(pixels)} (width x height), but {first[0]} is {_size(first[1])}; all images must "
                    "have the same size: resize them"
                )
            if i == 0:
                arrays[role] = np.empty((len(rows), *pixels.shape), dtype=np.uint8)
            arrays[role] = _widen(arrays[role], len(pixels))
            arrays[role][i] = pixels
    channels = max(array.shape[1] for array in arrays.values())
    return {role: _widen(array, channels) for role, array in arrays.items()}


def _images(rows: Any, column: str, place: Place) -> Iterator[tuple[str, Pixels]]:
    import datasets

    feature = datasets.Image(mode=rows.features[column].mode)
    encoded = rows.select_columns([column]).cast_column(column, datasets.Image(decode=False))
    cells = (cell for batch in encoded.iter(batch_size=32) for cell in batch[column])
    for i, cell in enumerate(cells):
        name = _name(cell, place, i)
        if cell is None:
            raise InputError(f"{name}: the image is missing; drop the row")
        yield name, _read(cell, feature, name)


def _name(cell: Any, place: Place, i: int) -> str:
    path = cell and cell["path"]
    if path and cell["bytes"] is None:
        return str(path)
    return f"{place.text}, {place.row(i)}" + (f", {path}" if path else "")


def _read(cell: Any, feature: Any, name: str) -> Pixels:
    """One image as (channels, height, width), upright."""
    try:
        with warnings.catch_warnings(action="ignore"):
            if cell["bytes"] is None and os.path.isfile(cell["path"]):
                # Pillow leaves a file open that it fails to decode.
                cell = {"path": cell["path"], "bytes": Path(cell["path"]).read_bytes()}
            return _greyscale_or_rgb(feature.decode_example(cell))
    except MemoryError:
        raise
    except Exception as error:  # Pillow's readers raise errors of every kind for a damaged file
        raise InputError(f"{name}: not a readable image ({error}); replace or remove it") from None


def _greyscale_or_rgb(image: Any) -> Pixels:
    if image.mode.startswith("I;16"):
        # 65535 / 255 = 257; Pillow would clip all above 255 instead.
        return ((np.asarray(image).astype(np.uint32) + 128) // 257).astype(np.uint8)[None]
    if image.mode in ("I", "F"):
        raise ValueError(f"32-bit greyscale, mode {image.mode}, has no known scale: save it with 8 or 16 bits")
    if image.mode in ("1", "L", "LA"):
        return np.asarray(image.convert("L"))[None]
    return np.asarray(image.convert("RGB")).transpose(2, 0, 1)


def _widen(array: Pixels, channels: int) -> Pixels:
    """Greyscale repeated as red, green and blue, where so many channels are needed."""
    return array if array.shape[1] >= channels else np.repeat(array, channels, axis=1)


def _size(pixels: Pixels) -> str:
    return f"{pixels.shape[2]}x{pixels.shape[1]} pixels"
