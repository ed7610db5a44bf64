"""Small data sets on disk, and a cache of its own for each test."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of cached entries; none is there yet."""
    monkeypatch.setenv("MGU_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "data"


@pytest.fixture
def numbered() -> Callable[..., list[np.ndarray]]:
    """Make images that are all different: their first two pixels spell a number, from ``start`` on."""

    def make(n: int, start: int = 0, shape: tuple[int, ...] = (4, 5)) -> list[np.ndarray]:
        images = np.full((n, *shape), 7, dtype=np.uint8)
        for i, image in enumerate(images, start):
            image.reshape(-1)[:2] = divmod(i, 256)
        return list(images)

    return make


@pytest.fixture
def hub_folder(tmp_path: Path) -> Callable[..., Path]:
    """Write splits of (images, labels) as Parquet in the Hub's layout; ``names=None`` leaves labels without names."""

    def write(
        splits: Mapping[str, tuple[Sequence[np.ndarray], Sequence[object]]],
        names: Sequence[str] | None = ("cat", "dog"),
        label: str = "label",
    ) -> Path:
        import datasets

        folder = tmp_path / "hub"
        folder.mkdir()
        for split, (images, labels) in splits.items():
            columns = {"image": [Image.fromarray(image) for image in images], label: list(labels)}
            rows = datasets.Dataset.from_dict(columns)
            if names is not None:
                rows = rows.cast_column(label, datasets.ClassLabel(names=list(names)))
            rows.to_parquet(folder / f"{split}-00000-of-00001.parquet")
        return folder

    return write


@pytest.fixture
def image_folder(tmp_path: Path) -> Callable[..., Path]:
    """Write one folder a class, of PIL images or arrays."""

    def write(classes: Mapping[str, Sequence[Image.Image | np.ndarray]], suffix: str = "png") -> Path:
        folder = tmp_path / "photos"
        for name, images in classes.items():
            (folder / name).mkdir(parents=True)
            for i, image in enumerate(images):
                image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
                image.save(folder / name / f"{i:03d}.{suffix}")
        return folder

    return write


@pytest.fixture
def csv(tmp_path: Path) -> Callable[..., str]:
    """Write a text as a CSV file and return its path."""

    def write(text: str | bytes, name: str = "people.csv") -> str:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write
