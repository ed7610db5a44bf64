"""Weights in the file that both halves read; what the Keras half makes of it is in tests/parity."""

import math

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from mgu.errors import InputError
from mgu.layouts import Layout
from mgu.spaces import Architecture, Cell
from mgu.torch import MultiGatedUnit, build_network, load_weights, save_weights


def network(cell=None, **unit):
    return build_network(Architecture(Layout(2, 1, 2, math.inf, 2), cell, start_filters=4), (2, 9, 9), 3, **unit).eval()


@pytest.mark.parametrize("cell", [None, Cell("sn", True)], ids=str)
def test_the_same_network_from_its_file(cell, tmp_path):
    first, second = network(cell), network(cell)
    load_weights(second, save_weights(first, tmp_path / "weights"))
    x = torch.randn(3, 2, 9, 9)
    torch.testing.assert_close(second(x), first(x), rtol=0, atol=0)


def test_the_file_is_safetensors_of_all_but_counters(tmp_path):
    first = network(gates="depthwise")
    found = load_file(save_weights(first, tmp_path / "weights"))
    own = {name: value for name, value in first.state_dict().items() if value.is_floating_point()}
    assert found.keys() == own.keys()
    assert all(torch.equal(found[name], own[name]) for name in own)
    assert found["layer_1.operations.linear.weight"].shape == (4, 2, 3, 3)


def test_a_file_of_another_network_is_refused(tmp_path):
    path = save_weights(network(), tmp_path / "weights")
    with pytest.raises(InputError, match="the chain of layer_1 is"):
        load_weights(network(Cell("ln", False)), path)
    with pytest.raises(InputError, match=r"layer_1.gates.squeeze.weight is missing there and \[8, 2\] here"):
        load_weights(network(gates="squeeze"), path)
    with pytest.raises(InputError, match="no weights can be read here"):
        load_weights(network(), tmp_path / "nothing")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrower_numbers_go_there_and_back(dtype, tmp_path):
    first, second, wide = network().to(dtype), network().to(dtype), network()
    path = save_weights(first, tmp_path / "weights")
    load_weights(second, path)
    load_weights(wide, path)
    for name, value in first.state_dict().items():
        assert torch.equal(second.state_dict()[name], value)
        if value.is_floating_point():
            assert torch.equal(wide.state_dict()[name], value.float())


def test_wider_numbers_and_a_missing_folder_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"weight is of float64, and weights are written as float32"):
        save_weights(network().double(), tmp_path / "weights")
    with pytest.raises(InputError, match="absent/weights: no weights can be written here"):
        save_weights(network(), tmp_path / "absent" / "weights")


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_that_the_file_does_not_say_is_refused(mode, tmp_path):
    unit = MultiGatedUnit(nn.Conv1d(3, 4, 3, padding=1, padding_mode=mode))
    with pytest.raises(InputError, match=f"^0 has padding_mode {mode!r}, .* only 'zeros' is allowed"):
        save_weights(nn.Sequential(unit), tmp_path / "weights")
    zeros = save_weights(MultiGatedUnit(nn.Conv1d(3, 4, 3, padding=1)), tmp_path / "weights")
    with pytest.raises(InputError, match=f"the unit has padding_mode {mode!r}"):
        load_weights(unit, zeros)
