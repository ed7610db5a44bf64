"""Whole networks from an architecture: the grid's plain ones and the MGU network."""

from typing import Any

import keras
from keras import layers

from mgu.errors import InputError
from mgu.keras.layers import PLAIN_CONVOLUTIONS
from mgu.keras.unit import ChainBlock, MultiGatedUnit
from mgu.layouts import LayerPlan
from mgu.spaces import Architecture
from mgu.wiring import cell_chain

_POOLS = (layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D, layers.GlobalAveragePooling3D)


def build_network(
    architecture: Architecture,
    input_shape: tuple[int, ...],
    classes: int,
    *,
    data_format: str = "channels_last",
    **unit: Any,
) -> keras.Sequential:
    """The network of an architecture with fresh weights (Glorot-uniform kernels, zero biases).

    ``input_shape`` is (channels, *positions) with 0 to 3 position axes (dense layers for 0), as everywhere in mgu. The
    network takes (batch, *positions, channels), or (batch, channels, *positions) for the ``data_format``
    "channels_first", and gives logits (batch, classes): the layers, global average pooling, dropout, and a dense
    readout. The layers are MultiGatedUnits where the architecture has no cell (``unit`` are their options: gates,
    prior, residual_gate, form, bypass, processors), else that cell; a residual starts at the second layer.

    A layer with "same" padding and a stride is padded as Keras does it: where the stride divides the positions, more
    behind than before. The PyTorch half pads both sides alike.

    Raises InputError where the layout does not fit the input, or where an option, an activation or the data format is
    unknown.

    Source: paper, section 5.1, ``create_model``.
    """
    if data_format not in ("channels_last", "channels_first"):
        raise InputError(f"unknown data_format {data_format!r}; allowed: channels_last, channels_first")
    plan = architecture.plan(input_shape)
    axes = len(input_shape) - 1
    blocks = [_block(architecture, layer, i, data_format, unit) for i, layer in enumerate(plan)]
    pool = [_POOLS[axes - 1](data_format, name="pool")] if axes else []
    tail = [layers.Dropout(architecture.dropout, name="dropout"), layers.Dense(classes, name="readout")]
    channels, *positions = input_shape
    shape = (*positions, channels) if data_format == "channels_last" else input_shape
    return keras.Sequential([keras.Input(shape), *blocks, *pool, *tail])


def _block(
    architecture: Architecture, plan: LayerPlan, index: int, data_format: str, unit: dict[str, Any]
) -> ChainBlock:
    layer, name = _layer(plan, data_format), f"layer_{index + 1}"
    if architecture.cell is None:
        return MultiGatedUnit(layer, architecture.activation, name=name, **unit)
    chain = cell_chain(architecture.cell.norm, architecture.cell.residual and index >= 1)
    return ChainBlock(layer, chain, architecture.activation, name=name)


def _layer(plan: LayerPlan, data_format: str) -> layers.Layer:
    outputs, axes = plan.output_shape[0], len(plan.input_shape) - 1
    if axes == 0:
        return layers.Dense(outputs)
    if axes > len(PLAIN_CONVOLUTIONS):
        raise InputError(f"inputs of shape {plan.input_shape} have {axes} position axes; 0 to 3 are allowed")
    padding = "same" if plan.padding else "valid"
    return PLAIN_CONVOLUTIONS[axes - 1](outputs, plan.kernel_size, plan.stride, padding, data_format)
