"""CSV and Parquet tables."""

from pathlib import Path

import numpy as np
import pytest

from mgu.data import load_data
from mgu.errors import InputError


def table(n: int = 40, header: str = "age,tall,income,target", **cells: str) -> str:
    """CSV of n rows; ``row_column="text"`` puts a text in a cell, rows counted as in a spreadsheet."""
    names = header.split(",")
    rows = [[str(i), str(i % 3 == 0), f"{i / 4}", "yes" if i % 2 else "no"] for i in range(n)]
    for place, text in cells.items():
        row, name = place.removeprefix("row").split("_")
        rows[int(row) - 2][names.index(name)] = text
    return "\n".join([header, *map(",".join, rows)]) + "\n"


def test_a_csv_table(csv) -> None:
    data = load_data(csv(table()))
    assert data.classes == ("no", "yes")
    assert data.input_shape == (3,)
    assert data.train.x.dtype == np.float32
    for split in (data.train, data.validation, data.test):
        age = split.x[:, 0]
        np.testing.assert_array_equal(split.x, np.stack([age, age % 3 == 0, age / 4], axis=1))
        np.testing.assert_array_equal(split.y, age % 2)


def test_a_byte_order_mark_blanks_and_empty_rows_do_no_harm(csv) -> None:
    text = "\ufeff" + table().replace(",", ", ").replace("\n5,", "\n\n5,") + "\n\n"
    assert text.encode().startswith(b"\xef\xbb\xbf")
    assert load_data(csv(text)).checksum == load_data(csv(table(), "plain.csv")).checksum


def test_empty_rows_count_as_rows(csv) -> None:
    with pytest.raises(InputError, match=r"'income': the value is infinite.* in row 12 "):
        load_data(csv(table(row11_income="inf").replace("\n5,", "\n\n5,")))


def test_a_parquet_file_and_a_folder_of_tables(csv, tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.read_csv(csv(table()))
    (tmp_path / "tables").mkdir()
    frame.to_parquet(tmp_path / "people.parquet")
    frame.iloc[:30].to_parquet(tmp_path / "tables" / "train-00000-of-00001.parquet")
    frame.iloc[30:].to_parquet(tmp_path / "tables" / "test-00000-of-00001.parquet")
    assert load_data(str(tmp_path / "people.parquet")).checksum == load_data(csv(table())).checksum
    folder = load_data(str(tmp_path / "tables"))
    assert folder.classes == ("no", "yes")
    assert folder.test.x[:, 0].tolist() == list(range(30, 40))


def test_parquet_rows_are_counted_the_same(csv, tmp_path: Path) -> None:
    import pandas as pd

    pd.read_csv(csv(table(row7_income="inf"))).to_parquet(tmp_path / "people.parquet")
    message = r"people\.parquet, split train: column 'income': the value is infinite.* in row 7 \(the header is row 1\)"
    with pytest.raises(InputError, match=message):
        load_data(str(tmp_path / "people.parquet"))


def test_nullable_columns(tmp_path: Path) -> None:
    import pandas as pd

    flags: list[bool | None] = [True, False] * 20
    frame = pd.DataFrame({"flag": flags, "label": [1, 2, 2, 1] * 10})
    frame.to_parquet(tmp_path / "whole.parquet")
    assert set(np.unique(load_data(str(tmp_path / "whole.parquet")).train.x)) == {0, 1}
    frame["flag"] = pd.array([*flags[:-1], None], dtype="boolean")
    frame.to_parquet(tmp_path / "gap.parquet")
    assert set(np.unique(load_data(str(tmp_path / "gap.parquet")).train.x)) == {0, 1}


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"row9_income": "inf"}, "column 'income': the value is infinite.* in row 9 "),
        ({"row9_income": "-inf", "row12_income": ""}, "column 'income': the value is infinite.* in row 9 .* 1 of 40"),
        ({"row9_income": "1e39"}, "column 'income': the value is infinite, or too large for 32 bits, in row 9 "),
        ({"row5_age": "old"}, r"column 'age' is not numeric \('old' in row 5 .*, but most of its values are numbers"),
        ({"row6_target": ""}, "the target 'target' is missing in row 6 .* 1 of 40"),
    ],
)
def test_bad_cells_are_named(csv, cells: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=rf"people\.csv: {message}"):
        load_data(csv(table(**cells)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("\n\n", "empty|no columns|no rows"),
        ("age,target\n", "there are no rows below the header"),
        ("age,target\n\n\n", "there are no rows below the header"),
        (b"age,target\n1,caf\xe9\n", "not UTF-8 text"),
        (b"age,gr\xf6sse,target\n1,2,a\n", "not UTF-8 text"),
        ("age;target\n1;a\n", "separated by a semicolon, not by a comma"),
        ("age\ttarget\n1\ta\n", "separated by a tab"),
        ("age,target\n1,a\n2,b,c\n", "as many fields in each row as in the header: .*row 3 has 3 fields"),
        ("age,target\n1,a,x\n2,b,y\n", "as many fields in each row as in the header"),
        ('age,target\n1,"a\n2,b\n', "not a CSV table"),
        ("age,age,target\n1,2,a\n", "more than one column is called 'age'"),
        (
            "age,size\n1,2\n",
            r"no column is called target or label; name one as the target \(--target\); the columns are: age, size",
        ),
        ("age label\n1 2\n", r"the columns are: age label \(only one: are the fields separated by commas\?\)"),
        ("target,label\n1,2\n", "target and label could each be the target"),
        ("label\n" + "a\nb\n" * 10, "there is no column beside the target"),
        ("x,label\n" + "1,a\n" * 20, "all samples are of class 'a'; two are needed"),
        (",x,label\n" + "1,2,a\n1,2,b\n" * 10, "feature column 1 has no name"),
    ],
)
def test_bad_tables_are_refused(csv, text: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=rf"people\.csv: .*({message})") as error:
        load_data(csv(text))
    assert str(error.value).count("people.csv") == 1


