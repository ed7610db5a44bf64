"""A short run of benchmarks/chaos.py, which asserts that no result is lost or changed by SIGKILLs."""

import importlib.util
import json
import os
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is of POSIX systems")
def test_kills_of_the_driver_and_of_processes_lose_and_change_nothing(tmp_path, monkeypatch):
    specification = importlib.util.spec_from_file_location("chaos", BENCHMARKS / "chaos.py")
    chaos = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(chaos)
    arguments = ["digits", "--limit", "600", "--epochs", "20", "--only", "DIG_001,*MGU*", "--rivals", "", "--quiet"]
    monkeypatch.setattr(chaos, "ARGUMENTS", arguments)
    chaos.main(tmp_path, kills=4, most_s=60)
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["same as undisturbed"]
    assert 1 <= sum(record["kills"].values()) <= 4
