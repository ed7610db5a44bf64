"""Gaps and text in tables, against scikit-learn's transformers and pandas' counts."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mgu.data import TableFeatures, load_data
from mgu.data.arrays import Part, Split
from mgu.data.places import sheet
from mgu.data.splits import cut
from mgu.data.tables import decode_tables
from mgu.errors import InputError

#: Of data sets of numbers alone, as they were before tables could hold anything else: studies are known by them.
CHECKSUMS = {
    ("digits", None, 0): "fc96004a7c363e930267c252ec9de0213dd458aeadbcb8f5324f22a0c9393102",
    ("iris", None, 0): "3a9cc8a6acd647efe20d124b2d896f69fbffd707bea8173bb493f4de0f1aff3e",
    ("iris", 100, 3): "347fc718c23db80fc80f723c256ece6fc66f3e43df3a4076b900d7fdf3a8c124",
    ("wine", None, 1): "d896dec6b9c71b7f794381c1de10df041828dcd0f3c48aaf4abcc2eba85a1c08",
    ("breast_cancer", 100, 3): "4f439e27adbc6c1b8d43ac1d52a527c04abe759dccbc18fe7c7eb933959e3243",
}

NUMBERS = ("age", "pay")
TEXTS = ("city", "kind")


def load(frame: pd.DataFrame) -> tuple[dict[str, Part], dict[str, Split], TableFeatures]:
    """What load_data does with a table, and which rows went where."""
    table = decode_tables({"train": frame}, "label", None, {"train": sheet("table")})
    parts = cut(table.y, table.classes, "table", limit=None, seed=0)
    return parts, *table.take(parts)


def labelled(**columns: Any) -> pd.DataFrame:
    frame = pd.DataFrame(columns)
    return frame.assign(label=np.arange(len(frame)) % 2)


def reference(train: pd.DataFrame, rows: pd.DataFrame, names: tuple[str, ...]) -> np.ndarray:
    """The rows by scikit-learn's transformers, fitted to the training rows; columns named and ordered as ours."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import OneHotEncoder

    def as_objects(frame: pd.DataFrame) -> pd.DataFrame:
        texts = {name: frame[name].astype(object).where(frame[name].notna(), "(missing)") for name in TEXTS}
        return frame.assign(**texts)

    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=np.float64)
    transformer = ColumnTransformer(
        [("n", SimpleImputer(strategy="median", add_indicator=True), list(NUMBERS)), ("c", encoder, list(TEXTS))],
        verbose_feature_names_out=False,
    ).fit(as_objects(train))
    theirs = [str(name) for name in transformer.get_feature_names_out()]
    renamed = {f"missingindicator_{name}": f"{name}=(missing)" for name in NUMBERS}
    renamed |= {f"{name}_{value}": f"{name}={value}" for name in TEXTS for value in ("a", "b", "c", "(missing)")}
    order = [renamed.get(name, name) for name in theirs]
    assert sorted(order) == sorted(names)
    return transformer.transform(as_objects(rows))[:, [order.index(name) for name in names]]


