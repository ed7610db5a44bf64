"""The unit written literally as in the paper, which the benchmarks measure against, computes what ours does."""

import pytest
import torch
from literal import literal, literally
from torch import nn

from mgu.spaces import load_space
from mgu.torch import MultiGatedUnit, build_network, count_weights

PAPERS = {"gates": "replica", "bypass": "replica", "prior": "neutral"}
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


def scattered(module):
    """The module with weights that no start would hide: norms and biases away from ones and zeros."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return module


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(5, 7), (6, 5)),
        (nn.Conv1d(4, 6, 3), (5, 4, 9)),
        (nn.Conv2d(3, 8, 3, stride=2), (4, 3, 9, 9)),
        (nn.Conv3d(2, 3, 2), (3, 2, 4, 4, 4)),
    ],
    ids=["linear", "conv1d", "conv2d", "conv3d"],
)
def test_the_listing_gives_what_the_unit_gives(layer, shape, dtype):
    torch.manual_seed(0)
    ours = scattered(MultiGatedUnit(layer, **PAPERS).to(dtype))
    theirs = literal(ours)
    x = torch.randn(shape, dtype=dtype)
    for training in (True, False):
        expected, output = ours.train(training)(x), theirs.train(training)(x)
        torch.testing.assert_close(output, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def test_a_network_of_the_listing_trains_as_ours():
    torch.manual_seed(0)
    space = load_space("mnist")
    mgu = next(architecture for architecture in space.models().values() if architecture.cell is None)
    ours = scattered(build_network(mgu, space.input_shape, space.classes, **PAPERS).double())
    theirs = literally(ours)
    assert count_weights(theirs) == count_weights(ours)
    x = torch.randn(8, *space.input_shape, dtype=torch.float64)
    for network in (ours, theirs):
        network.dropout.p = 0.0
        network(x).square().sum().backward()
    torch.testing.assert_close(theirs(x), ours(x), rtol=1e-10, atol=1e-10)
    squared = [sum(p.grad.square().sum() for p in network.parameters()) for network in (ours, theirs)]
    torch.testing.assert_close(*squared, rtol=1e-9, atol=0)
