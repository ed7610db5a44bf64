"""A folder that follows another, by whatever happens in that."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from mgu.files import write_whole
from mgu.study.mirror import Original, apply, contents

NAMES = ("a", "b", "state/a", "state/b", "x/y/c")
#: What becomes of files in one step; None: they go.
STEPS = st.lists(st.dictionaries(st.sampled_from(NAMES), st.none() | st.binary(max_size=4)), max_size=5)


def happen(step, folder):
    for name, content in step.items():
        path = folder / name
        if content is None:
            path.unlink(missing_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, content)


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@given(STEPS, STEPS)
def test_it_is_as_the_other_after_each_step_and_nothing_is_told_twice(before, steps):
    with TemporaryDirectory() as one, TemporaryDirectory() as two:
        there, here = Path(one), Path(two) / "made"
        for step in before:
            happen(step, there)
        apply(contents(there), here)
        original = Original(there)
        for step in steps:
            happen(step, there)
            apply(original.changes(), here)
            assert files(here) == files(there)
            assert original.changes() == {}


def test_what_goes_does_so_after_what_comes_and_takes_its_empty_folder_along(tmp_path, monkeypatch):
    apply({"checkpoints/1": b"old"}, tmp_path)
    monkeypatch.setattr("mgu.study.mirror.write_whole", lambda path, content: seen.append(files(tmp_path)))
    seen = []
    apply({"checkpoints/1": None, "weights": b"new"}, tmp_path)
    assert seen == [{"checkpoints/1": b"old"}]
    assert list(tmp_path.iterdir()) == []
