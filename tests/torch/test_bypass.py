"""The bypass kinds: shapes, what each costs and computes, and that a skipped shortcut is free after hardening."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from mgu.errors import InputError
from mgu.spaces import load_space
from mgu.torch import MultiGatedUnit, build_network, harden
from mgu.torch.bypass import BYPASSES


@pytest.mark.parametrize("kind", BYPASSES)
@settings(max_examples=25, deadline=None)
@given(
    axes=st.integers(0, 3),
    channels=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    padding=st.one_of(st.integers(0, 2), st.just("valid"), st.just("same")),
)
def test_the_bypass_has_the_layers_shape(kind, axes, channels, kernel, stride, padding):
    if axes == 0:
        layer, shape = nn.Linear(*channels), (3, channels[0])
    else:
        assume(padding == "valid" or stride == 1 or padding != "same")
        assume(isinstance(padding, str) or 2 * padding <= kernel)
        assume(padding != "same" or kernel % 2)
        layer = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[axes - 1](*channels, kernel, stride, padding)
        shape = (3, channels[0], *range(5, 5 + axes))
    unit = MultiGatedUnit(layer, bypass=kind)
    x = torch.randn(shape)
    assert unit.operations["bypass"](x).shape == layer(x).shape == unit(x).shape


def test_a_shortcut_is_the_identity_where_the_shape_stays():
    for layer in (
        nn.Linear(4, 4),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.Conv1d(4, 4, 5, padding="same"),
        nn.Conv3d(4, 4, 1),
    ):
        assert isinstance(MultiGatedUnit(layer, bypass="shortcut").operations["bypass"], nn.Identity)


def test_a_shortcut_pools_by_the_layers_window_and_projects_the_channels():
    spread = MultiGatedUnit(nn.Conv2d(2, 3, 3, dilation=2, padding=1), bypass="shortcut").operations["bypass"]
    assert spread(torch.ones(1, 2, 9, 9)).shape == (1, 3, 7, 7)
    bypass = MultiGatedUnit(nn.Conv2d(2, 3, 3, stride=2, padding=1), bypass="shortcut").operations["bypass"]
    x = torch.randn(4, 2, 7, 7)
    ones = F.conv2d(torch.ones(1, 1, 7, 7), torch.ones(1, 1, 3, 3), stride=2, padding=1)
    means = F.conv2d(x, torch.ones(2, 1, 3, 3), stride=2, padding=1, groups=2) / ones
    expected = torch.einsum("oi,nihw->nohw", bypass[1].weight[:, :, 0, 0], means)
    torch.testing.assert_close(bypass(x), expected)
    assert bypass[1].bias is None


def test_a_normed_bypass_is_a_replica_with_a_batch_norm_behind_it():
    unit = MultiGatedUnit(nn.Conv2d(3, 4, 3), bypass="normed")
    replica, norm = unit.operations["bypass"]
    out = unit.operations["bypass"](torch.randn(16, 3, 8, 8) * 100)
    assert replica.weight.shape == unit.operations["linear"].weight.shape
    torch.testing.assert_close(out.mean(dim=(0, 2, 3)), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(out.var(dim=(0, 2, 3), correction=0), torch.ones(4), atol=1e-3, rtol=0)
    assert norm.eps == 1e-3


@pytest.mark.parametrize("kind", BYPASSES)
def test_a_skipped_unit_hardens_to_its_bypass_alone(kind):
    torch.manual_seed(0)
    unit = MultiGatedUnit(nn.Conv2d(4, 4, 3, padding=1), gates="channel", bypass=kind, prior=[0, 0, 0, 0, 60])
    model = nn.Sequential(unit, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    x = torch.randn(5, 4, 6, 6)
    with torch.no_grad():
        answers = model.eval()(x)
    hardened = harden(model, [(x, answers)], loss=F.mse_loss)
    assert hardened.largest_difference < 1e-6
    weights = sum(p.numel() for p in hardened.model.parameters())
    assert weights == {"replica": 4 * 4 * 9 + 4, "normed": 4 * 4 * 9 + 4 + 8, "shortcut": 0}[kind]


def test_in_a_network_and_in_bad_hands():
    space = load_space("digits")
    for kind in BYPASSES:
        network = build_network(space.models()["DIG_MGU_001"], space.input_shape, 10, bypass=kind)
        assert network(torch.randn(2, 1, 8, 8)).shape == (2, 10)
    with pytest.raises(InputError, match="unknown bypass 'none'; allowed: replica, normed, shortcut"):
        MultiGatedUnit(nn.Linear(2, 2), bypass="none")
    with pytest.raises(InputError, match=r"cannot pad Conv1d.* evenly"):
        MultiGatedUnit(nn.Conv1d(2, 2, 2, padding="same"), bypass="shortcut")
    with pytest.raises(InputError, match="padding is more than half its kernel"):
        MultiGatedUnit(nn.Conv2d(2, 2, 3, padding=2), bypass="shortcut")
