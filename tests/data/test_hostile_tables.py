"""Tables that no training should begin with: found at once, and named by file, column and row."""

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
    "a field too many": (GOOD + "1,2,3,4\n", "line 62"),
    "a field too few": (GOOD + "1,2\n", "'label' is missing in row 62"),
    "a quote that stays open": (GOOD + '"1,2,a\n', "row 61"),
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
