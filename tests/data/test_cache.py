"""Decoded once, cached, checksummed."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from mgu.data import load_data
from mgu.data.cache import cache_folder


@pytest.fixture
def photos(image_folder, numbered) -> Path:
    return image_folder({"cat": numbered(20), "dog": numbered(20, 100)})


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sources that were decoded, in order."""
    from mgu.data import sources

    log: list[str] = []
    original = sources.decode

    def decode(sets: object, source: str, *rest: object) -> object:
        log.append(source)
        return original(sets, source, *rest)

    monkeypatch.setattr(sources, "decode", decode)
    return log


def test_a_second_load_decodes_nothing(photos: Path, cache: Path, decoded: list[str]) -> None:
    first = load_data(str(photos), seed=3)
    second = load_data(str(photos), seed=3)
    assert decoded == [str(photos)]
    assert second.checksum == first.checksum
    assert second.classes == first.classes == ("cat", "dog")
    np.testing.assert_array_equal(second.test.x, first.test.x)
    assert [entry.name for entry in cache.iterdir()] == [
        entry.name for entry in cache.iterdir() if len(entry.name) == 64
    ]


def test_a_second_load_does_not_import_datasets(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    first = load_data(str(photos))
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert load_data(str(photos)).checksum == first.checksum


def test_limit_and_seed_share_an_entry(photos: Path, cache: Path, decoded: list[str]) -> None:
    load_data(str(photos), limit=20)
    load_data(str(photos), seed=1)
    assert len(decoded) == len(list(cache.iterdir())) == 1


def test_a_changed_file_is_decoded_again(photos: Path, decoded: list[str]) -> None:
    first = load_data(str(photos))
    shutil.copy(photos / "cat" / "001.png", photos / "cat" / "new.png")
    second = load_data(str(photos))
    assert len(second.train.y) + len(second.validation.y) + len(second.test.y) == 41
    os.utime(photos / "cat" / "new.png", ns=(0, 0))
    assert load_data(str(photos)).checksum == second.checksum != first.checksum
    assert len(decoded) == 3


def test_another_target_is_decoded_again(hub_folder, numbered, decoded: list[str]) -> None:
    folder = str(hub_folder({"train": (numbered(20), [0, 1] * 10)}))
    load_data(folder)
    load_data(folder, target="label")
    assert len(decoded) == 2


@pytest.mark.parametrize("harm", ["flip", "truncate", "remove", "names", "index", "empty index", "nothing left"])
def test_a_damaged_entry_is_decoded_again(photos: Path, cache: Path, decoded: list[str], harm: str) -> None:
    first = load_data(str(photos))
    (entry,) = cache.iterdir()
    pixels = entry / "train_x.npy"
    if harm == "flip":
        damaged = bytearray(pixels.read_bytes())
        damaged[-1] ^= 1
        pixels.write_bytes(damaged)
    elif harm == "truncate":
        os.truncate(pixels, 200)
    elif harm == "remove":
        (entry / "train_y.npy").unlink()
    elif harm == "names":
        (entry / "classes.json").write_text('["cot", "dog"]')
    elif harm == "index":
        (entry / "index.json").write_text('{"train_x.npy"')
    elif harm == "empty index":
        (entry / "index.json").write_text("{}")
    else:
        shutil.rmtree(entry)
        entry.mkdir()
    assert load_data(str(photos)).checksum == first.checksum
    assert len(decoded) == 2
    # and the entry is whole again
    assert load_data(str(photos)).checksum == first.checksum
    assert len(decoded) == 2
    assert list(cache.iterdir()) == [entry]


def test_a_write_that_fails_leaves_nothing(
    photos: Path, cache: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("numpy.save", full_disk)
        first = load_data(str(photos))
    assert list(cache.iterdir()) == []
    assert load_data(str(photos)).checksum == first.checksum
    assert len(decoded) == 2


def test_a_cache_that_cannot_be_written_is_done_without(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoded: list[str]
) -> None:
    expected = load_data(str(photos)).checksum
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MGU_CACHE", str(tmp_path / "file" / "cache"))
    assert load_data(str(photos)).checksum == expected
    assert len(decoded) == 2


def test_a_user_without_a_home_has_no_cache(photos: Path, monkeypatch: pytest.MonkeyPatch, decoded: list[str]) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("MGU_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert load_data(str(photos)).classes == ("cat", "dog")


def test_where_the_cache_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_folder() == tmp_path / "cache" / "data"
    monkeypatch.delenv("MGU_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "mgu" / "data"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert cache_folder() == tmp_path / ".cache" / "mgu" / "data"


def test_tables_need_no_cache(csv, cache: Path, tmp_path: Path) -> None:
    import pandas as pd

    load_data(csv("x,label\n" + "1,a\n2,b\n" * 20))
    load_data("digits")
    pd.DataFrame({"x": range(40), "label": [1, 2] * 20}).to_parquet(tmp_path / "t.parquet")
    load_data(str(tmp_path / "t.parquet"))
    assert not cache.exists() or not list(cache.iterdir())


def test_the_copy_of_datasets_is_not_kept(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "theirs")
    load_data(str(photos))
    assert not (tmp_path / "theirs").exists()
