"""Parquet tables that no memory holds, that have no rows, or whose columns are not what they seem."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from mgu.data import load_data
from mgu.data.fresh import read_fresh
from mgu.data.preprocessing import Preprocessing
from mgu.errors import InputError


@pytest.fixture
def table(tmp_path):
    """A table with two features, and what a network trained on it takes."""
    frame = pd.DataFrame({"x": np.arange(60), "y": np.arange(60) % 7, "label": ["a", "b"] * 30})
    frame.to_parquet(tmp_path / "t.parquet")
    return frame, Preprocessing.of(load_data(str(tmp_path / "t.parquet")))


def refused(path, wanted, message):
    """By training and by answering, in one line."""
    for read in (lambda: load_data(str(path)), lambda: read_fresh(str(path), wanted)):
        with pytest.raises(InputError, match=message) as error:
            read()
        assert "\n" not in str(error.value)


def test_more_values_than_memory_holds(table, tmp_path, monkeypatch):
    """Their number is in the file's last bytes: no row is read."""
    frame, wanted = table
    pd.concat([frame] * 1000).to_parquet(tmp_path / "bomb.parquet", index=False)
    read_fresh(str(tmp_path / "bomb.parquet"), wanted)
    free = type("Memory", (), {"available": 2**20})
    monkeypatch.setattr("psutil.virtual_memory", lambda: free)
    monkeypatch.setattr("pyarrow.parquet.ParquetFile.read", lambda *_, **__: pytest.fail("it is read"))
    refused(tmp_path / "bomb.parquet", wanted, r"bomb\.parquet: 180,000 values take .* GB, .* take fewer rows")


def test_a_folder_of_files_that_memory_does_not_hold_together(table, tmp_path, monkeypatch):
    frame, _ = table
    (tmp_path / "folder").mkdir()
    for split in ("train", "test"):
        pd.concat([frame] * 100).to_parquet(tmp_path / "folder" / f"{split}.parquet", index=False)
    free = type("Memory", (), {"available": 4 * 8 * 3 * 6000 + 100})
    monkeypatch.setattr("psutil.virtual_memory", lambda: free)
    with pytest.raises(InputError, match=r"folder: 36,000 values take"):
        load_data(str(tmp_path / "folder"))


def test_no_rows(table, tmp_path):
    frame, wanted = table
    frame[:0].to_parquet(tmp_path / "zero.parquet")
    refused(tmp_path / "zero.parquet", wanted, r"zero\.parquet: there are no rows")


def test_two_columns_of_one_name(table, tmp_path):
    frame, wanted = table
    columns = [pa.array(frame["x"]), pa.array(frame["x"]), pa.array(frame["label"])]
    parquet.write_table(pa.Table.from_arrays(columns, names=["x", "x", "label"]), tmp_path / "twice.parquet")
    refused(tmp_path / "twice.parquet", wanted, r"twice\.parquet: more than one column is called 'x'")


def test_what_is_no_parquet(table, tmp_path):
    (tmp_path / "no.parquet").write_bytes(b"PAR1 and then nothing")
    refused(tmp_path / "no.parquet", table[1], r"no\.parquet: cannot be read as Parquet")


def test_a_column_that_was_pandas_index_is_one_in_training_and_after(table, tmp_path):
    frame, wanted = table
    frame["x"] **= 2  # pandas keeps no column of an index that only counts
    frame.set_index("x").to_parquet(tmp_path / "indexed.parquet")
    data = load_data(str(tmp_path / "indexed.parquet"))
    assert set(data.features.names) == {"x", "y"}
    wanted = replace(wanted, features=data.features)
    fresh = read_fresh(str(tmp_path / "indexed.parquet"), wanted)
    np.testing.assert_array_equal(fresh.x[:, data.features.names.index("x")], frame["x"])
    assert fresh.names[0] == "2"
