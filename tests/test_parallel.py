"""One network in two processes: each step, and a whole training, are those of one process."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mgu.errors import InputError
from mgu.torch.one_batch import Share
from mgu.training import Recipe, fit
from mgu.training.world import World
from shares import NORMS, TRAININGS, UNITS, steps, trained, unhardened

SCRIPT = Path(__file__).parent / "shares.py"

pytestmark = pytest.mark.skipif(not torch.distributed.is_available(), reason="torch is built without distributed")


@pytest.fixture(scope="module")
def whole():
    """The same of one process alone, without OneBatch: by torch's batch norm of the whole batch."""
    return steps(0, 1)


@pytest.fixture(scope="module")
def halves(whole, tmp_path_factory):
    """What each of two processes works out, by the kernels that one process has left in the cache."""
    folder = tmp_path_factory.mktemp("halves")
    commands = [[sys.executable, str(SCRIPT), str(rank), str(folder)] for rank in (0, 1)]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]
    said = [process.communicate()[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


STEPS = [*NORMS, *(f"{unit} {dtype}" for unit in UNITS for dtype in (torch.float64, torch.float32))]


@pytest.mark.parametrize("name", STEPS)
def test_a_step_is_that_of_the_whole_batch(name, halves, whole):
    """Outputs, the input's gradient, those of all weights, and running statistics."""
    first, second = (half["steps"][name] for half in halves)
    tolerance = 1e-10 if whole[name]["y"].dtype == torch.float64 else 1e-5
    for key, expected in whole[name].items():
        found = torch.cat([first[key], second[key]]) if key in ("x", "y") else first[key]
        torch.testing.assert_close(
            found, expected, rtol=tolerance, atol=tolerance, msg=lambda m, key=key: f"{key}: {m}"
        )
        assert key in ("x", "y") or torch.equal(first[key], second[key])


def drifts(name):
    """A bias right before a batch norm has no gradient but rounding, which Nadam makes steps of its full size of."""
    return name.endswith(("linear.bias", "running_mean"))


@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_is_that_of_one_process(name, halves):
    """With the order of the samples, a ragged last batch, the masks of dropout, the decisions and the best epoch."""
    first, second = (half["trained"][name] for half in halves)
    alone = trained(0, 1, [name])[name]
    assert first["decisions"] == second["decisions"] == alone["decisions"]
    assert (first["epochs"], first["tests"]) == (second["epochs"], second["tests"])
    for epochs, expected in zip(first["epochs"][0], alone["epochs"][0], strict=True):
        assert epochs == pytest.approx(expected, rel=1e-4)
    assert first["tests"] == pytest.approx(alone["tests"], abs=0.02)
    for i, network in enumerate(alone["networks"]):
        for key, expected in network.items():
            assert torch.equal(first["networks"][i][key], second["networks"][i][key])
            allowed = 0.03 if i and drifts(key) else 1e-5
            torch.testing.assert_close(first["networks"][i][key], expected, rtol=1e-5, atol=allowed)


def test_an_error_in_hardening_ends_a_process_for_which_others_would_wait(halves):
    assert [half["unhardened"] for half in halves] == ["ZeroDivisionError('by 0')"] * 2
    assert unhardened(0, 1) == "not hardened: ZeroDivisionError: by 0"


def test_shares_are_the_batch_cut_into_pieces_of_one_size():
    for whole in range(3, 20):
        shares = [Share.of(whole, rank, 3) for rank in range(3)]
        rows = torch.cat([torch.arange(whole)[share.rows] for share in shares])
        assert rows.tolist() == list(range(whole))
        assert {len(share) for share in shares} <= {math.floor(whole / 3), math.ceil(whole / 3)}


@pytest.mark.parametrize(
    ("options", "framework", "message"),
    [
        ({"batch_size": 38}, "torch", "leave one of 3, and each of 4 processes"),
        ({"batch_size": 16, "compile": "default"}, "torch", "is not compiled"),
        ({}, "keras", "PyTorch alone; 'keras' was given"),
    ],
)
def test_what_several_processes_cannot_train_is_refused(options, framework, message):
    architecture, data, _ = TRAININGS["linear"]
    with pytest.raises(InputError, match=message):
        fit(architecture, data, Recipe(**options), framework=framework, world=World(1, 4))


def test_each_process_has_a_gpu_of_its_own(monkeypatch):
    for name, value in {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    chosen = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    second = World(1, 2)
    assert [second.device(name, lambda name: "cuda") for name in ("auto", "cuda")] == ["cuda:1", "cuda:1"]
    assert (second.device("cpu", lambda name: "cpu"), chosen) == ("cpu", [1, 1])
    with pytest.raises(InputError, match="'cuda:0' is one for all 2 processes"):
        second.device("cuda:0", lambda name: name)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InputError, match="has 1 GPUs for more processes"):
        second.device("auto", lambda name: "cuda")
    assert World().device("cuda:0", lambda name: name) == "cuda:0"
