"""Groups of samples, such as a case's images: read, kept together, and refused where they are not whole."""

import csv
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from cervigrams import LABELS, write_cases
from mgu.data import DataSet, Split, load_data
from mgu.data.arrays import checksum
from mgu.data.splits import cut
from mgu.errors import InputError

ACETIC = {"stage": "acetic_acid"}


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    """24 cases of 7 images, 6 of each label, one size for all."""
    return write_cases(tmp_path / "cases", 24, 16)


@pytest.fixture
def rewritten(cases: Path) -> Callable[..., str]:
    """Change the rows of the metadata, each a mapping, and return the folder."""

    def rewrite(change: Callable[[int, dict[str, str]], None], folder: Path = cases) -> str:
        with (folder / "metadata.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        for i, row in enumerate(rows):
            change(i, row)
        with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(rows)
        return str(folder)

    return rewrite


def load(folder: object, **options: object) -> DataSet:
    return load_data(str(folder), **{"image_size": (16, 16), **options})


def names(data: DataSet) -> list[list[str]]:
    return [split.groups.tolist() for split in data.splits]


@st.composite
def grouped(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Labels and groups in any order, 2 or 3 classes of 12 to 20 groups of 1 to 4 samples; a seed and a limit."""
    sizes = draw(st.lists(st.lists(st.integers(1, 4), min_size=12, max_size=20), min_size=2, max_size=3))
    y = np.concatenate([np.repeat(label, sum(several)) for label, several in enumerate(sizes)])
    flat = [size for several in sizes for size in several]
    groups = np.repeat([f"{i * 7919 % 1000:03d}" for i in range(len(flat))], flat)
    order = np.random.default_rng(draw(st.integers(0, 99))).permutation(len(y))
    return y[order], groups[order], draw(st.integers(0, 99)), draw(st.integers(7 * len(y) // 10, len(y)))


@given(grouped(), st.booleans())
def test_no_group_is_in_two_parts_and_labels_are_shared_out(case, limited: bool) -> None:
    y, groups, seed, limit = case
    limit = limit if limited else None
    classes = [str(i) for i in range(y.max() + 1)]
    parts = cut({"train": y}, classes, "set", limit=limit, seed=seed, groups={"train": groups})
    held = {role: set(groups[part.rows]) for role, part in parts.items()}
    for role, part in parts.items():
        assert part.rows.tolist() == np.flatnonzero(np.isin(groups, list(held[role]))).tolist()
    assert sum(map(len, held.values())) == len(set().union(*held.values()))
    assert len(held["test"]) == -(-len(set(groups)) // 5)
    whole = Counter(dict(zip(groups, y, strict=True)).values())
    found = Counter(y[np.flatnonzero(groups == name)[0]] for name in held["test"])
    for label, count in whole.items():
        assert abs(found[label] - count * len(held["test"]) / len(set(groups))) < 1
    kept = len(parts["train"].rows) + len(parts["validation"].rows)
    rest = len(y) - len(parts["test"].rows)
    assert kept == rest if limit is None or limit >= rest else limit / 2 < kept <= limit


@given(grouped())
def test_groups_of_one_are_cut_as_samples_are(case) -> None:
    y, _, seed, limit = case
    alone = np.array([f"{i:04d}" for i in range(len(y))])
    classes = [str(i) for i in range(y.max() + 1)]
    one = cut({"train": y}, classes, "set", limit=limit, seed=seed)
    other = cut({"train": y}, classes, "set", limit=limit, seed=seed, groups={"train": alone})
    assert {role: part.rows.tolist() for role, part in one.items()} == {
        role: part.rows.tolist() for role, part in other.items()
    }


def test_the_images_of_a_case_stay_together_with_its_label(cases: Path) -> None:
    data = load(cases, keep=ACETIC)
    label = {f"C{i:03d}": LABELS[i % 4] for i in range(24)}
    train, validation, test = names(data)
    assert not set(train) & set(validation)
    assert not set(test) & {*train, *validation}
    assert Counter(train + validation + test) == dict.fromkeys(label, 5)
    for split in data.splits:
        assert [data.classes[i] for i in split.y] == [label[name] for name in split.groups]
    assert Counter(label[name] for name in set(test)).most_common()[-1][1] >= 1
    assert data.note == (
        "Only rows with stage acetic_acid. Images resized to 16 x 16 (height x width). "
        "Split by case_id: each is in one split alone."
    )


def test_only_the_rows_that_hold_the_value_are_taken(cases: Path) -> None:
    every, acetic, green = (load(cases, keep=keep) for keep in ({}, ACETIC, {"stage": ["green_lens", "iodine"]}))
    images = [{x.tobytes() for split in data.splits for x in split.x} for data in (every, acetic, green)]
    assert [len(several) for several in images] == [24 * 7, 24 * 5, 24 * 2]
    assert images[1] | images[2] == images[0]
    assert not images[1] & images[2]
    # green and iodine images have less blue than red and green together; acetic ones are not tinted
    assert all(split.x[:, 2].mean() < 0.5 * split.x[:, 1].mean() for split in green.splits)
    assert [data.checksum == acetic.checksum for data in (every, green)] == [False, False]


def test_a_second_load_has_the_same_groups(cases: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(cases, keep=ACETIC)
    monkeypatch.setattr("mgu.data.sources.decode", None)
    again = load(cases, keep=ACETIC)
    assert names(again) == names(first)
    assert (again.checksum, again.note) == (first.checksum, first.note)


def test_a_limit_takes_whole_cases(tmp_path: Path) -> None:
    cases = write_cases(tmp_path / "many", 40, 16)
    data = load(cases, keep=ACETIC, limit=103)
    train, validation, test = names(data)
    assert set(Counter(train + validation).values()) == {5}
    assert len(train + validation) == 100
    assert names(load(cases, keep=ACETIC))[2] == test
    with pytest.raises(InputError, match=r"with limit=10: class .* has 0 training groups, but 2 .*raise the limit"):
        load(cases, keep=ACETIC, limit=10)


def test_a_leak_would_show(tmp_path: Path) -> None:
    """What knows a case by its colours knows the label, once its other images were trained on."""
    data = load(write_cases(tmp_path / "many", 40, 16), keep=ACETIC)
    x, y = (np.concatenate([getattr(split, name) for split in data.splits]) for name in "xy")

    def accuracy(train_x: np.ndarray, test_x: np.ndarray, train_y: np.ndarray, test_y: np.ndarray) -> float:
        flat = [images.reshape(len(images), -1).astype(float) for images in (train_x, test_x)]
        return KNeighborsClassifier(1).fit(flat[0], train_y).score(flat[1], test_y)

    assert accuracy(*train_test_split(x, y, test_size=0.2, random_state=0)) > 0.9
    assert accuracy(data.train.x, data.test.x, data.train.y, data.test.y) < 0.6


@pytest.mark.parametrize("column", ["patient_id", "Group", "case_id"])
def test_usual_names_of_the_column(column: str, cases: Path) -> None:
    text = (cases / "metadata.csv").read_text()
    (cases / "metadata.csv").write_text(text.replace("case_id", column, 1))
    assert f"Split by {column}" in load(cases).note


def test_the_column_that_is_named(cases: Path, rewritten) -> None:
    text = (cases / "metadata.csv").read_text()
    (cases / "metadata.csv").write_text(text.replace("case_id", "clinic", 1))
    assert load(cases).train.groups is None
    assert "Split by clinic" in load(cases, group="clinic").note
    with pytest.raises(InputError, match="no group column beside the target 'label'; the columns are: clinic, stage"):
        load(cases, group="label")
    with pytest.raises(InputError, match="no column 'phase'; the columns are: label, clinic, stage"):
        load(cases, keep={"phase": "acetic_acid"})


def test_two_columns_could_be_the_group(cases: Path) -> None:
    text = (cases / "metadata.csv").read_text()
    (cases / "metadata.csv").write_text(text.replace("stage", "patient_id", 1))
    with pytest.raises(InputError, match=r"case_id and patient_id could each be the group .*\(--group\)"):
        load(cases)
    assert "Split by case_id" in load(cases, group="case_id").note


def test_a_stage_that_is_not_there(cases: Path) -> None:
    message = r"no row has stage=acetic; its values are: acetic_acid, green_lens, iodine"
    with pytest.raises(InputError, match=message):
        load(cases, keep={"stage": ["iodine", "acetic"]})
    with pytest.raises(InputError, match=r"no row is left .*\(case_id=C000, label=cancer\)"):
        load(cases, keep={"case_id": "C000", "label": "cancer"})


def test_a_missing_case(rewritten) -> None:
    folder = rewritten(lambda i, row: row.update(case_id="" if i in (9, 30) else row["case_id"]))
    with pytest.raises(InputError, match=r"group 'case_id' is missing in row 9 \(counted from 0\), and in 2 of 168"):
        load(folder)


def test_a_case_of_two_labels(rewritten) -> None:
    folder = rewritten(lambda i, row: row.update(label="cancer" if i == 9 else row["label"]))
    message = r"case_id 'C001' has two labels: 'cin1' in row 7 .* and 'cancer' in row 9 .*\(--group\)"
    with pytest.raises(InputError, match=message):
        load(folder)


def test_a_case_in_two_splits(tmp_path: Path) -> None:
    for split, seed in (("train", 0), ("test", 1)):
        write_cases(tmp_path / "both" / split, 24, 16, seed)
    with pytest.raises(InputError, match=r"case_id 'C000' is in two splits: .*split train, and .*split test"):
        load(tmp_path / "both")


def test_splits_that_come_with_the_data(tmp_path: Path, rewritten) -> None:
    for split, seed in (("train", 0), ("test", 1)):
        write_cases(tmp_path / "both" / split, 24, 16, seed)
    rewritten(lambda i, row: row.update(case_id=f"T{row['case_id']}"), tmp_path / "both" / "test")
    train, validation, test = names(load(tmp_path / "both", keep=ACETIC))
    assert Counter(test) == {f"TC{i:03d}": 5 for i in range(24)}
    assert Counter(train + validation) == {f"C{i:03d}": 5 for i in range(24)}
    assert len(set(validation)) == 4
    assert not set(train) & set(validation)


def test_a_file_that_is_only_in_the_metadata(cases: Path) -> None:
    (cases / "C003" / "iodine_1.png").unlink()
    with pytest.raises(InputError, match=r"C003.iodine_1\.png: there is no such image, though the metadata names it"):
        load(cases)
    assert len(load(cases, keep=ACETIC).test.y) == 25  # of what is not kept, nothing is read


def test_too_few_cases_of_a_label(tmp_path: Path) -> None:
    folder = write_cases(tmp_path / "few", 8, 16)
    with pytest.raises(InputError, match=r"class 'cancer' has 2 training groups, but 3 are needed"):
        load(folder)


def test_cases_of_a_quantity(rewritten) -> None:
    folder = rewritten(lambda i, row: row.update(label=str(i / 8)))
    data = load(folder, keep=ACETIC, task="regression")
    train, validation, test = names(data)
    assert [len(set(part)) for part in (train, validation, test)] == [15, 4, 5]
    assert not set(train) & set(validation)
    assert not set(test) & {*train, *validation}


def test_rows_of_a_table(csv) -> None:
    rows = "".join(f"{i},{'north' if i % 2 else 'south'},P{i // 4:02d},{i // 4 % 2}\n" for i in range(120))
    path = csv(f"x,where,patient_id,label\n{rows}")
    data = load_data(path, group="patient_id", keep={"where": "south"})
    assert data.features is not None
    assert data.features.names[0] == "x"
    assert not any("patient_id" in name for name in data.features.names)
    owners = defaultdict(set)
    for role, split in zip(("train", "validation", "test"), data.splits, strict=True):
        for x, y, name in zip(split.x[:, 0], split.y, split.groups, strict=True):
            assert (x % 2, f"P{int(x) // 4:02d}", int(x) // 4 % 2) == (0, name, y)
            owners[name].add(role)
    assert len(owners) == 30
    assert {len(roles) for roles in owners.values()} == {1}
    with pytest.raises(InputError, match="a table has no images, but image_size"):
        load_data(path, image_size=(4, 4))


def test_bundled_sets_are_whole() -> None:
    for options in ({"group": "case_id"}, {"keep": ACETIC}, {"image_size": (4, 4)}):
        with pytest.raises(InputError, match=f"digits: a bundled set has no {next(iter(options))} to choose"):
            load_data("digits", **options)
    with pytest.raises(InputError, match=r"image_size must be \(height, width\).*\(0, 4\) was given"):
        load_data("digits", image_size=(0, 4))
    with pytest.raises(InputError, match="keep has no value for the column 'stage'"):
        load_data("digits", keep={"stage": []})


def test_the_checksum_has_the_groups_where_there_are_any() -> None:
    x, y = np.arange(12, dtype=np.uint8).reshape(3, 1, 2, 2), np.array([0, 1, 1])
    roles = ("train", "validation", "test")
    plain, one, other = (
        checksum(dict.fromkeys(roles, Split(x, y, groups)), ("a", "b"))
        for groups in (None, np.array(["1", "2", "2"]), np.array(["1", "2", "3"]))
    )
    digest = hashlib.sha256(json.dumps(("a", "b")).encode())
    for role in roles:
        digest.update(f"{role} |u1 (3, 1, 2, 2)".encode() + x.tobytes())
        digest.update(f"{role} <i8 (3,)".encode() + y.astype("<i8").tobytes())
    assert plain == digest.hexdigest()
    assert len({plain, one, other}) == 3
