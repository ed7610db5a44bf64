"""Names, and where they lead."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mgu.data import hub, load_data
from mgu.errors import InputError

SHARED = Path(__file__).parents[3] / "shared" / "data"


def test_importing_is_light() -> None:
    heavy = ["datasets", "sklearn", "pandas", "torch", "PIL"]
    code = f"import sys, mgu.data; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_digits_are_images_on_the_scale_to_255() -> None:
    data = load_data("digits")
    assert data.input_shape == (1, 8, 8)
    assert data.train.x.dtype == np.uint8
    assert data.train.y.dtype == np.int64
    assert data.train.x.min() == 0
    assert data.train.x.max() == 255
    # 16 grey levels and white, evenly spread
    assert set(np.unique(data.train.x)) == {round(level * 255 / 16) for level in range(17)}
    assert data.classes == tuple("0123456789")


@pytest.mark.parametrize(
    ("name", "samples", "features", "classes"),
    [("iris", 150, 4, 3), ("wine", 178, 13, 3), ("breast_cancer", 569, 30, 2)],
)
def test_bundled_tables(name: str, samples: int, features: int, classes: int) -> None:
    data = load_data(name)
    assert data.name == name
    assert data.input_shape == (features,)
    assert data.train.x.dtype == np.float32
    assert sum(len(split.y) for split in (data.train, data.validation, data.test)) == samples
    assert len(data.classes) == classes


def test_bundled_values_are_scikit_learns() -> None:
    from sklearn.datasets import load_iris

    data, iris = load_data("iris"), load_iris()
    rows = {tuple(x) for x in iris.data.astype(np.float32)}
    assert data.classes == ("setosa", "versicolor", "virginica")
    for split in (data.train, data.validation, data.test):
        for x, y in zip(split.x, split.y, strict=True):
            assert tuple(x) in rows
            assert y in iris.target[(iris.data.astype(np.float32) == x).all(axis=1)]


def test_no_target_can_be_chosen_in_a_bundled_set() -> None:
    with pytest.raises(InputError, match="iris: its target is given; target='species'"):
        load_data("iris", target="species")


@pytest.mark.parametrize(("name", "closest"), [("minst", "mnist"), ("Digits", "digits"), ("cifar", "cifar10")])
def test_an_unknown_name_gets_the_closest(name: str, closest: str) -> None:
    with pytest.raises(InputError, match=f"unknown data set '{name}'.*owner/name.*did you mean '{closest}'"):
        load_data(name)


@pytest.mark.parametrize("name", ["absent.csv", "some/absent.parquet", "./absent", "a/b/c", "/absent", ""])
def test_what_is_missing_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=f"'{name}'.*allowed are digits"):
        load_data(name)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data.xlsx").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"data\.xlsx: a file of kind \.xlsx is no data set; allowed are"):
        load_data(str(tmp_path / "data.xlsx"))


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match="nothing: cannot be read as a data set"):
        load_data(str(tmp_path / "nothing"))


def test_damaged_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "train-00000-of-00001.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(InputError, match=r"hub/train.*parquet: cannot be read as Parquet: "):
        load_data(str(tmp_path / "hub"))


@pytest.mark.parametrize("limit", [9, 0, -1, 10.5, True])
def test_a_bad_limit_is_refused(limit: float) -> None:
    with pytest.raises(InputError, match=f"limit must be a whole number of at least 10, or left out; {limit}"):
        load_data("iris", limit=limit)


@pytest.mark.parametrize("seed", [-1, 2**32, 0.5])
def test_a_bad_seed_is_refused(seed: float) -> None:
    with pytest.raises(InputError, match=r"seed must be a whole number from 0 .*was given"):
        load_data("iris", seed=seed)


def test_an_unreachable_hub_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", "http://127.0.0.1:9")
    start = time.perf_counter()
    with pytest.raises(InputError, match=r"mgu-tests/absent: .*Hub cannot be reached.*give the path of a local copy"):
        load_data("mgu-tests/absent")
    assert time.perf_counter() - start < 10
    assert not datasets.config.HF_HUB_OFFLINE


@pytest.mark.parametrize(("name", "hub_id"), [("mnist", "ylecun/mnist"), ("cifar10", "uoft-cs/cifar10")])
def test_short_names_of_the_hub(name: str, hub_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(hub, "_answers", lambda: True)

    def load_dataset(path: str, **options: object) -> None:
        raise datasets.exceptions.DatasetNotFoundError(path)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(InputError, match=f"{hub_id}: .*no such data set that is open to you"):
        load_data(name)


def test_the_copy_of_an_earlier_load_does_without_the_hub(
    hub_folder, numbered, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    folder = hub_folder({"train": (numbered(20), [0, 1] * 10)}).rename(tmp_path / "animals")
    copies = tmp_path / "copies"
    datasets.load_dataset(str(folder), cache_dir=str(copies))
    shutil.move(copies / "animals", copies / "owner___animals")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(copies))
    monkeypatch.setattr(hub, "_answers", lambda: False)
    data = load_data("owner/animals")
    assert data.classes == ("cat", "dog")
    assert data.checksum == load_data(str(folder)).checksum

    def decode(*_: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr("mgu.data.sources.decode", decode)
    assert load_data("owner/animals").checksum == data.checksum


def test_a_folder_goes_before_the_hub(hub_folder, numbered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "owner").mkdir()
    hub_folder({"train": (numbered(20), [0, 1] * 10)}).rename(tmp_path / "owner" / "animals")
    monkeypatch.chdir(tmp_path)
    assert load_data("owner/animals").classes == ("cat", "dog")


def test_wildcards_in_a_path_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a[1]").mkdir()
    with pytest.raises(InputError, match=r"a\[1\]: .*wildcards; rename"):
        load_data(str(tmp_path / "a[1]"))


def test_nothing_is_printed_and_the_users_progress_bars_come_back(hub_folder, numbered, capfd, caplog) -> None:
    from datasets.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    folder = hub_folder({"train": (numbered(20), [0, 1] * 10)})
    damaged = folder.parent / "damaged.parquet"
    damaged.write_bytes(b"PAR1 and then nothing")
    capfd.readouterr()
    caplog.clear()
    load_data(str(folder))
    with pytest.raises(InputError):
        load_data(str(damaged))
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
    assert not are_progress_bars_disabled()
    disable_progress_bars()
    try:
        load_data(str(folder), target="label")
        assert are_progress_bars_disabled()
    finally:
        enable_progress_bars()


@pytest.mark.skipif(not (SHARED / "mnist").is_dir(), reason="needs the copy of MNIST in ../shared/data/mnist")
def test_mnist(cache: Path) -> None:
    data = load_data(str(SHARED / "mnist"))
    assert data.train.x.shape == (50_000, 1, 28, 28)
    assert data.validation.x.shape == (10_000, 1, 28, 28)
    assert data.test.x.shape == (10_000, 1, 28, 28)
    assert data.classes == tuple("0123456789")
    # The first test image of MNIST is the well-known seven.
    assert data.test.y[0] == 7
    # Known for all 60,000 training images: 0.1307 and 0.3081 on the scale 0 to 1.
    np.testing.assert_allclose(data.mean / 255, 0.1307, atol=1e-3)
    np.testing.assert_allclose(data.std / 255, 0.3081, atol=1e-3)
    start = time.perf_counter()
    assert load_data(str(SHARED / "mnist")).checksum == data.checksum
    assert time.perf_counter() - start < 5
