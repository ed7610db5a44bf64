"""A file of weights that is damaged, or made by someone hostile, is refused with what is wrong with it."""

import json
import struct

import numpy as np
import pytest
from safetensors.numpy import save

from mgu import portable
from mgu.errors import InputError

BLOCKS = {"": {"chain": [], "window": None}}
SHAPES = {"weight": (2, 3)}
GOOD = {"format": 1, "blocks": BLOCKS}


def read(path, content):
    path.write_bytes(content)
    return portable.read(path, SHAPES, BLOCKS)


def header(text):
    """A safetensors file without tensors and with this header."""
    return struct.pack("<Q", len(text)) + text.encode()


def saved(description=None, dtype="float32", text=None):
    text = json.dumps(GOOD if description is None else description) if text is None else text
    return save({"weight": np.ones((2, 3), dtype)}, {"mgu": text})


def test_what_was_written_is_read(tmp_path):
    weight = np.arange(6, dtype="float32").reshape(2, 3)
    path = portable.write(tmp_path / "weights", {"weight": weight}, BLOCKS)
    assert np.array_equal(portable.read(path, SHAPES, BLOCKS)["weight"], weight)


def test_narrower_numbers_are_written_as_float32_and_wider_ones_refused(tmp_path):
    weight = np.arange(6).reshape(2, 3) / 7
    path = portable.write(tmp_path / "weights", {"weight": weight.astype("float16")}, BLOCKS)
    found = portable.read(path, SHAPES, BLOCKS)["weight"]
    assert found.dtype == np.float32
    assert np.array_equal(found, weight.astype("float16"))
    with pytest.raises(InputError, match="weight is of float64, and weights are written as float32"):
        portable.write(path, {"weight": weight}, BLOCKS)


def test_where_nothing_can_be_written(tmp_path):
    with pytest.raises(InputError, match=r"absent/weights: no weights can be written here: No such file"):
        portable.write(tmp_path / "absent" / "weights", {}, BLOCKS)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x05",
        header("{}"),
        header('{"__metadata__":null}'),
        header('{"__metadata__":{"other":"1"}}'),
        header("[" * 100_000),
        saved(text="[" * 100_000),
        saved(text="no JSON"),
        saved()[:-1],
    ],
    ids=range(9),
)
def test_what_holds_no_weights(content, tmp_path):
    with pytest.raises(InputError, match="no weights can be read here"):
        read(tmp_path / "weights", content)


@pytest.mark.parametrize("other", [2, True, 1.0, "1", None])
def test_another_format(other, tmp_path):
    with pytest.raises(InputError, match=r"its format is .*; 1 can be read"):
        read(tmp_path / "weights", saved({**GOOD, "format": other}))


def test_a_description_that_is_a_list(tmp_path):
    with pytest.raises(InputError, match="its format is None; 1 can be read"):
        read(tmp_path / "weights", saved([1]))


@pytest.mark.parametrize("blocks", [None, 5, "text", [""], {}, {"a": BLOCKS[""]}])
def test_other_units(blocks, tmp_path):
    with pytest.raises(InputError, match=r"the weights are of the units .*, the network has \[''\]"):
        read(tmp_path / "weights", saved({**GOOD, "blocks": blocks}))


@pytest.mark.parametrize("block", [None, 5, [], "chain", {}, {"chain": 5}])
def test_another_chain(block, tmp_path):
    with pytest.raises(InputError, match=r"the chain of the unit is .* there and \[\] here"):
        read(tmp_path / "weights", saved({**GOOD, "blocks": {"": block}}))


@pytest.mark.parametrize("depth", [100, 900, 2000, 9000, 50_000])
def test_a_chain_however_deep(depth, tmp_path):
    text = json.dumps(GOOD).replace("[]", "[" * depth + "]" * depth)
    with pytest.raises(InputError, match="weights"):
        read(tmp_path / "weights", saved(text=text))


@pytest.mark.parametrize("dtype", ["int64", "bool", "uint8", "float16", "float64"])
def test_other_numbers_than_are_written(dtype, tmp_path):
    with pytest.raises(InputError, match=f"weight is of {dtype}; float32 can be read"):
        read(tmp_path / "weights", saved(dtype=dtype))
