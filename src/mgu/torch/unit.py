"""The MultiGatedUnit, and the plain cell: one module that runs a chain."""

import copy
import math
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn

from mgu.errors import InputError
from mgu.torch.bypass import make_bypass
from mgu.torch.fused import hooked
from mgu.torch.gated import gated
from mgu.torch.gates import ReplicaGates, make_gates, mix
from mgu.torch.layers import Wrapped
from mgu.torch.mixture import Mixture, blends
from mgu.torch.norms import BatchNorm, LayerNorm
from mgu.torch.processors import GroupNorm, InstanceNorm, RMSNorm, SqueezeExcite
from mgu.torch.switchable import SwitchableNorm
from mgu.torch.together import alike
from mgu.wiring import INPUT, Chain, Gate, Op, evaluate, form_chain, options_text, prior_logits
from mgu.wiring import gates as chain_gates

#: The activations by name; any other is given as a module.
ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "selu": nn.SELU,
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "linear": nn.Identity,
}


class Add(nn.Module):
    """The sum of two values of one shape."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


def _over_channels(kind: Callable[..., nn.Module]) -> Callable[[Wrapped, nn.Module], nn.Module]:
    """How a module that needs the channels and their axis is made."""
    return lambda wrapped, activation: kind(wrapped.out_channels, wrapped.channel_axis, **wrapped.placement())


#: What each kind of operation of the chain is, made for a wrapped layer and an activation. Bypasses have their own. A
#: processor of one's own is added by ``OPERATIONS[name] = ...``: a function of the layer with its ``out_channels`` and
#: ``channel_axis``, and of the activation, that makes a module from values of the layer's output shape to such values.
OPERATIONS: dict[str, Callable[[Wrapped, nn.Module], nn.Module]] = {
    "layer": lambda wrapped, activation: wrapped.layer,
    "activation": lambda wrapped, activation: copy.deepcopy(activation),
    "batch_norm": _over_channels(BatchNorm),
    "layer_norm": _over_channels(LayerNorm),
    "rms_norm": _over_channels(RMSNorm),
    "group_norm": _over_channels(GroupNorm),
    "instance_norm": _over_channels(InstanceNorm),
    "squeeze_excite": _over_channels(SqueezeExcite),
    "switchable_norm": _over_channels(SwitchableNorm),
    "add": lambda wrapped, activation: Add(),
}


class ChainBlock(nn.Module):
    """A layer with the operations of a chain around it; without gates it is a plain cell of the grid.

    x is what the layer takes; the output has the shape of what it gives: (batch, channels, *positions), or
    (batch, *positions, channels) for Linear. Raises InputError for an unknown activation or bypass, and for an input
    without a batch axis or with other channels than the layer's.
    """

    def __init__(
        self, wrapped: Wrapped, chain: Chain, activation: str | nn.Module = "selu", bypass: str = "replica"
    ) -> None:
        super().__init__()
        self.chain, self.channel_axis, self.rank = chain, wrapped.channel_axis, wrapped.rank
        self.in_channels = wrapped.in_channels
        made = _activation(activation)

        def make(op: Op) -> nn.Module:
            return make_bypass(bypass, wrapped) if op.kind == "bypass" else _operation(op.kind)(wrapped, made)

        self.operations = nn.ModuleDict({op.name: make(op) for op in chain if isinstance(op, Op)})

    def forward(self, x: Tensor) -> Tensor:
        self._check_shape(x)
        return evaluate(self.chain, x, self._operate, self._no_gate)

    def _operate(self, op: Op, *inputs: Tensor) -> Tensor:
        return self.operations[op.name](*inputs)  # type: ignore[no-any-return]

    def _no_gate(self, gate: Gate, opened: Tensor, closed: Tensor) -> Tensor:
        raise InputError(f"gate {gate.name!r} is not decided: a chain with gates needs a MultiGatedUnit")

    def _check_shape(self, x: Tensor) -> None:
        if self.rank is not None and x.ndim != self.rank:
            axes = "(batch, channels" + ", positions" * (self.rank - 2) + ")"
            raise InputError(f"an input of shape {tuple(x.shape)} arrived; {axes} is needed, the batch axis included")
        if x.ndim < 2:
            raise InputError(f"an input of shape {tuple(x.shape)} arrived; it needs a batch axis and a channel axis")
        if x.shape[self.channel_axis] != self.in_channels:
            raise InputError(
                f"an input of shape {tuple(x.shape)} arrived; {self.in_channels} channels are needed on axis "
                f"{self.channel_axis}"
            )


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

    ``layer`` is a Linear or a convolution of 1 to 3 axes (grouped and depth-wise ones too) with a linear activation, or
    a module of one's own with a channel axis; its weights are left as they are. t is a replica of it with weights of
    its own (``bypass="replica"``, the paper's), the same with a batch norm behind it ("normed"), or the identity where
    the layer keeps its input's shape, else pooling and a 1 x 1 projection ("shortcut"). ``activation`` is a name or a
    module. ``gates`` is one of replica (the paper's), depthwise, squeeze, channel. ``prior`` is where the gates start:
    "plain" (towards batch norm, its order undecided, without residual and skip), "neutral" (one half each, the
    paper's), or one logit a gate in evaluation order. Without ``residual_gate`` y4 is y3. ``processors`` are further
    ones by name, each with a gate that is open without it: rms_norm, group_norm and instance_norm of A(L), each against
    y2 and those named before it; squeeze_excite of y3; and what one adds to ``mgu.wiring.PROCESSORS`` and
    ``mgu.torch.OPERATIONS``. ``in_channels``, ``out_channels`` and ``channel_axis`` (1 or -1) are for modules that do
    not say them.

    x is (batch, channels, *positions) for convolutions and (batch, *positions, features) for Linear; the output has the
    shape of L. Raises InputError for an unknown name, for a prior of the wrong length, for channels that cannot be
    known, for a layer that a bypass or gate kind does not take or whose weights nothing draws anew, and for an input
    without a batch axis, with other channels than the layer's, or without the positions that group_norm and
    instance_norm need.

    Source: Damian & Piciu 2020, section 4.2 (code form) and equations 1 to 19 (equations form).
    """

    def __init__(
        self,
        layer: nn.Module,
        activation: str | nn.Module = "selu",
        *,
        gates: str = "channel",
        prior: str | Sequence[float] = "plain",
        residual_gate: bool = True,
        form: str = "code",
        bypass: str = "shortcut",
        processors: Sequence[str] = (),
        in_channels: int | None = None,
        out_channels: int | None = None,
        channel_axis: int | None = None,
    ) -> None:
        wrapped = Wrapped.of(layer, in_channels, out_channels, channel_axis)
        chain = form_chain(form, residual_gate=residual_gate, processors=processors)
        super().__init__(wrapped, chain, activation, bypass)
        self.gate_names = tuple(gate.name for gate in chain_gates(chain))
        priors = prior_logits(prior, form, residual_gate=residual_gate, processors=processors)
        self.gates = make_gates(gates, wrapped, priors)
        self.options = {
            "gates": gates,
            "prior": prior,
            "residual_gate": residual_gate,
            "form": form,
            "bypass": bypass,
            "processors": processors,
        }
        self.sharpness = 1.0
        self.reach = math.inf

    def extra_repr(self) -> str:
        return options_text(self.options, self.sharpness)

    def forward(self, x: Tensor) -> Tensor:
        self._check_shape(x)
        if isinstance(self.gates, ReplicaGates) and not hooked(self.gates):
            return self._replicated(x, self.gates)
        return self._mixed({INPUT: x}, self.gate_logits(x))

    def _replicated(self, x: Tensor, gates: ReplicaGates) -> Tensor:
        """The output where the gates are layers like the unit's own: as many as can be are run as one."""
        reading = (op.name for op in self.chain if isinstance(op, Op) and op.inputs == (INPUT,))
        names = [name for name in reading if alike([self.operations[name], gates.replicas[0]])]
        values, merged = gates.beside([self.operations[name] for name in names], x)
        known = {INPUT: x, **dict(zip(names, values, strict=False))}
        blend = self._blends.get(self.chain[-1].name)
        if merged is not None and blend is not None and blend.parts is not None and self.stretch == 1:

            def value(name: str) -> Tensor:
                known[name] = self.operations[name](x)
                return known[name]

            ours = (blend.parts, blend.between, self.operations, value)
            output = gated(*ours, merged, names, self.gate_names, self.sharpness)
            if output is not None:
                return output
        return self._mixed(known, self._sharpened(values[len(names) :]))

    def _mixed(self, known: Mapping[str, Tensor], logits: Mapping[str, Tensor]) -> Tensor:
        """The output by torch's own operations, from the input and what else is known, and the gates' logits."""
        if any(values.ndim == known[INPUT].ndim > 2 for values in logits.values()):
            return evaluate(
                self.chain,
                known[INPUT],
                lambda op, *inputs: known[op.name] if op.name in known else self._operate(op, *inputs),
                lambda gate, a, b: mix(logits[gate.name], self.channel_axis, a, b, self.stretch),
            )
        run = Mixture(self.chain, self._blends, self.operations, self.channel_axis, known, logits, self.stretch)
        return run.value(self.chain[-1].name)

    @property
    def chain(self) -> Chain:
        """What the unit runs; deciding gates gives it another."""
        return self._chain

    @chain.setter
    def chain(self, chain: Chain) -> None:
        self._chain, self._blends = chain, blends(chain)

    @property
    def stretch(self) -> float:
        """How far the gates' values are stretched about one half, so that they are 0 and 1 at logits of -reach and
        reach: g = 1/2 + stretch (sigmoid(sharpness logits) - 1/2) with stretch = 1 / tanh(sharpness reach / 2).

        Beyond, they are a little below 0 and above 1. Without a reach, which is how units are made, it is 1.

        Source: Louizos, Welling & Kingma 2018, "Learning sparse neural networks through L0 regularization", the
        stretched gates of section 2.2, which are clipped there.
        """
        return 1 / math.tanh(self.sharpness * self.reach / 2)

    def gate_logits(self, x: Tensor) -> dict[str, Tensor]:
        """Each gate's logits for input ``x``, times the unit's sharpness, by gate name: of the output's shape, or
        (batch or 1, channels) where the gate kind makes no difference between positions."""
        return self._sharpened(self.gates(x))

    def _sharpened(self, logits: tuple[Tensor, ...]) -> dict[str, Tensor]:
        if self.sharpness != 1:
            logits = tuple(self.sharpness * values for values in logits)
        return dict(zip(self.gate_names, logits, strict=True))


def _operation(kind: str) -> Callable[[Wrapped, nn.Module], nn.Module]:
    if kind not in OPERATIONS:
        raise InputError(f"operation {kind!r} has no module; add one by OPERATIONS[{kind!r}] = ...")
    return OPERATIONS[kind]


def _activation(activation: str | nn.Module) -> nn.Module:
    if isinstance(activation, nn.Module):
        return activation
    if activation not in ACTIVATIONS:
        raise InputError(f"unknown activation {activation!r}; allowed: {', '.join(ACTIVATIONS)}, or a torch.nn.Module")
    return ACTIVATIONS[activation]()
