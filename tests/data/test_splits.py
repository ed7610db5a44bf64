"""Train, validation and test: found, cut, limited."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mgu.data import DataSet, Split, load_data
from mgu.errors import InputError


def numbers(split: Split) -> list[int]:
    """What the images of ``numbered`` spell."""
    pixels = split.x.reshape(len(split.x), -1).astype(int)
    return (pixels[:, 0] * 256 + pixels[:, 1]).tolist()


def parts(data: DataSet) -> list[set[int]]:
    return [set(numbers(split)) for split in (data.train, data.validation, data.test)]


@pytest.fixture
def animals(hub_folder, numbered) -> str:
    """300 cats, 120 dogs; 420 different images, and no split but train."""
    return str(hub_folder({"train": (numbered(420), [0] * 300 + [1] * 120)}))


def test_the_three_are_disjoint_and_complete(animals: str) -> None:
    data = load_data(animals)
    train, validation, test = parts(data)
    assert len(train) + len(validation) + len(test) == 420
    assert train | validation | test == set(range(420))


def test_shares_and_stratification(animals: str) -> None:
    data = load_data(animals)
    # 1/5 of 300 and 120; then 1/6 of the 240 and 96 that are left
    assert Counter(data.test.y.tolist()) == {0: 60, 1: 24}
    assert Counter(data.validation.y.tolist()) == {0: 40, 1: 16}
    assert Counter(data.train.y.tolist()) == {0: 200, 1: 80}


def test_labels_stay_with_their_images(animals: str) -> None:
    data = load_data(animals, limit=200)
    for split in (data.train, data.validation, data.test):
        assert [number >= 300 for number in numbers(split)] == split.y.astype(bool).tolist()


def test_the_seed_moves_validation_but_never_test(animals: str) -> None:
    zero, same, one = load_data(animals), load_data(animals, seed=0), load_data(animals, seed=1)
    assert parts(zero) == parts(same)
    assert zero.checksum == same.checksum
    assert parts(zero)[1] != parts(one)[1]
    assert parts(zero)[2] == parts(one)[2]
    assert zero.checksum != one.checksum


def test_the_limit_spares_test(animals: str) -> None:
    full, limited = load_data(animals), load_data(animals, limit=100)
    assert parts(limited)[2] == parts(full)[2]
    assert len(limited.train.y) == 83
    assert len(limited.validation.y) == 17
    assert not parts(limited)[0] & parts(limited)[1]
    # 100 x 240/336, 100 x 96/336
    kept = Counter(limited.train.y.tolist()) + Counter(limited.validation.y.tolist())
    assert kept[0] in (71, 72)
    assert kept[1] == 100 - kept[0]
    assert parts(load_data(animals, limit=100, seed=1))[0] != parts(limited)[0]


@pytest.mark.parametrize("limit", [335, 336, 337, 10_000])
def test_a_limit_about_what_there_is(animals: str, limit: int) -> None:
    data = load_data(animals, limit=limit)
    assert len(data.train.y) + len(data.validation.y) == min(limit, 336)


def test_splits_that_come_with_the_data_are_kept(hub_folder, numbered) -> None:
    folder = hub_folder(
        {
            "train": (numbered(60), [0, 1, 1] * 20),
            "valid": (numbered(6, 100), [1, 0] * 3),
            "test": (numbered(4, 200), [0, 1] * 2),
        }
    )
    data = load_data(str(folder))
    assert parts(data) == [set(range(60)), set(range(100, 106)), set(range(200, 204))]
    assert data.validation.y.tolist() == [1, 0] * 3
    limited, other = load_data(str(folder), limit=30), load_data(str(folder), limit=30, seed=1)
    assert parts(limited)[1:] == parts(other)[1:] == parts(data)[1:]
    assert parts(limited)[0] != parts(other)[0]
    assert Counter(limited.train.y.tolist()) == {0: 10, 1: 20}


@pytest.mark.parametrize("name", ["validation", "valid", "val", "dev"])
def test_usual_names_of_validation(name: str, tmp_path: Path) -> None:
    write_tables(tmp_path, train=30, **{name: 8})
    data = load_data(str(tmp_path / "tables"))
    assert data.validation.x[:, 0].tolist() == list(range(8))


def test_eval_is_test_unless_there_is_a_test() -> None:
    from mgu.data.splits import find_roles

    assert find_roles(["train", "eval"], "set") == {"train": "train", "test": "eval"}
    assert find_roles(["train", "eval", "test", "dev"], "set") == {
        "train": "train",
        "validation": "dev",
        "test": "test",
    }
    assert find_roles(["everything"], "set") == {"train": "everything"}


def test_no_split_called_train() -> None:
    from mgu.data.splits import find_roles

    with pytest.raises(InputError, match=r"set: none of the splits \(first, second\) is called train"):
        find_roles(["first", "second"], "set")


def test_an_unlabelled_test_split_is_absent(hub_folder, numbered) -> None:
    data = load_data(str(hub_folder({"train": (numbered(60), [0, 1] * 30), "test": (numbered(10, 100), [-1] * 10)})))
    assert len(data.test.y) == 12
    assert max(max(part) for part in parts(data)) < 100


def test_minus_one_may_be_a_class(hub_folder, numbered) -> None:
    splits = {"train": (numbered(60), [-1, 1] * 30), "test": (numbered(10, 100), [-1] * 10)}
    data = load_data(str(hub_folder(splits, names=None)))
    assert data.classes == ("-1", "1")
    assert parts(data)[2] == set(range(100, 110))


def test_some_labels_withheld(hub_folder, numbered) -> None:
    folder = hub_folder({"train": (numbered(60), [0, 1] * 30), "test": (numbered(4, 100), [0, 1, -1, -1])})
    with pytest.raises(InputError, match=r"split test: the target 'label' is missing in row 2 .* 2 of 4 rows"):
        load_data(str(folder))


def test_a_class_unseen_in_training(hub_folder, numbered) -> None:
    folder = hub_folder(
        {"train": (numbered(30), [0, 1] * 15), "test": (numbered(4, 100), [0, 1, 2, 0])}, names=("cat", "dog", "emu")
    )
    with pytest.raises(InputError, match="split test: class 'emu' does not occur in the training split"):
        load_data(str(folder))


def test_a_class_with_too_few_samples(csv) -> None:
    rows = "".join(f"{i},{'ab'[i % 2]}\n" for i in range(40))
    with pytest.raises(InputError, match=r"people\.csv: class 'rare' has 2 training samples, but 3 are needed"):
        load_data(csv(f"x,label\n{rows}50,rare\n51,rare\n"))
    assert len(load_data(csv(f"x,label\n{rows}50,rare\n51,rare\n52,rare\n")).train.y) == 28


def test_too_few_samples_for_the_classes(csv) -> None:
    rows = "".join(f"{i},{i % 10}\n" for i in range(30))
    with pytest.raises(InputError, match="30 samples of 10 classes are too few to cut a stratified 1/5 off; 46"):
        load_data(csv(f"x,label\n{rows}"))


def test_a_limit_below_what_stratification_needs(hub_folder, numbered) -> None:
    folder = str(hub_folder({"train": (numbered(420), [0] * 400 + [1] * 20)}))
    with pytest.raises(InputError, match=r"with limit=20: class 'dog' has 1 training sample, but 2 .*raise the limit"):
        load_data(folder, limit=20)
    with pytest.raises(InputError, match="with limit=20: 20 samples of 10 classes are too few"):
        load_data("digits", limit=20)


def test_moments_are_those_of_the_training_split(animals: str, csv) -> None:
    images = load_data(animals)
    x = images.train.x.astype(np.float64)
    assert images.mean.shape == images.std.shape == (1,)
    assert images.mean.dtype == images.std.dtype == np.float32
    np.testing.assert_allclose(images.mean, x.mean(axis=(0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(images.std, x.std(axis=(0, 2, 3)), rtol=1e-6)
    table = load_data(csv("x,same,label\n" + "".join(f"{i * i},0.1,{i % 2}\n" for i in range(40))))
    np.testing.assert_allclose(table.mean, table.train.x.astype(np.float64).mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(table.std[0], table.train.x[:, 0].astype(np.float64).std(), rtol=1e-6)
    assert table.std[1] == 1


def test_a_constant_channel_has_deviation_1(hub_folder) -> None:
    images = [np.full((3, 3, 3), (i, 9, 255), dtype=np.uint8) for i in range(30)]
    data = load_data(str(hub_folder({"train": (images, [0, 1] * 15)})))
    assert data.std[1:].tolist() == [1, 1]
    assert data.mean[1:].tolist() == [9, 255]
    assert data.std[0] > 1


def test_the_checksum_tells_data_apart_but_not_paths(csv) -> None:
    rows = "".join(f"{i},{i % 2}\n" for i in range(40))
    first = load_data(csv(f"x,label\n{rows}"))
    assert load_data(csv(f"x,label\n{rows}", "elsewhere.csv")).checksum == first.checksum
    assert load_data(csv(f"x,label\n{rows.replace('39,', '40,')}", "value.csv")).checksum != first.checksum
    named = f"x,label\n{rows.replace(',1', ',2')}"
    assert load_data(csv(named, "classes.csv")).checksum != first.checksum


def write_tables(folder: Path, **rows: int) -> None:
    import pandas as pd

    (folder / "tables").mkdir()
    for split, n in rows.items():
        frame = pd.DataFrame({"x": range(n), "label": [i % 2 for i in range(n)]})
        frame.to_parquet(folder / "tables" / f"{split}-00000-of-00001.parquet")
