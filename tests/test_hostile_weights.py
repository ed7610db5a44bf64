"""Files of weights whose headers lie: refused, or set aside, without memory for what they claim."""

import hashlib
import json
import tracemalloc

import numpy as np
import pytest
from safetensors.numpy import save

from mgu import portable
from mgu.errors import InputError
from mgu.training.checkpoints import MAKER, Checkpoints

WEIGHTS = {"a": np.zeros((2, 3), dtype=np.float32)}
SHAPES = {"a": (2, 3)}


def packed(header, numbers=b"\0" * 24, length=None):
    """A file of safetensors with this header, as text or as data."""
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + numbers


def about(key, text):
    return {"__metadata__": {key: text}}


def tensor(**changes):
    return {"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]} | changes}


LIES = {
    "no file": b"",
    "half a length": b"\1\2\3",
    "a header longer than any": packed(tensor(), length=2**63),
    "a header longer than the file": packed(tensor(), length=10**6),
    "no JSON": packed("{"),
    "JSON of another kind": packed("[1, 2]"),
    "a header nested deeply": packed('{"__metadata__":' + "[" * 10**5),
    "numbers that are not there": packed(tensor(shape=[2, 300], data_offsets=[0, 2400])),
    "a shape that its numbers do not fill": packed(tensor(shape=[2**20, 2**20])),
    "a shape larger than any": packed(tensor(shape=[2**62, 2**62], data_offsets=[0, 24])),
    "a shape below 0": packed(tensor(shape=[-2, -3])),
    "offsets that run backward": packed(tensor(data_offsets=[24, 0])),
    "offsets that overlap": packed(tensor() | {"b": tensor()["a"]}),
    "another number format": packed(tensor(dtype="object")),
    "a tensor twice": packed('{"a": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}, "a": 1}'),
}


@pytest.mark.parametrize("case", LIES)
def test_weights_are_refused(case, tmp_path):
    (tmp_path / "w.safetensors").write_bytes(LIES[case])
    tracemalloc.start()
    with pytest.raises(InputError, match=r"w\.safetensors: no weights can be read here"):
        portable.read(tmp_path / "w.safetensors", SHAPES, {})
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


NOTES = {
    "none": {},
    "a number": about(portable._KEY, "1"),
    "nested deeply": about(portable._KEY, "[" * 10**5),
    "with a key twice": about(portable._KEY, '{"format": 1, "format": 1, "blocks": {}}'),
    "of a format that is no number": about(portable._KEY, '{"format": NaN, "blocks": {}}'),
    "of another format": about(portable._KEY, '{"format": 2, "blocks": {}}'),
    "of units that are none": about(portable._KEY, '{"format": 1, "blocks": [1]}'),
}


@pytest.mark.parametrize("case", NOTES)
def test_weights_without_what_they_belong_to_are_refused(case, tmp_path):
    (tmp_path / "w.safetensors").write_bytes(packed(NOTES[case] | tensor()))
    with pytest.raises(InputError, match=r"w\.safetensors"):
        portable.read(tmp_path / "w.safetensors", SHAPES, {})


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int64])
def test_other_numbers_are_refused(dtype, tmp_path):
    note = {portable._KEY: json.dumps({"format": portable.FORMAT, "blocks": {}})}
    (tmp_path / "w.safetensors").write_bytes(save({"a": WEIGHTS["a"].astype(dtype)}, note))
    with pytest.raises(InputError, match=f"a is of {np.dtype(dtype)}"):
        portable.read(tmp_path / "w.safetensors", SHAPES, {})


FACTS = {
    "a number": "1",
    "a list": "[]",
    "nested deeply": "[" * 10**5,
    "of something else": '{"of": "other"}',
    "of nothing": "{}",
    "with a key twice": f'{{"of": "other", "of": "this", "maker": {json.dumps(MAKER)}}}',
}


@pytest.mark.parametrize(
    "content",
    [*LIES.values(), *(packed(about("mgu", text) | tensor()) for text in FACTS.values())],
    ids=[*LIES, *FACTS],
)
def test_a_checkpoint_by_its_name_is_set_aside(content, tmp_path):
    name = f"checkpoint-000001-{hashlib.sha256(content).hexdigest()}.safetensors"
    (tmp_path / name).write_bytes(content)
    assert Checkpoints(tmp_path, "this").newest() is None
    assert [path.name for path in tmp_path.iterdir()] == [f"unusable-{name}"]
