"""JSON from strangers, and whether what it became holds what it says."""

import json
import math
from contextlib import suppress
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgu.plain_json import MOST_DEPTH, read_finite_json, read_json
from mgu.spreadsheet import inert
from mgu.typed import checked

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(max_examples=50, deadline=None)
@given(PLAIN)
def test_plain_data_is_read_as_json_reads_it(data):
    text = json.dumps(data)
    assert read_json(text) == json.loads(text)
    if "Infinity" not in text:
        assert read_finite_json(text.encode()) == json.loads(text)


@settings(max_examples=50, deadline=None)
@given(st.binary() | st.text(alphabet='[]{}",:0123456789eNa\\u'))
def test_anything_else_is_a_value_error(text):
    for read in (read_json, read_finite_json):
        with suppress(ValueError):
            read(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' is there twice"),
        ("[" * (MOST_DEPTH + 1) + "]" * (MOST_DEPTH + 1), "nested deeper than 100"),
        ("[" * 10**6, "nested deeper"),
        ('{"a":' * 10**5, "nested deeper"),
        ("9" * 5000, "4300 digits"),
        (b"\xff\xfe\xfd", "decode"),
    ],
)
def test_what_no_file_of_ours_has(text, message):
    for read in (read_json, read_finite_json):
        with pytest.raises(ValueError, match=message):
            read(text)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_are_none_are_read_only_where_a_training_leaves_them(constant):
    assert not math.isfinite(read_json(f"[{constant}]")[0])
    with pytest.raises(ValueError, match=f"{constant} is no number"):
        read_finite_json(f"[{constant}]")


@dataclass(frozen=True)
class Inner:
    count: int


@dataclass(frozen=True)
class Outer:
    name: str
    share: float
    inner: Inner | None
    rows: tuple[tuple[int, ...], ...]
    pair: tuple[str, int]
    means: dict[str, float]


GOOD = Outer("a", 1, Inner(2), ((1,), ()), ("b", 3), {"c": 0.5})


def test_what_is_as_annotated_is_itself():
    assert checked(GOOD) is GOOD
    assert checked(replace(GOOD, inner=None, share=math.nan))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", 1),
        ("name", None),
        ("share", "0.5"),
        ("share", True),
        ("share", 10**400),
        ("inner", Inner("2")),
        ("inner", Inner(True)),
        ("inner", Inner(10**400)),
        ("inner", {"count": 2}),
        ("rows", ((1, "2"),)),
        ("rows", [[1]]),
        ("pair", ("b",)),
        ("pair", ("b", 3, 4)),
        ("means", {"c": "0.5"}),
        ("means", {1: 0.5}),
    ],
)
def test_a_field_of_another_type_is_named(field, value):
    with pytest.raises(TypeError, match="count" if isinstance(value, Inner) else field):
        checked(replace(GOOD, **{field: value}))


@pytest.mark.parametrize("cell", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_formula_is_text(cell):
    assert inert(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "a=1", "-1", "+1.5", "-1e-3", "-inf", -1, -1.5, None, "a-b"])
def test_what_is_no_formula_stays(cell):
    assert inert(cell) is cell
