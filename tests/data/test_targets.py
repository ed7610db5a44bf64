"""Classes or quantities: which task a target is for, and what regression does with it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgu.data import DataSet, load_data
from mgu.errors import InputError


def table(targets: list[object]) -> str:
    return "x,label\n" + "".join(f"{i},{target}\n" for i, target in enumerate(targets))


def rows(data: DataSet) -> list[list[int]]:
    """The rows of ``table`` in each split."""
    return [split.x[:, 0].astype(int).tolist() for split in data.splits]


def test_diabetes_is_scikit_learns() -> None:
    from sklearn.datasets import load_diabetes

    data, theirs = load_data("diabetes"), load_diabetes(scaled=False)
    assert (data.task, data.classes, data.input_shape) == ("regression", (), (10,))
    assert data.features is not None
    assert data.features.names == tuple(theirs.feature_names)
    # 1/5 of 442 for the test, then 1/6 of the 353 that are left, both rounded up
    assert [len(split.y) for split in data.splits] == [294, 59, 89]
    ours = np.concatenate([np.column_stack([split.x, split.y]) for split in data.splits])
    both = np.column_stack([theirs.data, theirs.target]).astype(np.float32)
    np.testing.assert_array_equal(ours[np.lexsort(ours.T)], both[np.lexsort(both.T)])


def test_moments_are_those_of_the_training_targets() -> None:
    data = load_data("diabetes")
    assert data.train.y.dtype == np.float32
    y = data.train.y.astype(np.float64)
    assert data.target_mean == pytest.approx(y.sum() / len(y), rel=1e-12)
    assert data.target_std == pytest.approx(np.sqrt(((y - y.mean()) ** 2).mean()), rel=1e-12)
    iris = load_data("iris")
    assert (iris.task, iris.target_mean, iris.target_std) == ("classification", 0, 1)


def test_a_quantity_is_found_by_its_fractions(csv) -> None:
    data = load_data(csv(table([i / 4 for i in range(100)])))
    assert (data.task, data.classes) == ("regression", ())
    for split in data.splits:
        np.testing.assert_array_equal(split.y, split.x[:, 0] / 4)
    assert data.checksum == load_data(csv(table([i / 4 for i in range(100)])), task="regression").checksum


def test_the_cuts_of_a_regression_are_disjoint_and_complete(csv) -> None:
    path = csv(table([i / 4 for i in range(100)]))
    train, validation, test = rows(load_data(path))
    assert sorted(train + validation + test) == list(range(100))
    assert [len(train), len(validation), len(test)] == [66, 14, 20]
    assert train == sorted(train)
    other = rows(load_data(path, seed=1))
    assert other[2] == test
    assert other[1] != validation
    limited = rows(load_data(path, limit=30))
    assert limited[2] == test
    assert len(limited[0]) + len(limited[1]) == 30
    assert set(limited[0] + limited[1]) < set(train + validation)


@pytest.mark.parametrize(
    ("targets", "task"),
    [
        ([i % 20 + 0.5 for i in range(200)], "classification"),  # 20 values: half marks
        ([i % 21 + 0.5 for i in range(200)], "regression"),
        ([i % 20 for i in range(200)], "classification"),
        ([i % 25 for i in range(500)], "classification"),  # 25 of 500 are 5 %
        (["1e3", "2e3"] * 50, "classification"),
        ([f"c{i % 30}" for i in range(300)], "classification"),
    ],
)
def test_which_task_a_target_is_for(csv, targets: list[object], task: str) -> None:
    assert load_data(csv(table(targets))).task == task


def test_whole_numbers_that_may_be_either_are_refused_until_the_task_is_named(csv) -> None:
    path = csv(table([i % 25 for i in range(499)]))
    message = "'label' holds 25 different whole numbers in 499 rows.*name the task: 'classification' or 'regression'"
    with pytest.raises(InputError, match=message):
        load_data(path)
    assert load_data(path, task="classification").classes == tuple(str(i) for i in range(25))
    data = load_data(path, task="regression")
    assert (data.task, data.classes) == ("regression", ())
    np.testing.assert_array_equal(data.test.y, data.test.x[:, 0] % 25)


@pytest.mark.parametrize(
    ("targets", "task", "message"),
    [
        (["a", "b"] * 20, "regression", r"'label' is not numeric \('a' in row 2 "),
        ([0.5, "inf"] * 20, "regression", "'label': the value is infinite.* in row 3 .* 20 of 40"),
        ([*range(30), "inf"], "regression", "'label': the value is infinite.* in row 32 "),
        ([*[i / 4 for i in range(30)], "1e39"], None, "'label': the value is infinite, or too large.* in row 32 "),
        ([i / 4 for i in range(30)] + [""], None, "the target 'label' is missing in row 32 .* 1 of 31"),
        ([7] * 20, "regression", "'label' is 7 in all rows; two different values are needed"),
        ([0.5, 1.5], "regression", "2 training samples are too few; 10 are needed"),
        ([i / 4 for i in range(30)], "classification", "class '0' has 1 training sample.*name the task 'regression'"),
        ([1, 2] * 20, "ranking", "task must be classification or regression, or left out; 'ranking' was given"),
    ],
)
def test_bad_targets_are_refused(csv, targets: list[object], task: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_data(csv(table(targets)), task=task)


@pytest.mark.parametrize("role", ["validation", "test"])
def test_a_split_whose_quantities_are_all_equal_is_refused(tmp_path: Path, role: str) -> None:
    (tmp_path / "tables").mkdir()
    frame = pd.DataFrame({"x": range(60), "label": [i / 4 for i in range(60)]})
    frames = {"train": frame, "validation": frame[:9], "test": frame[:9]}
    frames[role] = frames[role].assign(label=2.5)
    for name, rows_of in frames.items():
        rows_of.to_parquet(tmp_path / "tables" / f"{name}-00000-of-00001.parquet")
    message = f"tables: the target is 2.5 in all 9 samples of the {role} split, which has no R².*two different values"
    with pytest.raises(InputError, match=message):
        load_data(str(tmp_path / "tables"))


def test_quantities_that_only_the_cut_made_equal_are_refused(csv) -> None:
    """One of 40 rows differs, and it can be in one split alone."""
    with pytest.raises(InputError, match=r"the target is 7 in all \d+ samples of the \w+ split"):
        load_data(csv(table([7] * 39 + [8])), task="regression")


@pytest.mark.parametrize(("name", "task"), [("diabetes", "classification"), ("iris", "regression")])
def test_a_bundled_set_has_its_own_task(name: str, task: str) -> None:
    with pytest.raises(InputError, match=f"{name}: it is a set for .*; task='{task}' cannot be chosen"):
        load_data(name, task=task)


def test_targets_that_are_withheld(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    train = pd.DataFrame({"x": range(50), "label": [i / 4 for i in range(50)]})
    for name, frame in {"train": train, "test": train.iloc[:5].assign(label=-1.0)}.items():
        frame.to_parquet(tmp_path / "tables" / f"{name}-00000-of-00001.parquet")
    data = load_data(str(tmp_path / "tables"))
    assert len(data.test.y) == 10
    assert (data.test.y >= 0).all()


def test_images_of_quantities(hub_folder, numbered, cache: Path) -> None:
    folder = str(hub_folder({"train": (numbered(60), [i / 4 for i in range(60)])}, names=None))
    first, second = load_data(folder), load_data(folder)
    assert (first.task, first.features, first.train.y.dtype) == ("regression", None, np.float32)
    assert second.checksum == first.checksum
    assert (second.task, second.target_mean) == ("regression", first.target_mean)
    for split in second.splits:
        np.testing.assert_array_equal(split.y, split.x[:, 0, 0, 1] / 4)


def test_the_task_is_part_of_a_cached_entry(hub_folder, numbered) -> None:
    folder = str(hub_folder({"train": (numbered(60), [1, 2] * 30)}, names=None))
    assert load_data(folder).classes == ("1", "2")
    assert load_data(folder, task="regression").classes == ()


def test_named_classes_are_no_quantity(hub_folder, numbered) -> None:
    folder = str(hub_folder({"train": (numbered(20), [0, 1] * 10)}))
    with pytest.raises(InputError, match=r"'label' holds classes \(cat, ...\); regression needs a quantity"):
        load_data(folder, task="regression")
