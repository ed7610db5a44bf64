"""Whole networks: the published sizes, the plain rivals against torch's own layers, and the Glorot start."""

import csv
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from mgu.errors import InputError
from mgu.layouts import Layout
from mgu.spaces import Architecture, Cell, load_space
from mgu.torch import build_network, count_weights, model_size

PUBLISHED = Path(__file__).parents[2] / ".." / "shared" / "paper"
#: The published MGU rows had replica gates; only the second CIFAR-10 one had the residual gate.
PUBLISHED_MGU = {"MNI_MGU_001": False, "CIF_MGU_001": False, "CIF_MGU_002": True}


def published_rows(data):
    path = PUBLISHED / f"{data}.csv"
    if not path.is_file():
        pytest.skip(f"the paper's table is not beside this checkout: {path}")
    return list(csv.DictReader(path.read_text().splitlines()))


def printed(size, printed_size, unit):
    """The size in thousands or millions, with as many digits as the table prints (it drops trailing zeros)."""
    return f"{round(size / unit, 2):g}" == f"{float(printed_size):g}"


@pytest.mark.parametrize(("data", "column", "unit"), [("mnist", "model_size_K", 1e3), ("cifar10", "model_size_M", 1e6)])
def test_all_published_sizes_to_the_printed_digit(data, column, unit):
    space = load_space(data)
    models = space.models()
    checked = []
    for row in published_rows(data):
        name, layout = row["model_name"], Layout.of([float(n) for n in row["layout"].strip("[]").split(",")])
        if name in PUBLISHED_MGU:
            architecture = Architecture(layout, start_filters=space.start_filters, max_filters=space.max_filters)
            options = {"gates": "replica", "bypass": "replica", "residual_gate": PUBLISHED_MGU[name]}
        else:
            architecture, options = models[name], {}
            assert (architecture.layout, architecture.cell) == (layout, Cell(row["norm"], row["residual"] == "1"))
        size = model_size(architecture, space.input_shape, space.classes, **options)
        assert printed(size, row[column], unit), f"{name}: {size} is not {row[column]}"
        checked.append(name)
    assert len(checked) == {"mnist": 25, "cifar10": 26}[data]


def test_some_published_sizes_without_the_table():
    """Paper, section 6.1: MNI_001, MNI_002, MNI_003, MNI_MGU_001, in thousands."""
    models, shape = load_space("mnist").models(), (1, 28, 28)
    sizes = [model_size(models[name], shape, 10) / 1e3 for name in ("MNI_001", "MNI_002", "MNI_003")]
    sizes.append(
        model_size(models["MNI_MGU_001"], shape, 10, gates="replica", bypass="replica", residual_gate=False) / 1e3
    )
    assert [round(size, 2) for size in sizes] == [98.92, 195.91, 99.4, 586.6]


def test_size_on_the_meta_device_is_the_size_of_the_real_network():
    space = load_space("digits")
    for architecture in space.models().values():
        real = build_network(architecture, space.input_shape, space.classes)
        assert model_size(architecture, space.input_shape, space.classes) == count_weights(real)


