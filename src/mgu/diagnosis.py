"""What trained gates chose, in numbers and in words; knows no framework.

Source of the lines' form: paper, section 6.2.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mgu.wiring import PROCESSORS, Chain, processor_gate

#: What each gate decides, in words, by the gate's name.
TITLES: Mapping[str, str] = {
    "bn_order": "batch norm before or after the activation",
    "bn_ln": "batch norm or layer norm",
    "norm": "any norm or no norming at all",
    "residual": "residual or no residual",
    "skip": "direct linear bypass or processed",
    "with_rms_norm": "the norms so far or RMSNorm",
    "with_group_norm": "the norms so far or GroupNorm",
    "with_instance_norm": "the norms so far or InstanceNorm",
    "with_squeeze_excite": "as it is or recalibrated by squeeze-and-excitation",
}

#: What each value of the chain is as a side of a gate, in words.
SIDES: Mapping[str, str] = {
    "bn_pre": "BN-before-activation",
    "bn_post": "BN-after-activation",
    "bn_order": "BN",
    "ln": "LN",
    "bn_ln": "Norming",
    "no_norm": "No-norming",
    "norm": "No-residual",
    "sum": "Residual",
    "residual": "Processed",
    "bypass": "Bypass",
    "rms_norm": "RMSNorm",
    "group_norm": "GroupNorm",
    "instance_norm": "InstanceNorm",
    "squeeze_excite": "SE",
}

#: The gates one side of which is an operation of its own, and what the other is called, whatever it is: where gates
#: are decided, or left out, it is not what the form has there.
_REST: Mapping[str, tuple[str, str]] = {"residual": ("sum", "No-residual"), "skip": ("bypass", "Processed")}

#: A gate whose values are on average nearer to the middle than this has not decided (certainty is mean |2g - 1|).
UNDECIDED_BELOW = 0.4
#: A loss that rises by more than this share of itself matters.
MATTERS = 0.01
#: A value this near to 0 or 1 hardly learns any more: its gradient has the factor g (1 - g).
SATURATED_WITHIN = 0.001
#: The share of a gate's values that must be saturated for an alarm.
SATURATED_SHARE = 0.99


@dataclass(frozen=True, repr=False)
class GateReport:
    """One gate of one unit over a sample of inputs. All but the names are numbers in 0..1, or losses.

    ``certainty`` is mean |2g - 1|; ``saturated`` the share of values within 0.001 of 0 or 1; ``histogram`` counts the
    values in equal bins from 0 to 1. ``loss_open`` and ``loss_closed`` are the network's mean loss with this gate alone
    switched to that side for good, None where no labels were given.
    """

    name: str
    open: str
    closed: str
    mean: float
    median: float
    minimum: float
    maximum: float
    certainty: float
    saturated: float
    histogram: tuple[int, ...]
    loss_open: float | None = None
    loss_closed: float | None = None

    @property
    def opened_for(self) -> str:
        """The name of the value that the gate lets through more of."""
        return self.open if self.mean > 0.5 else self.closed

    @property
    def confirmed(self) -> bool:
        """Whether the network's loss is known to rise by more than ``MATTERS`` of itself with the gate switched to the
        other side: where a gate merely starts is no finding."""
        if self.loss_open is None or self.loss_closed is None:
            return False
        own, other = (self.loss_open, self.loss_closed)[:: 1 if self.opened_for == self.open else -1]
        return other - own > MATTERS * abs(own)

    def __repr__(self) -> str:
        return f"<GateReport {self.name}: mean {self.mean:.2f}, for {side_words(self.name, self.opened_for)}>"

    def lines(self, number: int) -> Iterator[str]:
        """The paper's lines for the gate, the ``number``-th of its unit."""
        opened, closed = side_words(self.name, self.open), side_words(self.name, self.closed)
        yield f"Analysing 'Gate{number} - {TITLES.get(self.name, self.name)}'"
        yield f"Gate rule: `gate * {opened} + (1 - gate) * {closed}`"
        yield (f"Gate mean: {self.mean:.2f}, median: {self.median:.2f}, min/max: {self.minimum:.2f}/{self.maximum:.2f}")
        yield f"Gate opened for: {side_words(self.name, self.opened_for)}"


@dataclass(frozen=True, repr=False)
class UnitReport:
    """One unit's gates, in order, and the chain that they are in. ``input_shape`` is (channels, *positions), or
    (*positions, features) for Linear."""

    name: str
    input_shape: tuple[int, ...]
    gates: tuple[GateReport, ...]
    chain: Chain

    def __repr__(self) -> str:
        gates = ", ".join(f"{gate.name} {gate.mean:.2f}" for gate in self.gates)
        return f"<UnitReport {self.name or 'unit'}: {gates}>"

    def lines(self) -> Iterator[str]:
        """The paper's lines for the unit."""
        yield f"Layer: {self.name} self-explainability analysis based on {self.input_shape} input"
        for number, gate in enumerate(self.gates, 1):
            yield from gate.lines(number)


