"""Tables that no training should begin with: found at once, and named by file, column and row."""

import csv

import pandas as pd
import pytest

from mgu.data import load_data
from mgu.errors import InputError

ROWS = "\n".join(f"{i},{i % 7},{'ab'[i % 2]}" for i in range(60))
GOOD = f"x,y,label\n{ROWS}\n"

BAD = {
    "latin-1": (GOOD.replace("5,5,b", "5,5,é").encode("latin-1"), "row 7 is not UTF-8"),
    "UTF-16": (GOOD.encode("utf-16"), "UTF-16"),
    "UTF-16 without a mark": (GOOD.encode("utf-16-le"), "row 1 has a NUL"),
    "UTF-32": (GOOD.encode("utf-32"), "UTF-16|NUL"),
    "a NUL in a number": (GOOD.replace("5,5,b", "5,5\0,b"), "row 7 has a NUL"),
    "a NUL in a class": (GOOD.replace("5,5,b", "5,5,b\0"), "row 7 has a NUL"),
    "a NUL in the header": (GOOD.replace("x,y", "x\0,y"), "row 1 has a NUL"),
    "nothing": ("", "empty"),
    "empty lines": ("\n\n\n", "empty"),
    "a header alone": ("x,y,label\n", "no rows below the header"),
    "a field too many": (GOOD + "1,2,3,4\n", "has 3 fields, but row 62 has 4 fields"),
    "a field too few": (
        "label,x,y\n" + "a,1,2\nb,2,1\n" * 20 + "a,5\nb,1,1\n",
        "3 fields, but row 42 has 2 fields",
    ),
    "a file that was cut": (GOOD[: GOOD.rindex(",")], "has 3 fields, but row 61 has 2 fields"),
    "a line above the header": (f"# exported\n{GOOD}", "has 1 field, but row 2 has 3 fields; .* above the header"),
    "a separator above the header": (f"sep=,\n{GOOD}", "has 2 fields, but row 2 has 3 fields"),
    "a quote that stays open": (GOOD.replace("5,5,b", '5,5,"b'), "a quote is opened in row 7 and never closed"),
    "a number of a million digits": (GOOD + "1" * 10**6 + ",1,a\n", r"'x' has a text of 1,000,000 letters in row 62"),
    "a novel": (GOOD + "1," + "q" * 10**6 + ",a\n", r"'y' has a text of 1,000,000 letters in row 62"),
    "a novel of a class": (GOOD + ("1,1," + "q" * 10_001 + "\n") * 9, r"'label' has a class of 10,001 letters"),
    "a novel of a name": (GOOD.replace("x", "x" * 10_001), r"feature column 1 has 10,001 letters"),
    "an infinity": (GOOD + "inf,1,a\n", r"'x': the value is infinite.*row 62"),
    "an infinity in digits": (GOOD + "1e999,1,a\n", r"'x': the value is infinite.*row 62"),
    "a word among numbers": (GOOD + "hello,1,a\n", r"'x' is not numeric \('hello' in row 62"),
    "two columns of one name": (GOOD.replace("x,y", "x,x"), "more than one column is called 'x'"),
    "one class": (GOOD.replace(",b", ",a"), "all samples are of class 'a'"),
    "a class of one sample": (GOOD + "1,1,c\n", "class 'c' has 1 training sample"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_named(case, tmp_path):
    content, message = BAD[case]
    file = tmp_path / "t.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=f"{file}.*({message})") as error:
        load_data(str(file))
    assert len(str(error.value)) < 1000


def test_a_byte_order_mark_is_no_letter(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert load_data(str(tmp_path / "t.csv"), target="label").features.names == ("x", "y")


def test_empty_fields_quoted_lines_and_blanks_around_text_do_no_harm(tmp_path):
    rows = "".join(f'{i},"{"ab"[i % 2]}\n{i}",{"ab"[i % 2]}{" " * (i % 4 > 1)}, \n' for i in range(60))
    (tmp_path / "t.csv").write_text(f"x,text,label,note\n{rows}\n\n")
    data = load_data(str(tmp_path / "t.csv"), drop=["note", "text"])
    assert data.classes == ("a", "b")
    assert sum(len(split.y) for split in data.splits) == 60


def test_the_users_limit_of_fields_is_as_it_was(tmp_path):
    before = csv.field_size_limit()
    (tmp_path / "t.csv").write_text(GOOD)
    load_data(str(tmp_path / "t.csv"))
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(("merged", "whole"), [(True, 10**17), (False, 10**15), (True, 2**70)])
def test_whole_numbers_that_64_bits_do_not_tell_apart(merged, whole, tmp_path):
    rows = "\n".join(f"{whole + i % 9},{i},{'ab'[i % 2]}" for i in range(60))
    (tmp_path / "t.csv").write_text(f"x,y,label\n{rows}\n")
    if merged:
        with pytest.raises(InputError, match=rf"t\.csv: column 'x': {whole + 1} in row 3 .* is the same as another"):
            load_data(str(tmp_path / "t.csv"))
    else:
        load_data(str(tmp_path / "t.csv"))


SPREADS = {
    "from end to end": ([-3.4e38] * 59 + [3.4e38], "a range of more than"),
    "denormal": ([i * 1e-42 for i in range(60)], "is the least that 32 bits hold"),
}


@pytest.mark.parametrize("at", [0, 20, 40])
@pytest.mark.parametrize("case", SPREADS)
def test_numbers_that_32_bits_do_not_hold_once_standardised(case, at, tmp_path):
    """Wherever they lie, in the training split or not."""
    values, message = SPREADS[case]
    values = values[at:] + values[:at]
    for seed in range(3) if case == "from end to end" else [0]:
        rows = "\n".join(f"{value},{i},{'ab'[i % 2]}" for i, value in enumerate(values))
        (tmp_path / "t.csv").write_text(f"x,y,label\n{rows}\n")
        with pytest.raises(InputError, match=rf"t\.csv: column 'x' is from .*{message}"):
            load_data(str(tmp_path / "t.csv"), seed=seed)
        with pytest.raises(InputError, match=rf"t\.csv: the target is from .*{message}"):
            load_data(str(tmp_path / "t.csv"), target="x", task="regression", seed=seed)


def test_a_number_far_from_all_to_train_on(tmp_path):
    table = {"x": [float(i % 7) for i in range(60)], "label": ["a", "b"] * 30}
    pd.DataFrame(table).to_parquet(tmp_path / "train.parquet")
    pd.DataFrame({**table, "x": [*table["x"][1:], 3e38]}).to_parquet(tmp_path / "test.parquet")
    for options, what in (({}, "column 'x'"), ({"target": "x", "task": "regression"}, "the target")):
        with pytest.raises(InputError, match=rf"{what} is from 0 to 3e\+38, more than 1e\+15 deviations"):
            load_data(str(tmp_path), **options)


@pytest.mark.parametrize("target", ["label", "other"])
def test_a_column_of_ids_is_found_before_it_is_worked_on(target, tmp_path, monkeypatch):
    """By the counts alone: neither a matrix of its categories is made, nor is the data cut into splits."""
    rows = (f"{i},u{i // 2},{'ab'[i % 2]}" for i in range(40_000))
    (tmp_path / "t.csv").write_text("\n".join(["x,label,other", *rows]))
    for worked in ("sklearn.preprocessing.OneHotEncoder.fit", "sklearn.model_selection.train_test_split"):
        if target == "label" or "OneHot" in worked:
            monkeypatch.setattr(worked, lambda *_, **__: pytest.fail("it is worked on"))
    with pytest.raises(InputError, match=r"t\.csv: (the target|column) 'label' has [\d,]+ different values"):
        load_data(str(tmp_path / "t.csv"), target=target)
