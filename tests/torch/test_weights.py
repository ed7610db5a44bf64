"""Weights in the file that both halves read; what the Keras half makes of it is in tests/parity."""

import math

import pytest
import torch
from safetensors.torch import load_file

from mgu.errors import InputError
from mgu.layouts import Layout
from mgu.spaces import Architecture, Cell
from mgu.torch import build_network, load_weights, save_weights


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