@st.composite
def frames(draw: st.DrawFn, rows: int | None = None) -> pd.DataFrame:
    """Numbers and text with any share of gaps, in any order of columns."""
    n = rows or draw(st.integers(20, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = {
        name: rng.normal(draw(st.sampled_from([0, 1e4])), draw(st.sampled_from([0, 1, 1e-3])), n) for name in NUMBERS
    }
    words = {name: rng.choice(list("abc"[: draw(st.integers(1, 3))]), n).astype(object) for name in TEXTS}
    gaps = {name: rng.random(n) < draw(st.sampled_from([0, 0.05, 0.5])) for name in (*NUMBERS, *TEXTS)}
    columns = {name: pd.Series(column).mask(gaps[name]) for name, column in (values | words).items()}
    return labelled(**{name: columns[name] for name in draw(st.permutations([*NUMBERS, *TEXTS]))})


def usable(train: pd.DataFrame) -> bool:
    return bool((train[[*NUMBERS]].notna().sum() > 0).all() and (train[[*TEXTS]].notna().sum() > 3).all())


@settings(max_examples=40)
@given(frame=frames())
def test_features_are_scikit_learns_fitted_to_the_training_split(frame: pd.DataFrame) -> None:
    table = decode_tables({"train": frame}, "label", None, {"train": sheet("table")})
    assume(usable(frame.iloc[cut(table.y, table.classes, "table", limit=None, seed=0)["train"].rows]))
    parts, splits, features = load(frame)
    train = frame.iloc[parts["train"].rows]
    for role, split in splits.items():
        rows = frame.iloc[parts[role].rows]
        assert split.x.dtype == np.float32
        assert split.x.shape == (len(rows), len(features.names))
        assert np.isfinite(split.x).all()
        offsets = {column.name: getattr(column, "offset", 0.0) for column in features.columns}
        wide = split.x.astype(np.float64) + [offsets.get(name, 0.0) for name in features.names]
        np.testing.assert_allclose(wide, reference(train, rows, features.names), rtol=1e-6, atol=1e-30)
        np.testing.assert_array_equal(split.y, rows["label"])


@settings(max_examples=20)
@given(frame=frames(rows=40), other=frames(rows=40))
def test_only_the_training_split_is_learned_from(frame: pd.DataFrame, other: pd.DataFrame) -> None:
    table = decode_tables({"train": frame}, "label", None, {"train": sheet("table")})
    rows = cut(table.y, table.classes, "table", limit=None, seed=0)["train"].rows
    assume(usable(frame.iloc[rows]))
    changed = other[list(frame.columns)].copy()
    for name in frame.columns:
        changed.loc[rows, name] = frame.loc[rows, name]
    _, before, features = load(frame)
    _, after, same = load(changed)
    assert same == features
    np.testing.assert_array_equal(after["train"].x, before["train"].x)


@settings(max_examples=20)
@given(frame=frames(), shuffle=st.permutations([*NUMBERS, *TEXTS, "label"]))
def test_new_rows_become_what_the_splits_became(frame: pd.DataFrame, shuffle: list[str]) -> None:
    table = decode_tables({"train": frame}, "label", None, {"train": sheet("table")})
    parts = cut(table.y, table.classes, "table", limit=None, seed=0)
    assume(usable(frame.iloc[parts["train"].rows]))
    splits, features = table.take(parts)
    kept = TableFeatures.from_json(json.loads(json.dumps(features.to_json())))
    assert kept == features
    for role, split in splits.items():
        np.testing.assert_array_equal(kept.transform(frame[shuffle].iloc[parts[role].rows]), split.x)


@pytest.mark.parametrize(("name", "limit", "seed"), CHECKSUMS)
def test_the_identity_of_numbers_alone_has_not_changed(name: str, limit: int | None, seed: int) -> None:
    assert load_data(name, limit=limit, seed=seed).checksum == CHECKSUMS[name, limit, seed]


def test_numbers_and_flags_keep_to_one_column_each(csv) -> None:
    data = load_data(csv("x,flag,label\n" + "".join(f"{i},{i % 3 == 0},{'ab'[i % 2]}\n" for i in range(200))))
    assert data.features is not None
    assert data.features.names == ("x", "flag")
    assert load_data("iris").features.names[0] == "sepal length (cm)"
    assert load_data("digits").features is None


def test_rare_categories_share_a_column() -> None:
    # In training, about 640 rows: "rare" stay below 1 %, "common" above.
    words = ["common"] * 700 + ["often"] * 240 + [f"rare{i // 2}" for i in range(20)]
    frame = labelled(word=np.random.default_rng(0).permutation(words))
    parts, splits, features = load(frame)
    (column,) = features.columns
    counts = frame["word"].iloc[parts["train"].rows].value_counts()
    assert set(column.categories) == set(counts[counts >= 0.01 * counts.sum()].index) == {"common", "often"}
    assert set(column.rare) == set(counts.index) - {"common", "often"}
    assert features.names == ("word=common", "word=often", "word=(other)")
    train = frame["word"].iloc[parts["train"].rows]
    np.testing.assert_array_equal(splits["train"].x[:, 2], train.str.startswith("rare"))
    assert (splits["train"].x.sum(axis=1) == 1).all()


def test_the_most_frequent_of_very_many_categories_are_kept() -> None:
    # 70 categories of 15 to 84 rows: most are no rarer than 1 %, but there are too many.
    words = np.random.default_rng(0).permutation([f"w{i}" for i in range(70) for _ in range(15 + i)])
    parts, splits, features = load(labelled(word=words))
    counts = pd.Series(words[parts["train"].rows]).value_counts()
    (column,) = features.columns
    assert len(features.names) == splits["test"].x.shape[1] <= 50
    assert features.names[-1] == "word=(other)"
    kept = counts[list(column.categories)]
    assert kept.min() >= counts[list(column.rare)].max()
    assert len(kept) + len(column.rare) == 70


def test_what_training_does_not_know_is_zero_everywhere() -> None:
    parts, _, features = load(labelled(x=range(60), city=["Rome", "Oslo"] * 30))
    x = features.transform(pd.DataFrame({"x": [5, None], "city": ["Paris", None]}))
    np.testing.assert_array_equal(x, [[5, 0, 0], [np.median(parts["train"].rows), 0, 0]])


def test_what_large_numbers_differ_by_is_kept() -> None:
    """Seconds since 1970: 32 bits alone hold them to 128 seconds."""
    seconds = 1.7e9 + np.random.default_rng(0).permutation(np.linspace(0, 100, 200))
    parts, splits, features = load(labelled(time=seconds, year=2000 + np.arange(200) % 30))
    expected = seconds[parts["test"].rows] - np.median(seconds[parts["train"].rows])
    np.testing.assert_allclose(splits["test"].x[:, 0], expected, rtol=1e-6)
    np.testing.assert_array_equal(splits["test"].x[:, 1], 2000 + parts["test"].rows % 30)
    again = TableFeatures.from_json(json.loads(json.dumps(features.to_json())))
    rows = pd.DataFrame({"time": seconds, "year": 2000}).iloc[parts["test"].rows]
    np.testing.assert_array_equal(again.transform(rows)[:, 0], splits["test"].x[:, 0])
    earlier = features.to_json()
    earlier["columns"][1].pop("offset")
    assert TableFeatures.from_json(earlier) == features


def test_a_gap_that_training_lacks_becomes_the_median_alone() -> None:
    x = np.arange(60.0)
    parts, _, _ = load(labelled(x=x))
    gaps = parts["test"].rows[:3]
    x[gaps] = np.nan
    parts, splits, features = load(labelled(x=x))
    assert features.names == ("x",)
    expected = np.where(np.isnan(x[parts["test"].rows]), np.median(x[parts["train"].rows]), x[parts["test"].rows])
    np.testing.assert_array_equal(splits["test"].x[:, 0], expected.astype(np.float32))


def test_whole_numbers_read_as_floats_are_the_same_categories() -> None:
    _, _, features = load(labelled(size=["0", "1", "2", "3+"] * 15))
    np.testing.assert_array_equal(features.transform(pd.DataFrame({"size": [2.0, None]})), [[0, 0, 1, 0], [0, 0, 0, 0]])
    np.testing.assert_array_equal(features.transform(pd.DataFrame({"size": [3, 1]})), [[0, 0, 0, 0], [0, 1, 0, 0]])


def test_splits_of_a_folder_share_the_training_splits_features(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    train = labelled(x=[None, 1, 2, 3] * 10, city=pd.Categorical(["Rome", "Oslo"] * 20))
    test = labelled(x=[None, 2, None, 4], city=pd.Categorical(["Rome", "Paris", None, "Oslo"]))
    for name, frame in {"train": train, "test": test}.items():
        frame.to_parquet(tmp_path / "tables" / f"{name}-00000-of-00001.parquet")
    data = load_data(str(tmp_path / "tables"))
    assert data.features.names == ("x", "x=(missing)", "city=Oslo", "city=Rome")
    median = np.nanmedian(np.where(data.train.x[:, 1] == 1, np.nan, data.train.x[:, 0]))
    assert data.test.x.tolist() == [[median, 1, 0, 1], [2, 0, 0, 0], [median, 1, 0, 0], [4, 0, 1, 0]]
    assert data.mean.shape == data.std.shape == (4,)


ROWS = 60


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([None] * ROWS, "is missing in all 40 rows of the training split; drop it"),
        (pd.array([None] * ROWS, dtype="str"), "is missing in all 40 rows of the training split; drop it"),
        (
            [f"id{i}" for i in range(ROWS)],
            "has 40 different values in 40 rows of the training split.*; drop it, or group",
        ),
        ([f"{i}" for i in range(ROWS)], "holds 60 different numbers as text; save a quantity as numbers"),
        (
            [f"{i}" for i in range(ROWS - 1)] + ["old"],
            r"is not numeric \('old' in row 61 .*most of its values are numbers",
        ),
        ([f"{i},{i % 10}" for i in range(ROWS)], r"60 different numbers with a comma.*'0,0' in row 2.*such as 1234\.5"),
        ([f"{i}.5 %" for i in range(ROWS)], r"60 different numbers with a comma, a space, % or a currency"),
        (pd.date_range("2020", periods=ROWS), r"holds dates or times \('2020-01-01 00:00:00' in row 2 .*the year"),
        ([f"{i % 28 + 1}/3/2024" for i in range(ROWS)], r"holds dates or times \('1/3/2024' in row 2 "),
        (["2024-01-31 10:00"] * ROWS, "holds dates or times"),
        (pd.to_timedelta(range(ROWS), unit="s"), "holds dates or times"),
        ([1, "a"] * (ROWS // 2), r"is neither all numbers nor all text \('a' in row 3 "),
        ([True, "a"] * (ROWS // 2), r"is neither all numbers nor all text \('a' in row 3 "),
        ([b"a"] * ROWS, "is neither all numbers nor all text"),
        ([1.0] * 5 + [float("-inf")] + [2.0] * (ROWS - 6), "the value is infinite.* in row 7 .* 1 of 60 rows"),
    ],
)
def test_what_no_network_can_learn_from_is_refused_by_name(values: Any, message: str) -> None:
    frame = labelled(x=range(ROWS), odd=values)
    frame.index += 2
    with pytest.raises(InputError, match=rf"table: column 'odd'.* {message}|table: column 'odd': {message}"):
        load(frame)


def test_a_million_categories_are_refused() -> None:
    # Each twice in 2,000 rows: no id, but none is frequent. And very many beside a frequent one.
    with pytest.raises(InputError, match=r"column 'word' has .* different values"):
        load(labelled(word=[f"w{i % 1000}" for i in range(2000)]))
    with pytest.raises(InputError, match=r"column 'word' has .* different values"):
        load(labelled(word=[f"w{i % 40_000}" if i % 2 else "none" for i in range(60_000)]))


def test_names_that_collide_are_refused() -> None:
    with pytest.raises(InputError, match=r"2 features would be called 'x=\(missing\)'; rename"):
        load(labelled(**{"x": [None, 1.0] * 30, "x=(missing)": range(60)}))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (pd.DataFrame({"x": [1.0]}), "the rows: no column is called 'city'.*: x, city"),
        (pd.DataFrame([[1.0, 2.0, "Rome"]], columns=["x", "x", "city"]), "more than one column is called 'x'"),
        (pd.DataFrame({"x": ["old"], "city": ["Rome"]}), r"column 'x' is not numeric \('old' in row 0 \(by the index"),
        (pd.DataFrame({"x": [np.inf], "city": ["Rome"]}), "column 'x': the value is infinite"),
        (pd.DataFrame({"x": [1.0], "city": [["Rome"]]}), "column 'city' is not text"),
        (pd.DataFrame({"x": [1.0], "city": pd.to_datetime(["2020-01-01"])}), "column 'city' is not text"),
    ],
)
def test_new_rows_that_do_not_fit_are_refused(rows: pd.DataFrame, message: str) -> None:
    _, _, features = load(labelled(x=range(60), city=["Rome", "Oslo"] * 30))
    with pytest.raises(InputError, match=message):
        features.transform(rows)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"columns": 3},
        {"columns": [{"kind": "date", "name": "x"}]},
        {"columns": [{"kind": "number", "name": "x"}]},
        {"columns": [{"kind": "number", "name": "x", "median": "high", "indicator": True}]},
    ],
)
def test_other_json_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="these are no features of a table"):
        TableFeatures.from_json(data)
