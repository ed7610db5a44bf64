"""Layers run as one give what each gives by itself, in values and gradients; what is not alike is left alone."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from mgu.torch import MultiGatedUnit
from mgu.torch.layers import replica
from mgu.torch.together import alike, run, together

LAYERS = {
    "linear": (lambda: nn.Linear(5, 7), (6, 5)),
    "linear with positions": (lambda: nn.Linear(5, 7), (3, 2, 5)),
    "linear without bias": (lambda: nn.Linear(5, 7, bias=False), (6, 5)),
    "conv1d": (lambda: nn.Conv1d(4, 6, 3, stride=2, padding=1), (5, 4, 10)),
    "conv2d": (lambda: nn.Conv2d(3, 8, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2)), (4, 3, 9, 8)),
    "conv2d, even kernel, same": (lambda: nn.Conv2d(3, 4, 4, padding="same"), (2, 3, 6, 5)),
    "conv2d without bias": (lambda: nn.Conv2d(3, 4, 3, bias=False), (2, 3, 5, 5)),
    "conv3d, valid": (lambda: nn.Conv3d(2, 3, 2, padding="valid", stride=3), (3, 2, 5, 6, 4)),
}


def offsets(layers):
    return [None, *(torch.full((len(layer.weight),), 2.0, dtype=torch.float64) for layer in layers[1:])]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")  # torch's own layers
@pytest.mark.parametrize("name", LAYERS)
def test_values_and_gradients_of_any_order_are_those_of_each_layer(name):
    torch.manual_seed(0)
    make, shape = LAYERS[name]
    layers = [replica(make()).double() for _ in range(3)]
    axis = -1 if isinstance(layers[0], nn.Linear) else 1
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    values, merged = run(layers, x, offsets(layers), axis)
    assert merged is not None
    leaves = [x, *(parameter for layer in layers for parameter in layer.parameters())]
    expected = [layer(x) + (0 if offset is None else 2) for layer, offset in zip(layers, offsets(layers), strict=True)]
    results = []
    for outputs in (values, expected):
        grads = torch.autograd.grad(sum(value.sin().sum() for value in outputs), leaves, create_graph=True)
        second = torch.autograd.grad(grads[0].square().sum(), leaves, allow_unused=True)
        results.append([*outputs, *grads, *(grad for grad in second if grad is not None)])
    for found, wanted in zip(*results, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")  # torch's forward mode
def test_function_transforms_autocast_and_forward_mode_run_each_layer():
    layers = [nn.Conv2d(3, 4, 3) for _ in range(2)]
    x = torch.randn(2, 3, 5, 5)
    assert together(layers, x, [None, None]) is not None
    with torch.autocast("cpu", torch.bfloat16):
        assert run(layers, x, [None, None], 1).values[0].dtype == torch.bfloat16
    vmapped = torch.func.vmap(lambda one: run(layers, one[None], [None, None], 1).values[1][0])(x)
    torch.testing.assert_close(vmapped, layers[1](x))
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, torch.ones_like(x))
        tangent = torch.autograd.forward_ad.unpack_dual(run(layers, dual, [None, None], 1).values[0]).tangent
    torch.testing.assert_close(tangent, nn.functional.conv2d(torch.ones_like(x), layers[0].weight))


def test_what_is_not_alike():
    plain = nn.Conv2d(4, 4, 3, padding=1)
    hooked = copy.deepcopy(plain)
    hooked.register_forward_hook(lambda *arguments: None)
    others = [
        nn.Conv2d(4, 4, 3, padding=1, stride=2),
        nn.Conv2d(4, 4, 3),
        nn.Conv2d(4, 4, 3, padding=1, groups=2),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"),
        parametrizations.weight_norm(copy.deepcopy(plain)),
        hooked,
        nn.Linear(4, 4),
        nn.ConvTranspose2d(4, 4, 3),
    ]
    assert alike([plain, copy.deepcopy(plain), nn.Conv2d(4, 9, 3, padding=1, bias=False)])
    for other in others:
        assert not alike([plain, other])
    assert not alike([others[2], others[2]])  # in groups: the channels of several layers would mix


@pytest.mark.parametrize("bypass", ["replica", "normed", "shortcut"])
@pytest.mark.parametrize("groups", [1, 2])
def test_a_unit_is_the_same_with_a_hook_that_keeps_its_layers_apart(groups, bypass):
    torch.manual_seed(0)
    unit = MultiGatedUnit(nn.Conv2d(4, 6, 3, groups=groups), gates="replica", bypass=bypass).double()
    apart = copy.deepcopy(unit)
    seen = []
    for module in (apart.operations["linear"], apart.gates.replicas[0]):
        module.register_forward_hook(lambda module, inputs, output: seen.append(output))
    x = torch.randn(3, 4, 6, 6, dtype=torch.float64)
    torch.testing.assert_close(unit(x), apart(x), rtol=1e-10, atol=1e-12)
    assert len(seen) == 2


@pytest.mark.parametrize("hooked", ["layer", "gates"])
def test_hooks_are_called(hooked):
    unit, seen = MultiGatedUnit(nn.Linear(3, 4), gates="replica", bypass="replica"), []
    module = unit.gates if hooked == "gates" else unit.operations["linear"]
    module.register_forward_hook(lambda *arguments: seen.append(arguments))
    unit(torch.randn(5, 3))
    assert len(seen) == 1
