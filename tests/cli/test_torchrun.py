"""``torchrun -m mgu``: one model of two processes, what is refused, and that an error is told once."""

import subprocess
import sys

import pytest
import torch
from torch.distributed import TCPStore

from mgu.model import read_model

pytestmark = pytest.mark.skipif(not torch.distributed.is_available(), reason="torch is built without distributed")


def test_two_processes_save_one_model(data, run, tmp_path):
    """The first writes and prints, and the model is that of one process."""
    arguments = ["fit", str(data["shop"]), "--epochs", "2", "--batch-size", "40", "--lr", "0.001", "--out"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "mgu"]
    done = subprocess.run([*launch, *arguments, str(tmp_path / "two")], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Test: ") == 1
    assert done.stdout.endswith(f"\n{tmp_path / 'two'}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["two"]
    alone = run(*arguments, tmp_path / "one")
    assert alone.exit_code == 0, alone.output
    two, one = read_model(tmp_path / "two"), read_model(tmp_path / "one")
    assert two.decisions[0].side == one.decisions[0].side
    assert two.card["training"] == {**one.card["training"], "processes": 2}
    assert two.card["metrics"]["log_loss"] == pytest.approx(one.card["metrics"]["log_loss"], rel=1e-3)
    for (name, found), expected in zip(two.soft().state_dict().items(), one.soft().state_dict().values(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5, msg=name)


@pytest.fixture
def one_of_two(monkeypatch):
    """This process as the second of two that torchrun has started."""
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    told = {"TORCHELASTIC_RUN_ID": "1", "TORCHELASTIC_USE_AGENT_STORE": "True", "WORLD_SIZE": "2", "RANK": "1"}
    for name, value in {**told, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port)}.items():
        monkeypatch.setenv(name, value)
    return store


def test_an_error_is_told_by_one_process_alone(one_of_two, run):
    first, second = run("compare", "digits", "--dry-run"), run("compare", "digits", "--dry-run")
    assert (first.exit_code, second.exit_code) == (2, 2)
    assert "torchrun has started 2 processes" in first.stderr
    assert second.stderr == ""


def test_an_error_is_told_where_nobody_can_be_asked(one_of_two, run, monkeypatch):
    monkeypatch.setenv("MASTER_PORT", "1")
    monkeypatch.setattr("mgu.cli.telling.PATIENCE", 0.1 * one_of_two.timeout.resolution)
    assert "torchrun has started 2 processes" in run("compare", "digits", "--dry-run").stderr
