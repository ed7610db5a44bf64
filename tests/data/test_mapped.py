"""Images that do not fit in memory stay in a file: the same numbers, and no more of them in memory than asked for."""

import os
import pickle
import resource
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mgu.data import DataSet, Split, load_data, mapped
from mgu.data.fresh import read_fresh
from mgu.data.mapped import Mapped, new_images, pieces
from mgu.data.preprocessing import Preprocessing
from mgu.errors import InputError


@pytest.fixture
def no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """No image fits in memory."""
    monkeypatch.setattr(mapped, "SHARE", 0)


@pytest.fixture
def photos(image_folder, numbered) -> Path:
    """The first are greyscale, one of the others is not."""
    colours = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return image_folder({"cat": numbered(20), "dog": [*numbered(20, 100), colours]})


def assert_same(found: DataSet, expected: DataSet) -> None:
    assert found.checksum == expected.checksum
    assert found.classes == expected.classes
    for split, same in zip(found.splits, expected.splits, strict=True):
        assert split.x.shape == same.x.shape
        assert split.x.dtype == same.x.dtype
        np.testing.assert_array_equal(split.x, same.x)
        np.testing.assert_array_equal(split.y, same.y)
    np.testing.assert_array_equal(found.mean, expected.mean)
    np.testing.assert_array_equal(found.std, expected.std)


def are_mapped(data: DataSet) -> set[bool]:
    return {isinstance(split.x, Mapped) for split in data.splits}


@pytest.mark.parametrize("kept", [False, True], ids=["decoded anew", "cached"])
@pytest.mark.parametrize("options", [{}, {"limit": 20, "seed": 3}, {"image_size": (3, 7)}])
def test_mapped_images_are_those_in_memory(photos, monkeypatch, cache, tmp_path, kept, options) -> None:
    expected = load_data(str(photos), **options)
    if not kept:
        monkeypatch.setenv("MGU_CACHE", str(tmp_path / "another"))
    monkeypatch.setattr(mapped, "SHARE", 0)
    found = load_data(str(photos), **options)
    assert (are_mapped(expected), are_mapped(found)) == ({False}, {True})
    assert_same(found, expected)
    # and what was mapped is an entry like any other
    monkeypatch.setattr(mapped, "SHARE", 1)
    again = load_data(str(photos), **options)
    assert are_mapped(again) == {False}
    assert_same(again, expected)
    entries = list((tmp_path / ("cache" if kept else "another") / "data").iterdir())
    assert [len(entry.name) for entry in entries] == [64]


def test_splits_of_their_own_are_mapped_whole(hub_folder, numbered, monkeypatch) -> None:
    images = {"train": (numbered(30), [0, 1] * 15), "test": (numbered(10, 50), [0, 1] * 5)}
    folder = str(hub_folder(images))
    expected = load_data(folder)
    monkeypatch.setattr(mapped, "SHARE", 0)
    found = load_data(folder)
    assert found.test.x.rows is None
    assert_same(found, expected)


def test_the_test_split_of_a_source_is_read_from_the_file(hub_folder, numbered, no_memory) -> None:
    folder = str(hub_folder({"train": (numbered(30), [0, 1] * 15), "test": (numbered(10, 50), [0, 1] * 5)}))
    fresh = read_fresh(folder, Preprocessing.of(load_data(folder)))
    assert isinstance(fresh.x, Mapped)
    np.testing.assert_array_equal(fresh.x, np.stack(numbered(10, 50))[:, None])


