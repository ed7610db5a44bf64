"""Experiments that run several studies: what stops them."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


def test_the_tables_stop_at_the_first_study_that_cannot_begin(tmp_path):
    """And tell so by their own exit code."""
    command = [sys.executable, REPOSITORY / "experiments" / "tabular.py", tmp_path, "--device", "abacus"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout.split() == ["==", "iris"]
    assert done.stderr.startswith("error: device 'abacus' is not here")


def test_ctrl_c_stops_all_tables(tmp_path, monkeypatch, capsys):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["tabular.py", str(tmp_path)])
    monkeypatch.setattr("mgu.jobs.comparing.load_data", interrupted)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(REPOSITORY / "experiments" / "tabular.py"), run_name="__main__")
    assert ended.value.code == 130
    assert capsys.readouterr().out.split() == ["==", "iris"]
