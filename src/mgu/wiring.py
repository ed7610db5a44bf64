"""The MultiGatedUnit as data: its operations and gates, how to evaluate them, and how to decide them.

The chain is the only description of the unit. A framework half supplies what each operation does; the plain networks
of the grid are the same chain with every gate decided.

Source: Damian & Piciu, "MGU: hyper-parameter self-learning using Multi Gated Units in deep neural graphs" (2020),
code listing of section 4.2 (``"code"``) and equations 1 to 19 of section 4.1 (``"equations"``).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from mgu.errors import InputError

INPUT = "x"


@dataclass(frozen=True)
class Op:
    """A feature processor: ``name = kind(*inputs)``."""

    name: str
    kind: str
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Gate:
    """A soft choice, g in (0, 1): ``name = g * open + (1 - g) * closed``."""

    name: str
    open: str
    closed: str

    @property
    def inputs(self) -> tuple[str, str]:
        return (self.open, self.closed)


Node = Op | Gate
Chain = tuple[Node, ...]
Value = TypeVar("Value")

_TRUNK: Chain = (
    Op("linear", "layer", (INPUT,)),
    Op("bypass", "bypass", (INPUT,)),
    Op("no_norm", "activation", ("linear",)),
    Op("bn", "batch_norm", ("linear",)),
    Op("bn_pre", "activation", ("bn",)),
    Op("bn_post", "batch_norm", ("no_norm",)),
)
_RESIDUAL: Chain = (
    Gate("norm", open="bn_ln", closed="no_norm"),
    Op("sum", "add", ("norm", "bypass")),
    Gate("residual", open="norm", closed="sum"),
)

#: The two published forms by name. Each ends with the unit's output; each has the gates, in order, bn_order, bn_ln,
#: norm, residual, skip.
FORMS: Mapping[str, Chain] = {
    "code": (
        *_TRUNK,
        Op("ln", "layer_norm", ("no_norm",)),
        Gate("bn_order", open="bn_pre", closed="bn_post"),
        Gate("bn_ln", open="bn_order", closed="ln"),
        *_RESIDUAL,
        Gate("skip", open="bypass", closed="residual"),
    ),
    "equations": (
        *_TRUNK,
        Op("ln_linear", "layer_norm", ("linear",)),
        Op("ln", "activation", ("ln_linear",)),
        Gate("bn_order", open="bn_post", closed="bn_pre"),
        Gate("bn_ln", open="bn_order", closed="ln"),
        *_RESIDUAL,
        Gate("skip", open="residual", closed="bypass"),
    ),
}

#: How the grid's four norm choices decide the three norm gates: gate -> the value it passes on.
NORMS: Mapping[str, Mapping[str, str]] = {
    "bn_pre": {"norm": "bn_ln", "bn_ln": "bn_order", "bn_order": "bn_pre"},
    "bn_post": {"norm": "bn_ln", "bn_ln": "bn_order", "bn_order": "bn_post"},
    "ln": {"norm": "bn_ln", "bn_ln": "ln"},
    "no_norm": {"norm": "no_norm"},
}

#: Norms of cells that are no decision of the chain: each an operation of its kind in the place of BN in A(BN(L)).
STAND_INS: Mapping[str, str] = {"sn": "switchable_norm"}
#: All norms that a plain cell may have.
CELL_NORMS = (*NORMS, *STAND_INS)


@dataclass(frozen=True)
class Processor:
    """A further feature processor, ``name = kind(reads)`` with its name as its kind, and a gate against ``beside``:

        with_name = g * beside + (1 - g) * name

    Both stand right behind the value ``beside``, and whoever read that value from there on reads ``with_name``. Of
    several beside one value, each stands behind the one before it: its gate is against what theirs chose.
    """

    reads: str
    beside: str


#: The further processors by name, off unless asked for; one of one's own is added by ``PROCESSORS[name] = ...``. As in
#: layer norm's code form, norms read A(L), in both forms; they stand before the gate ``norm``, which goes on to decide
#: any norm against none. Squeeze-and-excitation recalibrates what that gate passes on, before the residual.
PROCESSORS: dict[str, Processor] = {
    "rms_norm": Processor(reads="no_norm", beside="bn_ln"),
    "group_norm": Processor(reads="no_norm", beside="bn_ln"),
    "instance_norm": Processor(reads="no_norm", beside="bn_ln"),
    "squeeze_excite": Processor(reads="norm", beside="norm"),
}

#: A gate that starts at a logit of this size is decided in all number formats.
MOST_LOGIT = 1e4

#: Prior strengths by name: the logit at which gates start towards a plain cell with batch norm (no further processor,
#: no residual, no skip); its order with the activation starts at one half. "neutral" is the paper's start, every gate
#: at one half.
PRIORS: Mapping[str, float] = {"plain": 4.0, "neutral": 0.0}

#: The unit's options and their defaults, as both halves have them.
OPTIONS: Mapping[str, object] = {
    "gates": "channel",
    "prior": "plain",
    "residual_gate": True,
    "form": "code",
    "bypass": "shortcut",
    "processors": (),
}


def evaluate(
    chain: Chain,
    x: Value,
    apply: Callable[..., Value],
    mix: Callable[[Gate, Value, Value], Value],
) -> Value:
    """Run the chain on ``x`` and return its last value.

    ``apply(op, *inputs)`` computes an operation; ``mix(gate, open, closed)`` computes a gate.
    """
    values = {INPUT: x}
    for node in chain:
        inputs = [values[name] for name in node.inputs]
        values[node.name] = mix(node, *inputs) if isinstance(node, Gate) else apply(node, *inputs)
    return values[chain[-1].name]


def harden(chain: Chain, decision: Mapping[str, str]) -> Chain:
    """Replace each decided gate by the side it passes on, and drop what nobody reads any more.

    ``decision`` maps a gate's name to the name of its open or closed value. Gates that are not named stay gates.
    Raises InputError for a gate that the chain does not have, or for a side that the gate does not have.
    """
    _check_decision(chain, decision)
    alias: dict[str, str] = {}
    kept: list[Node] = []
    for node in chain:
        if isinstance(node, Gate) and node.name in decision:
            side = decision[node.name]
            alias[node.name] = alias.get(side, side)
        else:
            kept.append(_rewired(node, alias))
    last = chain[-1].name
    return _reachable(kept, alias.get(last, last))


def gates(chain: Chain) -> tuple[Gate, ...]:
    """The chain's gates, in the order in which they are evaluated."""
    return tuple(node for node in chain if isinstance(node, Gate))


