"""Whole networks from an architecture: the grid's plain ones and the MGU network."""

from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from mgu.errors import InputError
from mgu.layouts import LayerPlan
from mgu.spaces import Architecture
from mgu.torch.layers import Wrapped, initialise
from mgu.torch.unit import ChainBlock, MultiGatedUnit
from mgu.wiring import cell_chain

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_POOLS = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)


def build_network(architecture: Architecture, input_shape: tuple[int, ...], classes: int, **unit: Any) -> nn.Sequential:
    """The network of an architecture with fresh weights (Glorot-uniform kernels, zero biases, as in Keras).

    It takes (batch, *input_shape), input_shape being (channels, *positions) with 0 to 3 position axes (linear layers
    for 0), and gives logits (batch, classes): the layers, global average pooling, dropout, and a linear readout. The
    layers are MultiGatedUnits where the architecture has no cell (``unit`` are their options: gates, prior,
    residual_gate, form, processors), else that cell; a residual starts at the second layer.

    Raises InputError where the layout does not fit the input, or where an option or an activation is unknown.

    Source: paper, section 5.1, ``create_model``.
    """
    plan = architecture.plan(input_shape)
    layers = [(f"layer_{i + 1}", _block(architecture, layer, i, unit)) for i, layer in enumerate(plan)]
    readout = nn.Linear(plan[-1].output_shape[0], classes)
    initialise(readout)
    axes = len(input_shape) - 1
    pool = [("pool", _POOLS[axes - 1](1)), ("flatten", nn.Flatten())] if axes else []
    tail = [("dropout", nn.Dropout(architecture.dropout)), ("readout", readout)]
    return nn.Sequential(OrderedDict([*layers, *pool, *tail]))


def count_weights(module: nn.Module) -> int:
    """The number of weights, batch norm's running statistics included (Keras's ``count_params``)."""
    buffers = (buffer for buffer in module.buffers() if buffer.is_floating_point())
    return sum(parameter.numel() for parameter in module.parameters()) + sum(buffer.numel() for buffer in buffers)


def model_size(architecture: Architecture, input_shape: tuple[int, ...], classes: int, **unit: Any) -> int:
    """``count_weights`` of the network that ``build_network`` would build, without memory for its weights.

    Raises InputError as ``build_network`` does, for a network larger than any, and where the network does not take the
    input: group and instance norm need positions.
    """
    try:
        with torch.device("meta"), torch.no_grad():
            network = build_network(architecture, input_shape, classes, **unit).eval()
            if architecture.cell is None:  # a processor that does not take the input says so before any training
                network(torch.empty(1, *input_shape))
            return count_weights(network)
    except RuntimeError as error:
        raise InputError(
            f"layout {architecture.layout} on inputs of shape {input_shape} with filters from "
            f"{architecture.start_filters} to {architecture.max_filters} and kernel_size {architecture.kernel_size} is "
            f"no network that torch can hold ({str(error).splitlines()[0]}); make the inputs or the layers smaller"
        ) from error


def _block(architecture: Architecture, plan: LayerPlan, index: int, unit: dict[str, Any]) -> nn.Module:
    layer = initialise(_layer(plan))
    if architecture.cell is None:
        return MultiGatedUnit(layer, architecture.activation, **unit)
    chain = cell_chain(architecture.cell.norm, architecture.cell.residual and index >= 1)
    return ChainBlock(Wrapped.of(layer), chain, architecture.activation)


def _layer(plan: LayerPlan) -> nn.Module:
    inputs, outputs = plan.input_shape[0], plan.output_shape[0]
    axes = len(plan.input_shape) - 1
    if axes == 0:
        return nn.Linear(inputs, outputs)
    if axes > len(_CONVOLUTIONS):
        raise InputError(f"inputs of shape {plan.input_shape} have {axes} position axes; 0 to 3 are allowed")
    return _CONVOLUTIONS[axes - 1](inputs, outputs, plan.kernel_size, plan.stride, plan.padding)
