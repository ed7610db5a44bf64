"""The unit as a reader of the paper would write it: the listing of section 4.2 line by line, in plain torch modules.

It is what the unit's speed is measured against, and knows none of the library's shortcuts: seven layers are run on one
input, and five gates mix their two sides one after another. Layer norm is Keras's, over the channel axis alone.
"""

import copy
from collections import OrderedDict

import torch
from torch import Tensor, nn

from mgu.torch import MultiGatedUnit

EPSILON, MOMENTUM = 1e-3, 0.01
#: Our operations and gates by the attributes of the literal unit, for the transfer of weights.
OPERATIONS = {"layer": "linear", "bypass": "bypass", "bn_pre_act": "bn", "bn_post_act": "bn_post"}
GATES = ("g_bn_order", "g_bn_ln", "g_norm", "g_residual", "g_skip")


class ChannelLayerNorm(nn.Module):
    """Layer norm over the channels of (batch, channels, *positions), or over the last axis for Linear."""

    def __init__(self, channels: int, axis: int) -> None:
        super().__init__()
        self.axis, self.norm = axis, nn.LayerNorm(channels, eps=EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.movedim(self.axis, -1)).movedim(-1, self.axis)


class LiteralGate(nn.Module):
    """g a + (1 - g) b with g = sigmoid(replica(x))."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.transform = copy.deepcopy(layer)

    def forward(self, x: Tensor, a: Tensor, b: Tensor) -> Tensor:
        g = torch.sigmoid(self.transform(x))
        return g * a + (1 - g) * b


class LiteralUnit(nn.Module):
    """The unit of the listing around a Linear or a convolution of one to three axes."""

    def __init__(self, layer: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        linear = isinstance(layer, nn.Linear)
        channels = layer.out_features if linear else layer.out_channels
        batch_norm = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[layer.weight.ndim - 2]
        self.layer, self.bypass, self.activation = layer, copy.deepcopy(layer), activation
        self.bn_pre_act = batch_norm(channels, EPSILON, MOMENTUM)
        self.bn_post_act = batch_norm(channels, EPSILON, MOMENTUM)
        self.ln_post_act = ChannelLayerNorm(channels, -1 if linear else 1)
        for name in GATES:
            setattr(self, name, LiteralGate(layer))

    def forward(self, x: Tensor) -> Tensor:
        bypass = self.bypass(x)
        linear = self.layer(x)
        act = self.activation(linear)
        bn_act = self.activation(self.bn_pre_act(linear))
        act_bn = self.bn_post_act(act)
        act_ln = self.ln_post_act(act)
        order = self.g_bn_order(x, bn_act, act_bn)
        bn_ln = self.g_bn_ln(x, order, act_ln)
        processed = self.g_norm(x, bn_ln, act)
        residual = self.g_residual(x, processed, processed + bypass)
        return self.g_skip(x, bypass, residual)


def literal(unit: MultiGatedUnit) -> LiteralUnit:
    """The literal unit with the weights of one of ours that has replica gates and a replica bypass."""
    layer, activation = (copy.deepcopy(unit.operations[name]) for name in ("linear", "no_norm"))
    made = LiteralUnit(layer, activation).to(layer.weight)
    for name, ours in OPERATIONS.items():
        made.get_submodule(name).load_state_dict(unit.operations[ours].state_dict())
    made.ln_post_act.norm.load_state_dict(unit.operations["ln"].state_dict())
    for name, replica in zip(GATES, unit.gates.replicas, strict=True):
        made.get_submodule(name).transform.load_state_dict(replica.state_dict())
    return made.train(unit.training)


def literally(network: nn.Sequential) -> nn.Sequential:
    """The same network with literal units in the place of ours, which have replica gates and replica bypasses."""
    blocks = {name: literal(m) if isinstance(m, MultiGatedUnit) else m for name, m in network.named_children()}
    return nn.Sequential(OrderedDict(copy.deepcopy(blocks)))
