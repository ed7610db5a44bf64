"""Files of checkpoints: whole, the last two, and what is damaged set aside."""

import pytest
import torch

from mgu.errors import InputError
from mgu.study.runner import CHECKPOINTS
from mgu.study.workers import Kept, Place, Stopped
from mgu.training import checkpoints
from mgu.training.checkpoints import Checkpoint, Checkpoints
from mgu.trial_job import Common, ToldCheckpoints, TrialJob
from tiny import tiny_comparison


def keep(folder, *numbers, of="a trial"):
    for number in numbers:
        kept = Checkpoints(folder, of)
        kept.next_at = 0
        kept.keep(lambda number=number: Checkpoint({"n": number}, {"w": {"a.b/c": torch.full((2, 3), number)}}))


def newest(folder, of="a trial"):
    found = Checkpoints(folder, of).newest()
    return found and (found.facts["n"], found.tensors["w"]["a.b/c"].tolist())


def test_the_newest_is_read_and_two_stay(tmp_path):
    assert newest(tmp_path / "none") is None
    keep(tmp_path, 1, 2, 3)
    assert newest(tmp_path) == (3, [[3.0] * 3] * 2)
    assert len(list(tmp_path.iterdir())) == 2
    assert newest(tmp_path, of="another") is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-3],
        lambda content: content[:-1] + bytes([content[-1] ^ 4]),
        lambda content: content[:20] + bytes([content[20] ^ 1]) + content[21:],
        lambda content: b"",
        lambda content: bytes(len(content)),
    ],
    ids=["truncated", "bit flipped", "bit flipped in its facts", "empty", "zeros"],
)
def test_one_that_is_damaged_is_set_aside_and_the_one_before_used(tmp_path, damage):
    keep(tmp_path, 1, 2)
    last = max(tmp_path.iterdir())
    last.write_bytes(damage(last.read_bytes()))
    assert newest(tmp_path) == (1, [[1.0] * 3] * 2)
    assert last.with_name(f"unusable-{last.name}").exists()
    keep(tmp_path, 3)
    assert newest(tmp_path)[0] == 3


def test_where_all_are_damaged_there_is_none(tmp_path):
    keep(tmp_path, 1, 2)
    for path in list(tmp_path.iterdir()):
        path.write_bytes(b"")
    assert newest(tmp_path) is None


def test_one_of_another_version_is_set_aside(tmp_path, monkeypatch):
    keep(tmp_path, 1)
    monkeypatch.setattr(checkpoints, "MAKER", "mgu 99")
    assert newest(tmp_path) is None


def test_a_trial_that_is_to_stop_keeps_its_state_at_once_tells_of_it_and_stops(tmp_path):
    told, stopping = [], []
    kept = ToldCheckpoints(Place(tmp_path, told.append, stopping=lambda: bool(stopping)), "a trial")
    kept.write(Checkpoint({"elapsed_s": 1.0}, {}))
    assert not kept.due
    stopping.append(True)
    assert kept.due
    with pytest.raises(Stopped):
        kept.keep(lambda: Checkpoint({"elapsed_s": 2.0}, {}))
    assert told == [Kept(1.0), Kept(2.0)]
    assert kept.newest().facts == {"elapsed_s": 2.0}


@pytest.mark.parametrize("cell", ["TINY_001", "TINY_MGU_001"])
def test_a_state_that_the_disk_does_not_take_ends_the_study_and_is_no_fault_of_the_trial(cell, tmp_path, monkeypatch):
    monkeypatch.setattr(ToldCheckpoints, "due", True)
    (tmp_path / CHECKPOINTS).write_text("a file in the way")
    comparison = tiny_comparison(60, epochs=2)
    (trial,) = comparison.trials([0], [cell])
    common = Common(comparison.data, comparison.recipe, {}, "cpu", None, "torch")
    with pytest.raises(InputError, match=r"the trial's state cannot be kept \(File exists\); make room"):
        TrialJob(trial, "key")(common, Place(tmp_path, lambda message: None))


def test_writing_takes_a_small_share_of_the_time(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now[0])
    kept, written = Checkpoints(tmp_path, "a trial"), []

    def make():
        written.append(now[0])
        now[0] += 0.5  # what it costs
        return Checkpoint({}, {})

    while now[0] < 200:
        if kept.due:
            kept.keep(make)
        now[0] += 0.1
    assert written[0] == pytest.approx(2.0, abs=0.15)
    assert 0.5 * len(written) <= 0.01 * 200 + 0.5