def mixed(chain: Chain, name: str) -> tuple[tuple[str, ...], Chain]:
    """What a value is mixed from: the values that gates and sums lead from, in the chain's order; and those gates and
    sums, the last of which gives the value. A value that no gate or sum gives is mixed from itself.

    A value that an operation reads is worked out once, and taken as it is, whatever gives it.
    """
    wanted, between = {name}, []
    for node in reversed(chain):
        if node.name in wanted and mixes(node) and (node.name == name or not readers(chain, node.name)):
            between.append(node)
            wanted.remove(node.name)
            wanted.update(node.inputs)
    return tuple(node for node in (INPUT, *(n.name for n in chain)) if node in wanted), tuple(reversed(between))


def readers(chain: Chain, name: str) -> int:
    """How many operations, sums not counted, read a value."""
    return sum(name in node.inputs for node in chain if not mixes(node))


def mixes(node: Node) -> bool:
    """Whether the node gives a weighted sum of its inputs."""
    return isinstance(node, Gate) or node.kind == "add"


def processor_gate(name: str) -> str:
    """The name of a processor's gate."""
    return f"with_{name}"


def form_chain(form: str, *, residual_gate: bool = True, processors: Sequence[str] = ()) -> Chain:
    """The chain of a published form, with further ``processors`` by their names in ``PROCESSORS``.

    Without the residual gate, the unit never adds its bypass (the paper's first networks). Raises InputError for an
    unknown form, and for a processor that is unknown, named twice, or does not fit the form.
    """
    if form not in FORMS:
        raise InputError(f"unknown form {form!r}; allowed: {', '.join(FORMS)}")
    chain = FORMS[form] if residual_gate else harden(FORMS[form], {"residual": "norm"})
    _check_processors(chain, processors)
    return _with_processors(chain, processors)


def cell_decision(norm: str, residual: bool) -> dict[str, str]:
    """The decision that turns a form into a cell of the grid. Raises InputError for an unknown norm."""
    if norm not in NORMS:
        raise InputError(f"unknown norm {norm!r}; allowed: {', '.join(NORMS)}")
    return {**NORMS[norm], "residual": "sum" if residual else "norm", "skip": "residual"}


def cell_chain(norm: str, residual: bool) -> Chain:
    """The plain cell of a grid: the code form with every gate decided.

    ``norm`` is one of bn_pre A(BN(L)), bn_post BN(A(L)), ln LN(A(L)), no_norm A(L), and sn A(SN(L)), which is bn_pre's
    cell with switchable normalization for BN; ``residual`` adds the bypass. Raises InputError for an unknown norm.
    """
    if norm not in CELL_NORMS:
        raise InputError(f"unknown norm {norm!r}; allowed: {', '.join(CELL_NORMS)}")
    if norm in STAND_INS:
        chain = harden(FORMS["code"], cell_decision("bn_pre", residual))
        return tuple(_stood_in(node, "bn", norm) for node in chain)
    return harden(FORMS["code"], cell_decision(norm, residual))


