"""A table of a network's units and layers: what they are, what weights they have, and what their gates say."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from mgu.diagnosis import side_words
from mgu.wiring import FORMS, Chain, Op, gates

#: What a unit's weights are of.
PARTS = ("layer", "norms", "gates", "bypass", "other")

_KINDS = {op.name: op.kind for form in ("equations", "code") for op in FORMS[form] if isinstance(op, Op)}
_PART_OF = {"layer": "layer", "bypass": "bypass"} | dict.fromkeys(
    ("batch_norm", "layer_norm", "rms_norm", "group_norm", "instance_norm", "switchable_norm"), "norms"
)


def part_of(operation: str, chain: Chain) -> str:
    """The part that an operation of a unit, by its name, belongs to; the chain may have lost it by a decision."""
    kinds = _KINDS | {op.name: op.kind for op in chain if isinstance(op, Op)}
    return _PART_OF.get(kinds.get(operation, operation), "other")


@dataclass(frozen=True)
class Row:
    """A unit or a plain layer: its name in the network, what layer it is, how many weights it has by part, and of a
    unit the kind of its gates, the mean of each in 0..1, and the chain that they are in."""

    name: str
    layer: str
    weights: Mapping[str, int]
    kind: str = ""
    means: Mapping[str, float] = field(default_factory=dict)
    chain: Chain = ()


@dataclass(frozen=True, repr=False)
class Summary:
    """The rows of a network in its order; how many of its weights training changes, the others being running statistics
    or frozen; and what the gates' means are of."""

    rows: tuple[Row, ...]
    trained: int
    means_of: str

    @property
    def weights(self) -> int:
        """All weights, running statistics included."""
        return sum(sum(row.weights.values()) for row in self.rows)

    def text(self) -> str:
        """The table, totals, and what 0 and 1 are for each gate."""
        names = list(dict.fromkeys(gate for row in self.rows for gate in row.means))
        parts = [part for part in PARTS if any(row.weights.get(part) for row in self.rows)]
        header = ["unit", "", *parts, *["kind"] * bool(names), *names]
        totals = {part: sum(row.weights.get(part, 0) for row in self.rows) for part in parts}
        body = [
            [
                row.name or "unit",
                row.layer,
                *(_count(row.weights.get(part)) for part in parts),
                *[row.kind] * bool(names),
                *(f"{row.means[gate]:.2f}" if gate in row.means else "" for gate in names),
            ]
            for row in self.rows
        ]
        total = ["total", "", *(_count(totals[part]) for part in parts), *[""] * bool(names), *("" for _ in names)]
        return "\n".join([*_aligned([header, *body, total]), *self._notes()])

    def _notes(self) -> Iterator[str]:
        units = sum(bool(row.kind) for row in self.rows)
        yield f"{units} {'unit' if units == 1 else 'units'}, {self.weights:,} weights, {self.trained:,} of them trained"
        sides: dict[tuple[str, str, str], None] = {}
        for row in self.rows:
            for gate in gates(row.chain):
                sides[gate.name, side_words(gate.name, gate.open), side_words(gate.name, gate.closed)] = None
        if sides:
            yield f"The gates' columns are {self.means_of}:"
        for name, opened, closed in sides:
            yield f"  {name}: 1 is {opened}, 0 is {closed}"

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return f"<pre>{escape(self.text())}</pre>"


def shown_means(chain: Chain, means: Mapping[str, float]) -> dict[str, float]:
    """The means of those gates that the chain has, in its order."""
    return {gate.name: means[gate.name] for gate in gates(chain)}


def _count(weights: int | None) -> str:
    return f"{weights:,}" if weights else ""


def _aligned(lines: Sequence[Sequence[str]]) -> Iterator[str]:
    """Cells in columns as wide as their widest: words to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    wordy = [index < 2 or name == "kind" for index, name in enumerate(lines[0])]
    for line in lines:
        cells = zip(line, widths, wordy, strict=True)
        yield "  ".join(c.ljust(width) if word else c.rjust(width) for c, width, word in cells).rstrip()
