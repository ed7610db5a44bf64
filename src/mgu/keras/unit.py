"""The MultiGatedUnit, and the plain cell: one layer that runs a chain."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, TypeAlias

import keras
from keras import layers, ops

from mgu.errors import InputError
from mgu.keras.bypass import BYPASSES, check_bypass
from mgu.keras.gates import check_gates, make_gates, mix
from mgu.keras.layers import PACKAGE, Shape, Wrapped, channel_axis_of, check_shape, replica
from mgu.keras.mixture import Mixture
from mgu.keras.norms import LayerNorm, RMSNorm, batch_norm
from mgu.keras.processors import SqueezeExcite, group_norm, instance_norm
from mgu.keras.switchable import SwitchableNorm
from mgu.wiring import OPTIONS, Chain, Gate, Op, evaluate, form_chain, options_text, prior_logits
from mgu.wiring import gates as chain_gates

#: The activations by name, as in the PyTorch half; any other is given as a layer or a function.
ACTIVATIONS: Mapping[str, Callable[..., layers.Layer]] = {
    **{name: partial(layers.Activation, name) for name in ("selu", "relu", "elu", "gelu", "silu")},
    "leaky_relu": partial(layers.LeakyReLU, 0.01),
    **{name: partial(layers.Activation, name) for name in ("tanh", "linear")},
}
Activation: TypeAlias = str | layers.Layer | Callable[[Any], Any]

#: What each kind of operation of the chain is, made for a wrapped layer and an activation. Bypasses have their own. A
#: processor of one's own is added by ``OPERATIONS[name] = ...``: a function of the layer with its ``out_channels`` and
#: ``channel_axis``, and of the activation, that makes a layer from values of the layer's output shape to such values.
OPERATIONS: dict[str, Callable[[Wrapped, Activation], layers.Layer]] = {
    "layer": lambda wrapped, activation: wrapped.layer,
    "activation": lambda wrapped, activation: _activation(activation, wrapped.dtype),
    "batch_norm": lambda wrapped, activation: batch_norm(wrapped.channel_axis, wrapped.dtype),
    "layer_norm": lambda wrapped, activation: LayerNorm(wrapped.channel_axis, wrapped.dtype),
    "rms_norm": lambda wrapped, activation: RMSNorm(wrapped.channel_axis, wrapped.dtype),
    "group_norm": lambda wrapped, activation: group_norm(wrapped.out_channels, wrapped.channel_axis, wrapped.dtype),
    "instance_norm": lambda wrapped, activation: instance_norm(
        wrapped.out_channels, wrapped.channel_axis, wrapped.dtype
    ),
    "squeeze_excite": lambda wrapped, activation: SqueezeExcite(wrapped.channel_axis, wrapped.dtype),
    "switchable_norm": lambda wrapped, activation: SwitchableNorm(
        wrapped.channel_axis, wrapped.convolves, wrapped.dtype
    ),
    "add": lambda wrapped, activation: layers.Add(dtype=wrapped.dtype),
}


@keras.saving.register_keras_serializable(package=PACKAGE)
class ChainBlock(layers.Layer):
    """A layer with the operations of a chain around it; without gates it is a plain cell of the grid.

    x is what the layer takes; the output has the shape of what it gives: (batch, *positions, channels), or
    (batch, channels, *positions) where the layer has its channels first. Raises InputError for an unknown activation or
    bypass, for what is no layer, for a layer with an activation of its own, and for an input that the layer does not
    take.
    """

    def __init__(
        self,
        layer: layers.Layer,
        chain: Chain,
        activation: Activation = "selu",
        bypass: str = "replica",
        *,
        channel_axis: int | None = None,
        **options: Any,
    ) -> None:
        axis = channel_axis_of(layer, channel_axis)
        check_bypass(bypass)
        _check_activation(activation)
        super().__init__(**{"dtype": layer.dtype_policy, **options})
        self.layer, self.chain, self.activation, self.bypass = layer, chain, activation, bypass
        self.channel_axis = axis

    def build(self, input_shape: Shape) -> None:
        check_shape(self.layer, tuple(input_shape), self.channel_axis)
        if not self.layer.built:
            self.layer.build(input_shape)
        wrapped = Wrapped.of(self.layer, input_shape, self.channel_axis, self.dtype_policy)
        self.wrapped = wrapped
        self.operations = {op.name: self._make(op, wrapped) for op in self.chain if isinstance(op, Op)}
        evaluate(self.chain, wrapped.input_shape, self._build_operation, lambda gate, opened, closed: opened)

    def call(self, x: Any, training: bool | None = None) -> Any:
        self._check_input(x)
        return evaluate(self.chain, x, partial(self._operate, training=training), self._no_gate)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return tuple(self.layer.compute_output_shape(input_shape))

    def get_config(self) -> dict[str, Any]:
        return {**self._shared_config(), "chain": [asdict(node) for node in self.chain]}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ChainBlock":
        chain = tuple(Gate(**node) if "open" in node else Op(**_tuples(node)) for node in config["chain"])
        return cls(**{**_revived(config), "chain": chain})

    def _shared_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "layer": keras.saving.serialize_keras_object(self.layer),
            "activation": keras.saving.serialize_keras_object(self.activation),
            "bypass": self.bypass,
            "channel_axis": self.channel_axis,
        }

    def _make(self, op: Op, wrapped: Wrapped) -> layers.Layer:
        if op.kind == "bypass":
            return BYPASSES[self.bypass](wrapped)
        if op.kind not in OPERATIONS:
            raise InputError(f"operation {op.kind!r} has no layer; add one by OPERATIONS[{op.kind!r}] = ...")
        return OPERATIONS[op.kind](wrapped, self.activation)

    def _build_operation(self, op: Op, *shapes: Shape) -> Shape:
        """Give an operation its weights; the shape of its output."""
        operation, shape = self.operations[op.name], _together(shapes)
        if not operation.built:
            with keras.name_scope(op.name):
                operation.build(shape)
        return tuple(operation.compute_output_shape(shape))

    def _operate(self, op: Op, *inputs: Any, training: bool | None) -> Any:
        return ops.cast(self.operations[op.name](_together(inputs), training=training), self.compute_dtype)

    def _no_gate(self, gate: Gate, opened: Any, closed: Any) -> Any:
        raise InputError(f"gate {gate.name!r} is not decided: a chain with gates needs a MultiGatedUnit")

    def _check_input(self, x: Any) -> None:
        check_shape(self.layer, tuple(x.shape), self.channel_axis)
        if x.shape[self.channel_axis] != self.wrapped.in_channels:
            raise InputError(
                f"an input of shape {tuple(x.shape)} arrived; {self.wrapped.in_channels} channels are needed on axis "
                f"{self.channel_axis}"
            )


@keras.saving.register_keras_serializable(package=PACKAGE)
class MultiGatedUnit(ChainBlock):
    """A layer that learns its norm, its residual and whether it is needed.

    With L = layer(x), t = bypass(x), A the activation, and on each line a gate g = sigmoid(logits(x)) of its own, the
    ``"code"`` form is:

        bn_order  y1 = g A(BN(L)) + (1 - g) BN(A(L))
        bn_ln     y2 = g y1 + (1 - g) LN(A(L))
        norm      y3 = g y2 + (1 - g) A(L)
        residual  y4 = g y3 + (1 - g) (y3 + t)
        skip      y  = g t + (1 - g) y4

    The ``"equations"`` form swaps the two sides of bn_order and of skip, and its layer norm path is A(LN(L)).

    ``layer`` is a Dense, a convolution of 1 to 3 axes (grouped, depth-wise and separable ones too), or a layer of one's
    own with a channel axis, with a linear activation; it becomes part of the unit. t is a replica of it with weights of
    its own (``bypass="replica"``, the paper's), the same with a batch norm behind it ("normed"), or the identity where
    the layer keeps its input's shape, else pooling and a 1 x 1 projection ("shortcut"). ``activation`` is a name, a
    layer or a function. ``gates`` is one of replica (the paper's), depthwise, squeeze, channel. ``prior`` is where the
    gates start: "plain" (towards batch norm, its order undecided, without residual and skip), "neutral" (one half each,
    the paper's), or one logit a gate in evaluation order. Without ``residual_gate`` y4 is y3. ``processors`` are
    further ones by name, each with a gate that is open without it: rms_norm, group_norm and instance_norm of A(L), each
    against y2 and those named before it; squeeze_excite of y3; and what one adds to ``mgu.wiring.PROCESSORS`` and
    ``mgu.keras.OPERATIONS``. ``channel_axis`` (1 or -1) is read from the layer's ``data_format`` where it is not given,
    and is the last axis where there is none. ``options`` are those of every Keras layer: name, dtype, trainable.

    x is (batch, *positions, channels), or (batch, channels, *positions) where the layer has its channels first; the
    output has the shape of L. Logits are multiplied by the attribute ``sharpness``, 1 at the start; a model that was
    compiled before it is changed has to be compiled again. Raises InputError for an unknown name, for a prior of the
    wrong length, for what is no layer, and for a layer with an activation of its own; and when it is built or called,
    for a layer that a bypass or gate kind does not take, and for an input without a batch axis, with other channels
    than the layer's, or without the positions that group_norm and instance_norm need.

    Source: Damian & Piciu 2020, section 4.2 (code form) and equations 1 to 19 (equations form).
    """

    def __init__(
        self,
        layer: layers.Layer,
        activation: Activation = "selu",
        *,
        gates: str = "channel",
        prior: str | Sequence[float] = "plain",
        residual_gate: bool = True,
        form: str = "code",
        bypass: str = "shortcut",
        processors: Sequence[str] = (),
        channel_axis: int | None = None,
        **options: Any,
    ) -> None:
        chain = form_chain(form, residual_gate=residual_gate, processors=processors)
        check_gates(gates)
        priors = prior_logits(prior, form, residual_gate=residual_gate, processors=processors)
        super().__init__(layer, chain, activation, bypass, channel_axis=channel_axis, **options)
        self.kind, self.prior, self.residual_gate, self.form = gates, prior, residual_gate, form
        self.processors, self.priors = tuple(processors), priors
        self.gate_names = tuple(gate.name for gate in chain_gates(chain))
        self.sharpness = 1.0

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self.gates = make_gates(self.kind, self.wrapped, self.priors)

    def call(self, x: Any, training: bool | None = None) -> Any:
        self._check_input(x)
        logits, operate = self.gate_logits(x, training), partial(self._operate, training=training)
        if all(len(values.shape) < len(x.shape) or values.shape[0] == 1 for values in logits.values()):
            placement = self.channel_axis, self.compute_dtype
            run = Mixture(self.chain, x, self.operations, operate, logits, *placement, training)
            return run.value(self.chain[-1].name)
        return evaluate(self.chain, x, operate, lambda gate, *sides: mix(logits[gate.name], self.channel_axis, *sides))

    def gate_logits(self, x: Any, training: bool | None = None) -> dict[str, Any]:
        """Each gate's logits for input ``x``, times the unit's sharpness, by gate name: of the output's shape, or
        (batch or 1, channels) where the gate kind makes no difference between positions."""
        logits = self.gates(x, training=training)
        if self.sharpness != 1:
            logits = tuple(self.sharpness * values for values in logits)
        return dict(zip(self.gate_names, logits, strict=True))

    def get_config(self) -> dict[str, Any]:
        return {
            **self._shared_config(),
            "gates": self.kind,
            "prior": self.prior if isinstance(self.prior, str) else list(self.priors),
            "residual_gate": self.residual_gate,
            "form": self.form,
            "processors": list(self.processors),
            "sharpness": self.sharpness,
        }

    def __repr__(self) -> str:
        options = {name: value for name, value in self.get_config().items() if name in OPTIONS}
        text = options_text(options, self.sharpness)
        return f"<MultiGatedUnit name={self.name}, layer={self.layer.name}, {text}, built={self.built}>"

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MultiGatedUnit":
        config = _revived(config)
        sharpness = config.pop("sharpness", 1.0)
        unit = cls(**config)
        unit.sharpness = sharpness
        return unit


def _check_activation(activation: Activation) -> None:
    if activation not in ACTIVATIONS if isinstance(activation, str) else not callable(activation):
        raise InputError(
            f"unknown activation {activation!r}; allowed: {', '.join(ACTIVATIONS)}, or a keras.layers.Layer or function"
        )


def _activation(activation: Activation, dtype: keras.DTypePolicy) -> layers.Layer:
    """A layer of its own for each place in the chain."""
    if isinstance(activation, layers.Layer):
        return replica(activation)
    return (
        ACTIVATIONS[activation](dtype=dtype)
        if isinstance(activation, str)
        else layers.Activation(activation, dtype=dtype)
    )


def _together(values: tuple[Any, ...]) -> Any:
    """Several inputs as Keras's layers take them, in a list."""
    return values[0] if len(values) == 1 else list(values)


def _revived(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration with its layer and activation as objects again."""
    revive = keras.saving.deserialize_keras_object
    return {**config, "layer": revive(config["layer"]), "activation": revive(config["activation"])}


def _tuples(node: dict[str, Any]) -> dict[str, Any]:
    return {**node, "inputs": tuple(node["inputs"])}
