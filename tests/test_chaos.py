"""A short run of benchmarks/chaos.py, which asserts that no result is lost or changed by SIGKILLs."""

import json
import os

import chaos
import pytest

from mgu.study.ledger import Ledger
from samples import RESULT, SETTINGS, TRIALS


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is of POSIX systems")
def test_kills_of_the_driver_and_of_processes_lose_and_change_nothing(tmp_path, monkeypatch):
    arguments = ["digits", "--limit", "600", "--epochs", "20", "--only", "DIG_001,*MGU*", "--rivals", "", "--quiet"]
    monkeypatch.setattr(chaos, "ARGUMENTS", arguments)
    done = chaos.main(tmp_path, kills=4, most_s=60)
    record = json.loads((tmp_path / "record.json").read_text())
    assert [record[harm] for harm in chaos.HARM] == [0, 0, 0, 0]
    kills = record["kills of the driver"] + record["kills of a process"]
    assert 1 <= kills <= 4
    assert done == (kills == 4)
    assert record["trials"] == 2 * record["studies"]


def test_what_is_lost_changed_or_another_is_counted(tmp_path):
    one, other = {"A": {"score": 1}, "B": {"score": 2}}, {"A": {"score": 3}}
    assert chaos.seen_again(one, other) == {"results lost": 1, "results changed": 1}
    assert not any(chaos.seen_again(other, other | {"C": {}}).values())
    with Ledger.open(tmp_path, SETTINGS) as ledger:
        for key in ledger.add(TRIALS, SETTINGS):
            ledger.begin(key, {})
            ledger.end(key, RESULT)
    found = chaos.results(tmp_path)
    assert chaos.ended(tmp_path, found)["trials that differ from the undisturbed"] == 0
    first = next(iter(found))
    assert chaos.ended(tmp_path, found | {first: {}})["trials that differ from the undisturbed"] == 1
