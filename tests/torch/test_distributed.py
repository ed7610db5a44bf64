"""A network of units in DistributedDataParallel: two processes take the step that their gradients' mean is."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[1] / "two_processes.py"

pytestmark = pytest.mark.skipif(not torch.distributed.is_available(), reason="torch is built without distributed")


def test_two_processes_have_the_mean_of_their_gradients(tmp_path):
    """Every parameter has one: nothing needs ``find_unused_parameters``."""
    commands = [[sys.executable, str(SCRIPT), str(rank), str(tmp_path)] for rank in (0, 1)]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]
    said = [process.communicate()[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    for gates in ("channel", "replica"):
        together, expected = torch.load(tmp_path / f"{gates}.pt")
        assert len(together) == len(expected) > 10
        for found, mean in zip(together, expected, strict=True):
            torch.testing.assert_close(found, mean)
            assert found.abs().max() > 0
