"""From encoded image files to one array a split."""

import math
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgu.data.loading import check_inside
from mgu.data.mapped import fits, new_images
from mgu.data.places import Place
from mgu.errors import InputError

#: Formats whose files are programs, which Pillow has Ghostscript or Windows run.
PROGRAMS = ("EPS", "WMF")

Pixels = NDArray[np.uint8]


def decode_images(
    sets: Mapping[str, Any],
    column: str,
    places: Mapping[str, Place],
    rows: Mapping[str, NDArray[np.int64]],
    folders: Sequence[Path],
    size: tuple[int, int] | None = None,
    mapped: Path | None = None,
) -> dict[str, Pixels]:
    """The images in these rows of each ``datasets.Dataset``, (samples, channels, height, width) uint8.

    One channel where every image of every split is greyscale (16 bits are scaled to 8), else red, green and blue;
    transparency is dropped, and so is all but the first frame of an animation. With a ``size`` (height, width), each is
    resized to it, whatever its proportions: bilinear, over all the pixels that one pixel comes from. Where all of them
    do not fit in memory, the arrays are files ``mapped`` in that folder.

    Raises InputError, naming the file or the row, for an image that cannot be read, lies in none of the ``folders``, is
    a file that is named twice, or has more pixels than ``PIL.Image.MAX_IMAGE_PIXELS``; without a ``size``, for one that
    differs in size; and where there is no room for a mapped file.
    """
    count = sum(map(len, rows.values()))

    def new(role: str, image: tuple[int, ...]) -> Pixels:
        shape = (len(rows[role]), *image)
        return np.empty(shape, np.uint8) if fits(count * math.prod(image)) else new_images(shape, mapped)

    def widened(role: str, channels: int, filled: int) -> Pixels:
        array = arrays[role]
        if array.shape[1] >= channels:
            return array
        wide = new(role, (channels, *array.shape[2:]))
        wide[:filled] = array[:filled]
        return wide

    arrays: dict[str, Pixels] = {}
    first: tuple[str, Pixels] | None = None
    names: set[str] = set()
    for role, samples in sets.items():
        for i, (name, image) in enumerate(_images(samples, column, places[role], rows[role], folders)):
            pixels = _resized(image, size) if size else image
            first = first or (name, pixels)
            if name in names:
                raise InputError(f"{name}: the metadata names this image twice; one row an image: drop the other")
            names.add(name)
            if pixels.shape[1:] != first[1].shape[1:]:
                raise InputError(
                    f"{name} is {_size(pixels)} (width x height), but {first[0]} is {_size(first[1])}; all images must "
                    "have the same size: resize them (--image-size HEIGHT,WIDTH does)"
                )
            if i == 0:
                arrays[role] = new(role, pixels.shape)
            arrays[role] = widened(role, len(pixels), i)
            arrays[role][i] = pixels
    channels = max(array.shape[1] for array in arrays.values())
    return {role: widened(role, channels, len(array)) for role, array in arrays.items()}


def read_like(path: Path, shape: tuple[int, ...], size: tuple[int, int] | None = None) -> Pixels:
    """One image file as ``decode_images`` gives it among images of ``shape`` (channels, height, width).

    Raises InputError, naming the file, where it cannot be read, has colours where ``shape`` has one channel, or has
    another size that ``size`` does not change.
    """
    import datasets

    pixels = _read({"path": str(path), "bytes": None}, datasets.Image(), str(path))
    pixels = _widen(_resized(pixels, size) if size else pixels, shape[0])
    if len(pixels) > shape[0]:
        raise InputError(f"{path} is in colour, but the model was trained on greyscale; save it as greyscale")
    if pixels.shape != shape:
        raise InputError(
            f"{path} is {_size(pixels)} (width x height), but the model takes {shape[2]}x{shape[1]}; resize it, or "
            "train with --image-size, which resizes all"
        )
    return pixels


def _images(
    samples: Any, column: str, place: Place, rows: NDArray[np.int64], folders: Sequence[Path]
) -> Iterator[tuple[str, Pixels]]:
    import datasets

    feature = datasets.Image(mode=samples.features[column].mode)
    encoded = samples.select(rows).select_columns([column]).cast_column(column, datasets.Image(decode=False))
    cells = (cell for batch in encoded.iter(batch_size=32) for cell in batch[column])
    for i, cell in zip(rows.tolist(), cells, strict=True):
        name = _name(cell, place, i)
        if cell is None or cell["bytes"] is None is cell["path"]:
            raise InputError(f"{name}: the image is missing; drop the row")
        if cell["bytes"] is None:
            check_inside(cell["path"], folders, f"{place.text}, {place.row(i)}")
        yield name, _read(cell, feature, name)


def _name(cell: Any, place: Place, i: int) -> str:
    path = cell and cell["path"]
    if path and cell["bytes"] is None:
        return str(path)
    return f"{place.text}, {place.row(i)}" + (f", {path}" if path else "")


def _read(cell: Any, feature: Any, name: str) -> Pixels:
    """One image as (channels, height, width), upright."""
    from PIL import UnidentifiedImageError
    from PIL.Image import DecompressionBombWarning

    if cell["bytes"] is None and not os.path.exists(cell["path"]):
        raise InputError(f"{name}: there is no such image, though the metadata names it; add the file or drop its row")
    try:
        with warnings.catch_warnings(action="ignore"):
            # Pillow's own limit of pixels, at which it warns, and at twice of which it raises.
            warnings.simplefilter("error", DecompressionBombWarning)
            if cell["bytes"] is None and os.path.isfile(cell["path"]):
                # Pillow leaves a file open that it fails to decode.
                cell = {"path": cell["path"], "bytes": Path(cell["path"]).read_bytes()}
            if cell["bytes"] is not None:
                _check_format(cell["bytes"])
            return _greyscale_or_rgb(feature.decode_example(cell))
    except MemoryError:
        raise
    except UnidentifiedImageError:
        raise InputError(f"{name}: not a readable image (of no format that is known); replace or remove it") from None
    except Exception as error:  # Pillow's readers raise errors of every kind for a damaged file
        raise InputError(f"{name}: not a readable image ({error}); replace or remove it") from None


def _check_format(content: bytes) -> None:
    from PIL import Image

    with Image.open(BytesIO(content)) as image:
        if image.format in PROGRAMS:
            raise ValueError(f"{image.format} is drawn by running it: save it as PNG")


def _greyscale_or_rgb(image: Any) -> Pixels:
    if image.mode.startswith("I;16"):
        # 65535 / 255 = 257; Pillow would clip all above 255 instead.
        return ((np.asarray(image).astype(np.uint32) + 128) // 257).astype(np.uint8)[None]
    if image.mode in ("I", "F"):
        raise ValueError(f"32-bit greyscale, mode {image.mode}, has no known scale: save it with 8 or 16 bits")
    if image.mode in ("1", "L", "LA"):
        return np.asarray(image.convert("L"))[None]
    return np.asarray(image.convert("RGB")).transpose(2, 0, 1)


def _resized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    from PIL import Image

    height, width = size
    resized = [Image.fromarray(c).resize((width, height), Image.Resampling.BILINEAR) for c in pixels]
    return np.stack([np.asarray(channel) for channel in resized])


def _widen(array: Pixels, channels: int) -> Pixels:
    """(..., channels, height, width): greyscale repeated as red, green and blue, where so many channels are needed."""
    return array if array.shape[-3] >= channels else np.repeat(array, channels, axis=-3)


def _size(pixels: Pixels) -> str:
    return f"{pixels.shape[2]}x{pixels.shape[1]} pixels"