@dataclass(frozen=True)
class Alarm:
    """Something that a user should know of the gates, and what to do about it."""

    kind: str
    message: str
    advice: str


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """What every unit of a network chose. ``loss`` is the network's own mean loss, None where no labels were given."""

    units: tuple[UnitReport, ...]
    loss: float | None = None

    def __repr__(self) -> str:
        loss = "" if self.loss is None else f", loss {self.loss:.4f}"
        alarms = ", ".join(dict.fromkeys(alarm.kind for alarm in self.alarms())) or "none"
        count = sum(len(unit.gates) for unit in self.units)
        return f"<Diagnosis of {len(self.units)} units, {count} gates{loss}; alarms: {alarms}>"

    def text(self) -> str:
        """The paper's self-diagnosis, unit by unit, and the alarms."""
        alarms = [f"Alarm, {alarm.kind}: {alarm.message}. {alarm.advice}." for alarm in self.alarms()]
        return "\n".join([*(line for unit in self.units for line in unit.lines()), *alarms])

    def to_json(self) -> dict[str, Any]:
        """All of it as plain JSON data."""
        return {**asdict(self), "alarms": [asdict(alarm) for alarm in self.alarms()]}

    def alarms(self) -> tuple[Alarm, ...]:
        """What deserves attention: all units skipped, gates that did not decide, saturated gates, one gate the same
        everywhere."""
        return (*_all_skip(self.units), *_undecided(self.units), *_saturated(self.units), *_uniform(self.units))


def side_words(gate: str, value: str) -> str:
    """What a side of a gate is called in words; the name of its value where it has none. What a processor's gate chose
    goes by what the processor stands beside; as a side of that gate itself, it is said to be without the processor."""
    processors = {processor_gate(name): name for name in PROCESSORS}
    if gate in processors and value != processors[gate]:
        return f"No-{side_words('', processors[gate])}"
    named, rest = _REST.get(gate, (value, ""))
    if value != named:
        return rest
    stands_for = PROCESSORS[processors[value]].beside if value in processors else value
    return SIDES.get(stands_for, stands_for)


def _named(units: Sequence[UnitReport]) -> Iterator[tuple[str, GateReport]]:
    return ((f"{unit.name}.{gate.name}", gate) for unit in units for gate in unit.gates)


def _all_skip(units: Sequence[UnitReport]) -> Iterator[Alarm]:
    skips = [gate for _, gate in _named(units) if gate.name == "skip"]
    if skips and all(gate.opened_for == "bypass" for gate in skips):
        yield Alarm(
            "all-skip",
            f"all {len(skips)} units let their bypass through rather than what they process",
            'Start from prior="plain", lower the learning rate, or use fewer layers',
        )


def _undecided(units: Sequence[UnitReport]) -> Iterator[Alarm]:
    names = [name for name, gate in _named(units) if gate.certainty < UNDECIDED_BELOW]
    if names:
        yield Alarm(
            "undecided",
            f"{len(names)} gates stay near one half: {', '.join(names)}",
            "Train longer, or sharpen the gates before hardening: the hardened network may differ much from this one",
        )


def _saturated(units: Sequence[UnitReport]) -> Iterator[Alarm]:
    names = [name for name, gate in _named(units) if gate.saturated >= SATURATED_SHARE]
    if names:
        yield Alarm(
            "saturated",
            f"{len(names)} gates are 0 or 1 for nearly every input and hardly learn any more: {', '.join(names)}",
            "Fine at the end of training; early in it, use a weaker prior or a lower learning rate",
        )


def _uniform(units: Sequence[UnitReport]) -> Iterator[Alarm]:
    by_gate: dict[str, list[GateReport]] = {}
    for _, gate in _named(units):
        by_gate.setdefault(gate.name, []).append(gate)
    for name, gates in by_gate.items():
        sides = {gate.opened_for for gate in gates}
        confirmed = all(gate.certainty >= UNDECIDED_BELOW and gate.confirmed for gate in gates)
        if len(gates) > 1 and len(sides) == 1 and confirmed:
            yield Alarm(
                "uniform",
                f"gate {name} is opened for {side_words(name, sides.pop())} in all {len(gates)} units, and the loss "
                "rises where any is switched",
                "This choice does not differ by layer: a plain network with it everywhere would do as well",
            )
