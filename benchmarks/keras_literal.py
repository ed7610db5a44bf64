"""The unit as a reader of the paper would write it in Keras: the listing of section 4.2 line by line, in plain layers.

It is what the Keras unit's speed is measured against, and knows none of the library's shortcuts: seven layers are run
on one input, and five gates mix their two sides one after another.
"""

from typing import Any

import keras
from keras import layers

from mgu.keras import MultiGatedUnit

Shape = tuple[int | None, ...]
#: The literal unit's layers by ours, for the transfer of weights.
OPERATIONS = {
    "linear": "layer",
    "bypass": "bypass",
    "bn": "bn_pre_act",
    "bn_post": "bn_pos_act",
    "ln": "ln_pos_act",
}
GATES = ("g_bpre_bpos", "g_bn_ln", "g_norm_non", "g_residual", "g_proc_skip")


class LiteralGate(layers.Layer):
    """g a + (1 - g) b with g = sigmoid(replica(x))."""

    def __init__(self, layer: layers.Layer) -> None:
        super().__init__()
        self.gate_trans, self.gate_activ = clone(layer), layers.Activation("sigmoid")

    def build(self, shapes: list[Shape]) -> None:
        self.gate_trans.build(shapes[0])

    def call(self, inputs: list[Any]) -> Any:
        source, value1, value2 = inputs
        gate = self.gate_activ(self.gate_trans(source))
        return gate * value1 + (1 - gate) * value2


class LiteralUnit(layers.Layer):
    """The unit of the listing around a Dense or a convolution of one to three axes, its channels last."""

    def __init__(self, layer: layers.Layer, activation: str) -> None:
        super().__init__()
        self.layer, self.bypass = layer, clone(layer)
        self.act_pre_bn, self.act_post_bn = layers.Activation(activation), layers.Activation(activation)
        self.bn_pre_act, self.bn_pos_act = layers.BatchNormalization(), layers.BatchNormalization()
        self.ln_pos_act = layers.LayerNormalization()
        for name in GATES:
            setattr(self, name, LiteralGate(layer))

    def build(self, shape: Shape) -> None:
        output = self.layer.compute_output_shape(shape)
        self.layer.build(shape)
        self.bypass.build(shape)
        for norm in (self.bn_pre_act, self.bn_pos_act, self.ln_pos_act):
            norm.build(output)
        for name in GATES:
            getattr(self, name).build([shape, output, output])

    def compute_output_shape(self, shape: Shape) -> Shape:
        return self.layer.compute_output_shape(shape)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        bypass = self.bypass(inputs)
        x = self.layer(inputs)
        x_act = self.act_pre_bn(x)
        x_bn_act = self.act_post_bn(self.bn_pre_act(x, training=training))
        x_act_bn = self.bn_pos_act(x_act, training=training)
        x_act_ln = self.ln_pos_act(x_act)
        bpre_bpos = self.g_bpre_bpos([inputs, x_bn_act, x_act_bn])
        bn_ln = self.g_bn_ln([inputs, bpre_bpos, x_act_ln])
        processed = self.g_norm_non([inputs, bn_ln, x_act])
        final_processed = self.g_residual([inputs, processed, processed + bypass])
        return self.g_proc_skip([inputs, bypass, final_processed])


def clone(layer: layers.Layer) -> layers.Layer:
    return type(layer).from_config({**layer.get_config(), "name": None})


def literal(unit: MultiGatedUnit) -> LiteralUnit:
    """The literal unit with the weights of a built one of ours that has replica gates and a replica bypass."""
    made = LiteralUnit(clone(unit.layer), unit.activation)
    made.build(unit.wrapped.input_shape)
    for ours, name in OPERATIONS.items():
        getattr(made, name).set_weights(unit.operations[ours].get_weights())
    for name, replica in zip(GATES, unit.gates.replicas, strict=True):
        getattr(made, name).gate_trans.set_weights(replica.get_weights())
    return made


def literally(network: keras.Sequential) -> keras.Sequential:
    """The same network with literal units in the place of ours, which have replica gates and replica bypasses."""
    blocks = [literal(one) if isinstance(one, MultiGatedUnit) else clone(one) for one in network.layers]
    made = keras.Sequential([keras.Input(network.input_shape[1:]), *blocks])
    made.layers[-1].set_weights(network.layers[-1].get_weights())
    return made
