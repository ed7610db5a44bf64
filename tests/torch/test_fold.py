"""``fold``: the same function with fewer modules, and the norms that must stay."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mgu.errors import InputError
from mgu.torch import MultiGatedUnit, fold, harden, load, save
from mgu.wiring import NORMS, gates


def lived_in(module):
    """Statistics, weights and biases of norms as after training, in float64 and evaluation mode."""
    torch.manual_seed(0)
    with torch.no_grad():
        for value in module.state_dict().values():
            if value.ndim == 1:
                value.uniform_(0.5, 2)
    return module.double().eval()


def norms(module):
    return [layer for layer in module.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]


def folded(network, *shape):
    x = torch.randn(5, *shape, dtype=torch.float64)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    result = fold(network, shape)
    assert not result.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    with torch.no_grad():
        torch.testing.assert_close(result(x), network(x), rtol=1e-12, atol=1e-12)
    return result


FOLDS = {
    "linear": (nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.SELU()), (3,)),
    "conv1d": (nn.Sequential(nn.Conv1d(3, 4, 3, bias=False), nn.BatchNorm1d(4), nn.SELU()), (3, 7)),
    "conv2d": (nn.Sequential(nn.Conv2d(4, 4, 3, groups=2, padding=1), nn.BatchNorm2d(4), nn.SELU()), (4, 7, 7)),
    "conv3d": (nn.Sequential(nn.Conv3d(3, 4, 2), nn.BatchNorm3d(4, affine=False), nn.SELU()), (3, 4, 4, 4)),
}


@pytest.mark.parametrize("case", FOLDS)
def test_a_norm_behind_its_layer_becomes_part_of_it(case):
    network, shape = FOLDS[case]
    result = folded(lived_in(network), *shape)
    assert [type(layer) for layer in result.children()] == [type(network[0]), nn.SELU]


class Both(nn.Module):
    """The layer's own output is read too."""

    def __init__(self):
        super().__init__()
        self.layer, self.norm = nn.Linear(3, 3), nn.BatchNorm1d(3)

    def forward(self, x):
        y = self.layer(x)
        return y + self.norm(y)


class Twice(nn.Module):
    """One layer called twice, with a norm behind one of the calls."""

    def __init__(self):
        super().__init__()
        self.layer, self.norm = nn.Linear(3, 3), nn.BatchNorm1d(3)

    def forward(self, x):
        return self.norm(self.layer(torch.tanh(self.layer(x))))


STAYS = {
    "read by others": (Both(), (3,)),
    "a layer called twice": (Twice(), (3,)),
    "an activation between": (nn.Sequential(nn.Linear(3, 3), nn.SELU(), nn.BatchNorm1d(3)), (3,)),
    "over positions": (nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), (4, 3)),
    "no statistics": (nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, track_running_stats=False)), (3, 2, 2)),
    "first": (nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 3)), (3,)),
}


@pytest.mark.parametrize("case", STAYS)
def test_other_norms_stay(case):
    network, shape = STAYS[case]
    assert len(norms(folded(lived_in(network), *shape))) == 1


@pytest.mark.parametrize("norm", NORMS)
def test_of_the_grids_cells_the_one_with_the_norm_first_gets_smaller(norm, tmp_path):
    torch.manual_seed(0)
    unit = MultiGatedUnit(nn.Conv2d(3, 4, 3).double(), gates="channel")
    decision = {**NORMS[norm], "residual": "norm", "skip": "residual"}
    with torch.no_grad():
        for logits, gate in zip(unit.gates.logits, gates(unit.chain), strict=True):
            logits.fill_(60.0 if decision.get(gate.name, gate.closed) == gate.open else -60.0)
    soft, x = lived_in(nn.Sequential(unit)), torch.randn(4, 3, 6, 6, dtype=torch.float64)
    with torch.no_grad():
        hard = harden(soft, [(x, soft(x))], loss=F.mse_loss).model
    result = folded(hard, 3, 6, 6)
    assert len(norms(hard)) - len(norms(result)) == (norm == "bn_pre")
    with torch.no_grad():
        torch.testing.assert_close(load(save(result, tmp_path, (3, 6, 6)))(x), result(x), rtol=0, atol=0)


def test_what_cannot_be_folded_is_named():
    with pytest.raises(InputError, match="Bilinear"):
        fold(nn.Sequential(nn.Bilinear(2, 2, 2)), (2,))
    with pytest.raises(InputError, match="does not run"):
        fold(nn.Linear(2, 2), (3,))