class Listing(nn.Module):
    """The paper's ``create_model`` for one plain cell, in torch's own layers and channels-last layer norm."""

    def __init__(self, norm, residual, filters):
        super().__init__()
        self.norm, self.residual = norm, residual
        pairs = list(zip([1, *filters], filters, strict=False))
        self.layers = nn.ModuleList(nn.Conv2d(i, o, 3, stride=2 if n < 2 else 1) for n, (i, o) in enumerate(pairs))
        self.extra = nn.ModuleList(nn.Conv2d(i, o, 3, stride=2 if n < 2 else 1) for n, (i, o) in enumerate(pairs))
        make = {"bn_pre": lambda o: nn.BatchNorm2d(o, 1e-3, 0.01), "ln": lambda o: nn.LayerNorm(o, 1e-3)}
        make |= {"bn_post": make["bn_pre"], "no_norm": lambda o: nn.Identity()}
        self.norms = nn.ModuleList(make[norm](o) for o in filters)
        self.readout = nn.Linear(filters[-1], 10)

    def forward(self, x):
        for i, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            y = layer(x)
            if self.norm == "bn_pre":
                y = nn.functional.selu(norm(y))
            elif self.norm == "ln":
                y = norm(nn.functional.selu(y).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            else:
                y = norm(nn.functional.selu(y))
            x = y + self.extra[i](x) if self.residual and i >= 1 else y
        return self.readout(x.mean(dim=(2, 3)))


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("norm", ["bn_pre", "bn_post", "ln", "no_norm"])
def test_a_plain_network_is_the_papers_listing(norm, residual, training):
    torch.manual_seed(0)
    architecture = Architecture(Layout(4, 2, 2, math.inf, 2), Cell(norm, residual), dropout=0.0, start_filters=4)
    network = build_network(architecture, (1, 28, 28), 10).train(training)
    listing = Listing(norm, residual, [4, 8, 16, 32]).train(training)
    norm_name = {"bn_pre": "bn", "bn_post": "bn_post", "ln": "ln"}.get(norm)
    for i in range(4):
        operations = network[i].operations
        listing.layers[i].load_state_dict(operations["linear"].state_dict())
        assert ("bypass" in operations) == (residual and i >= 1)
        if "bypass" in operations:
            listing.extra[i].load_state_dict(operations["bypass"].state_dict())
        if norm_name:
            operations[norm_name].weight.data.uniform_(0.5, 1.5)
            listing.norms[i].load_state_dict(operations[norm_name].state_dict())
    listing.readout.load_state_dict(network.readout.state_dict())
    x = torch.randn(8, 1, 28, 28)
    torch.testing.assert_close(network(x), listing(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("residual", [True, False])
def test_with_all_of_its_weight_on_batch_norm_an_sn_network_is_the_bn_pre_one(residual, training):
    torch.manual_seed(0)
    networks = [
        build_network(
            Architecture(Layout(3, 1, 2, math.inf, 2), Cell(norm, residual), dropout=0.0, start_filters=4),
            (1, 12, 12),
            5,
        ).train(training)
        for norm in ("sn", "bn_pre")
    ]
    own, other = (network.state_dict() for network in networks)
    for name in other:
        if "num_batches_tracked" not in name:
            other[name].copy_(own[name.replace(".bn.", ".sn.")])
    with torch.no_grad():
        for i in range(3):
            norm = networks[0][i].operations["sn"]
            norm.mean_logits[-1] = norm.var_logits[-1] = 60.0
    x = torch.randn(8, 1, 12, 12)
    torch.testing.assert_close(networks[0](x), networks[1](x), rtol=1e-4, atol=1e-5)


def test_an_sn_network_has_six_weights_a_layer_more_than_bn_pre_and_of_features_four():
    def size(norm, shape):
        return model_size(Architecture(Layout(3, 1, 2, math.inf, 2), Cell(norm, True)), shape, 5)

    assert size("sn", (1, 12, 12)) - size("bn_pre", (1, 12, 12)) == 3 * 6
    assert size("sn", (7,)) - size("bn_pre", (7,)) == 3 * 4


def test_kernels_start_glorot_uniform_and_biases_at_zero():
    torch.manual_seed(0)
    network = build_network(
        load_space("cifar10").models()["CIF_MGU_001"], (3, 32, 32), 10, gates="replica", bypass="replica"
    )
    unit = network.layer_6
    for layer in (unit.operations["linear"], unit.operations["bypass"], unit.gates.replicas[0]):
        bound = math.sqrt(6 / (9 * (layer.in_channels + layer.out_channels)))
        assert layer.weight.abs().max() <= bound
        assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)
    assert not unit.operations["linear"].bias.any()
    assert not network.readout.bias.any()


@pytest.mark.parametrize("shape", [(5,), (2, 20), (2, 20, 20), (1, 12, 12, 12)])
@pytest.mark.parametrize("cell", [None, Cell("ln", True), Cell("sn", True)])
def test_networks_over_0_to_3_position_axes(shape, cell):
    architecture = Architecture(Layout(3, 1, 2, math.inf, 1.5), cell, start_filters=4)
    network = build_network(architecture, shape, 3)
    assert network(torch.randn(2, *shape)).shape == (2, 3)


def test_more_axes_than_there_are_convolutions():
    with pytest.raises(InputError, match="4 position axes; 0 to 3 are allowed"):
        build_network(Architecture(Layout(1, 0, 1, 1, 1)), (1, 3, 3, 3, 3), 2)


def test_a_network_larger_than_any_has_no_size():
    with pytest.raises(InputError, match="is no network that torch can hold"):
        model_size(Architecture(Layout(1, 0, 1, 1, 1)), (10**6,) * 4, 3)