def prior_logits(
    prior: str | Sequence[float], form: str, *, residual_gate: bool = True, processors: Sequence[str] = ()
) -> tuple[float, ...]:
    """The logit at which each gate starts, in the order in which the chain evaluates them.

    ``prior`` is a name of ``PRIORS`` or the logits themselves. Raises InputError for an unknown name, for a number
    of logits that differs from the number of gates, for one beyond ``MOST_LOGIT``, and what ``form_chain`` raises.
    """
    names = [gate.name for gate in gates(form_chain(form, residual_gate=residual_gate, processors=processors))]
    if not isinstance(prior, str):
        if len(prior) != len(names):
            raise InputError(
                f"prior has {len(prior)} numbers; it needs {len(names)}, one for each of {', '.join(names)}"
            )
        logits = tuple(float(logit) for logit in prior)
        for name, logit in zip(names, logits, strict=True):
            if not abs(logit) <= MOST_LOGIT:
                raise InputError(
                    f"prior has {logit} for the gate {name}; it must be a finite number, at most {MOST_LOGIT:g} either "
                    "way, such as 4"
                )
        return logits
    if prior not in PRIORS:
        raise InputError(f"unknown prior {prior!r}; allowed: {', '.join(PRIORS)}, or one number for each gate")
    start = cell_decision("bn_pre", residual=False)
    towards = {gate.name: 1.0 if gate.open == start[gate.name] else -1.0 for gate in gates(FORMS[form])}
    towards["bn_order"] = 0.0
    return tuple(PRIORS[prior] * towards.get(name, 1.0) for name in names)  # open is without a further processor


def options_text(options: Mapping[str, Any], sharpness: float = 1.0) -> str:
    """A unit's options as they would be given: the kind of its gates, and what differs from ``OPTIONS``."""
    told = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
    told |= {} if sharpness == 1 else {"sharpness": sharpness}
    shown = {name: value for name, value in told.items() if name == "gates" or value != OPTIONS.get(name)}
    return ", ".join(f"{name}={value!r}" for name, value in shown.items())


def _check_decision(chain: Chain, decision: Mapping[str, str]) -> None:
    known = {gate.name: gate for gate in gates(chain)}
    for name, side in decision.items():
        if name not in known:
            raise InputError(f"the chain has no gate {name!r}; its gates: {', '.join(known) or 'none'}")
        if side not in known[name].inputs:
            raise InputError(f"gate {name!r} cannot pass on {side!r}; allowed: {' or '.join(known[name].inputs)}")


def _check_processors(chain: Chain, names: Sequence[str]) -> None:
    if isinstance(names, str):
        raise InputError(f"processors must be a sequence of names, such as [{names!r}]; the text {names!r} was given")
    values = [node.name for node in chain]
    for name in names:
        if name not in PROCESSORS:
            raise InputError(f"unknown processor {name!r}; allowed: {', '.join(PROCESSORS)}")
        if list(names).count(name) > 1:
            raise InputError(f"processor {name!r} is named more than once; name each once")
        reads, beside = PROCESSORS[name].reads, PROCESSORS[name].beside
        if name in values:
            raise InputError(f"processor {name!r} has the name of one of the form's own values; choose another name")
        if beside not in values or reads not in (INPUT, *values[: values.index(beside) + 1]):
            raise InputError(
                f"processor {name!r} reads {reads!r} and stands beside {beside!r}; both must be among the form's "
                f"values, and what it reads not after what it stands beside. In order they are {', '.join(values)}"
            )


def _with_processors(chain: Chain, names: Sequence[str]) -> Chain:
    """The chain with each processor and its gate behind the value that it stands beside."""
    alias: dict[str, str] = {}
    kept: list[Node] = []
    for node in chain:
        kept.append(_rewired(node, alias))
        for name in names:
            processor = PROCESSORS[name]
            if processor.beside == node.name:
                gate = Gate(processor_gate(name), open=node.name, closed=name)
                kept += [_rewired(Op(name, name, (processor.reads,)), alias), _rewired(gate, alias)]
                alias[node.name] = gate.name
    return tuple(kept)


def _stood_in(node: Node, place: str, norm: str) -> Node:
    """The operation ``norm`` instead of the one named ``place``, and for whoever reads that."""
    return Op(norm, STAND_INS[norm], node.inputs) if node.name == place else _rewired(node, {place: norm})


def _rewired(node: Node, alias: Mapping[str, str]) -> Node:
    """The node with the inputs that have an alias read by it."""
    if isinstance(node, Gate):
        return replace(node, open=alias.get(node.open, node.open), closed=alias.get(node.closed, node.closed))
    return replace(node, inputs=tuple(alias.get(name, name) for name in node.inputs))


def _reachable(nodes: Sequence[Node], output: str) -> Chain:
    needed = {output}
    kept: list[Node] = []
    for node in reversed(nodes):
        if node.name in needed:
            kept.append(node)
            needed.update(node.inputs)
    return tuple(reversed(kept))