def test_an_absent_target_lists_the_columns(csv) -> None:
    with pytest.raises(InputError, match="no target column 'wage'; the columns are: age, tall, income, target"):
        load_data(csv(table()), target="wage")


@pytest.mark.parametrize("name", ["target", "label", "Label", "TARGET"])
def test_usual_names_of_the_target(csv, name: str) -> None:
    assert load_data(csv(table(header=f"age,tall,income,{name}"))).classes == ("no", "yes")


def test_a_chosen_target(csv) -> None:
    data = load_data(csv(table().replace("yes", "1").replace("no", "0")), target="tall")
    assert data.classes == ("False", "True")
    assert (data.train.y == (data.train.x[:, 0] % 3 == 0)).all()
    assert set(np.unique(data.train.x[:, 2])) == {0, 1}


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["10", "9", "-1"], ("-1", "9", "10")),
        (["10.0", "9.0"], ("9", "10")),
        (["0.5", "10", "2"], ("0.5", "2", "10")),
        (["b10", "b9"], ("b10", "b9")),
        (["True", "False"], ("False", "True")),
    ],
)
def test_class_names_are_sorted(csv, values: list[str], classes: tuple[str, ...]) -> None:
    text = "x,label\n" + "".join(f"{i},{value}\n" for _ in range(20) for i, value in enumerate(values))
    data = load_data(csv(text))
    assert data.classes == classes
    number = [classes.index(value.removesuffix(".0")) for value in values]
    assert data.train.y.tolist() == [number[int(x)] for x in data.train.x[:, 0]]


def test_lists_as_labels(tmp_path: Path) -> None:
    import pandas as pd

    pd.DataFrame({"x": range(20), "label": [[1, 2]] * 20}).to_parquet(tmp_path / "many.parquet")
    with pytest.raises(InputError, match="'label' must hold one label a row"):
        load_data(str(tmp_path / "many.parquet"))


def test_lists_as_features(tmp_path: Path) -> None:
    import pandas as pd

    pd.DataFrame({"x": [[1, 2]] * 20, "label": [1, 2] * 10}).to_parquet(tmp_path / "nested.parquet")
    with pytest.raises(InputError, match=r"column 'x' is neither all numbers nor all text \('\[1 2\]' in row 2 "):
        load_data(str(tmp_path / "nested.parquet"))


def test_a_saved_index_is_no_feature(tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame({"x": range(20), "label": [1, 2] * 10}, index=[i * i for i in range(20)])
    frame.to_parquet(tmp_path / "indexed.parquet")
    with pytest.raises(InputError, match=r"feature column 2 has no name of its own \(__index_level_0__\)"):
        load_data(str(tmp_path / "indexed.parquet"))


def test_columns_that_are_no_features(csv) -> None:
    path = csv(table(header="age,alive,income,target"))
    data = load_data(path, drop=["alive"])
    assert data.features.names == ("age", "income")
    assert data.note == "Without alive."
    np.testing.assert_array_equal(data.train.x[:, 1], data.train.x[:, 0] / 4)
    for wrong, message in (
        (["alvie"], "there is no column 'alvie'; the columns are: age, alive, income, target"),
        (["target"], "no column is called target or label"),
        ("alive", r"drop must be a list of columns, such as \['alive'\]"),
    ):
        with pytest.raises(InputError, match=message):
            load_data(path, drop=wrong)
    with pytest.raises(InputError, match="a bundled set has no drop to choose"):
        load_data("iris", drop=["petal length (cm)"])