def test_mean_and_deviation_are_those_of_all_pixels(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(mapped, "PIECE_BYTES", 100)
    pixels = np.random.default_rng(1).integers(0, 256, (57, 3, 4, 5), dtype=np.uint8)
    rows = np.random.default_rng(2).permutation(57)[:40]
    np.save(tmp_path / "x.npy", pixels)
    split = Split(Mapped(tmp_path / "x.npy", rows), np.arange(40) % 2)
    data = DataSet("made", split, split, split, ("a", "b"), "")
    wide = pixels[rows].astype(np.float64)
    np.testing.assert_allclose(data.mean, wide.mean(axis=(0, 2, 3)), rtol=1e-7)
    np.testing.assert_allclose(data.std, wide.std(axis=(0, 2, 3)), rtol=1e-7)


SHAPES = arrays.array_shapes(min_dims=2, max_dims=4, min_side=1, max_side=6)


@given(x=arrays.arrays(np.uint8, SHAPES), data=st.data())
def test_a_mapped_array_is_indexed_as_one_in_memory(tmp_path_factory, x, data) -> None:
    path = tmp_path_factory.mktemp("mapped") / "x.npy"
    np.save(path, x)
    positions = st.lists(st.integers(0, len(x) - 1), min_size=1).map(np.array)
    rows, part = data.draw(positions), data.draw(st.slices(len(x)))
    whole, taken = Mapped(path), Mapped(path).take(rows)
    then = data.draw(st.lists(st.integers(0, len(rows) - 1)).map(lambda found: np.array(found, dtype=np.int64)))
    for found, expected in [
        (whole[part], x[part]),
        (whole[rows], x[rows]),
        (taken[then], x[rows][then]),
        (np.asarray(taken.take(then)), x[rows][then]),
        (pickle.loads(pickle.dumps(taken))[:], x[rows]),
        (np.concatenate(list(pieces(taken))), x[rows]),
    ]:
        np.testing.assert_array_equal(found, expected)
    assert (len(whole), whole.shape, whole.dtype) == (len(x), x.shape, x.dtype)
    assert (len(taken), taken.shape) == (len(rows), (len(rows), *x.shape[1:]))


def test_it_is_sent_to_a_trial_as_a_path_with_its_moments(image_folder, no_memory) -> None:
    images = list(np.random.default_rng(0).integers(0, 256, (20, 64, 64), dtype=np.uint8))
    data = load_data(str(image_folder({"cat": images[:10], "dog": images[10:]})))
    sent = pickle.dumps(data)
    assert len(sent) < 4096  # one image
    arrived = pickle.loads(sent)
    assert "_moments" in vars(arrived)  # no trial goes through the images for them
    assert_same(arrived, data)


def test_decoding_holds_some_of_the_images_at_a_time(image_folder, monkeypatch, tmp_path) -> None:
    image = np.arange(3 * 256 * 256, dtype=np.uint8).reshape(256, 256, 3)
    photos = str(image_folder({name: [image] * 64 for name in "ab"}))
    monkeypatch.setattr(mapped, "PIECE_BYTES", 2**18)
    peaks = []
    for share in (1, 0):
        monkeypatch.setattr(mapped, "SHARE", share)
        monkeypatch.setenv("MGU_CACHE", str(tmp_path / f"of {share}"))
        tracemalloc.start()
        load_data(photos)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    size = 128 * image.size
    assert peaks[0] > size  # numpy tells tracemalloc
    assert peaks[1] < size / 2


@pytest.mark.parametrize("harm", ["truncate", "flip", "foreign"])
def test_a_damaged_file_is_made_again(photos, cache, no_memory, harm) -> None:
    first = load_data(str(photos))
    expected = np.array(first.test.x)
    (entry,) = cache.iterdir()
    pixels = entry / "train_x.npy"
    if harm == "truncate":
        os.truncate(pixels, 200)
    elif harm == "flip":
        pixels.write_bytes(pixels.read_bytes()[:-1] + b"\x01")
    else:
        np.save(pixels, np.zeros((41, 3, 4, 5)))
    again = load_data(str(photos))
    assert again.checksum == first.checksum
    np.testing.assert_array_equal(again.test.x, expected)


def test_a_file_that_is_gone_is_told(tmp_path) -> None:
    with pytest.raises(InputError, match=r"x.npy: the decoded images cannot be read .*decodes them again"):
        Mapped(tmp_path / "x.npy")[:1]
    np.save(tmp_path / "x.npy", np.zeros((100, 100)))
    os.truncate(tmp_path / "x.npy", 500)
    with pytest.raises(InputError, match="cannot be read"):
        Mapped(tmp_path / "x.npy")[:1]


def test_the_disk_sets_the_room_aside(tmp_path) -> None:
    images = new_images((100, 3, 64, 64), tmp_path)
    held = os.stat(images.filename).st_blocks * 512
    assert held >= images.nbytes  # a sparse file would hold next to nothing


def test_a_disk_without_room_is_told_before_anything_is_decoded(tmp_path, cache) -> None:
    with pytest.raises(InputError, match=r"take 1e\+06 GB decoded, too much for memory, and .* has room for .* GB"):
        new_images((10**9, 1, 1000, 1000), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_limit_of_file_sizes_is_told(tmp_path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(InputError, match=r"cannot be written to .* \(File too large\); set MGU_CACHE"):
            new_images((100, 1, 4, 5), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_that_fails_is_told_and_leaves_nothing(photos, no_memory, cache, monkeypatch) -> None:
    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("numpy.save", full_disk)  # of the labels
        with pytest.raises(InputError, match="cannot be kept there"):
            load_data(str(photos))
    assert list(cache.iterdir()) == []
    assert load_data(str(photos)).classes == ("cat", "dog")


def test_without_a_cache_there_is_nowhere_to_map(photos, no_memory, tmp_path, monkeypatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MGU_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(InputError, match="too much for memory, and the cache cannot be written; set MGU_CACHE"):
        load_data(str(photos))
