"""What the pictures of gates share: names, words and colours."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from mgu.diagnosis import TITLES, Diagnosis, GateReport, side_words
from mgu.errors import InputError
from mgu.report.plots import plain_text
from mgu.wiring import Gate

OPEN_COLOUR, CLOSED_COLOUR = "#D55E00", "#0072B2"


def by_gate(diagnosis: Diagnosis) -> dict[str, dict[str, GateReport]]:
    """By gate, the reports by unit, in the order of the network. Raises InputError where there is no gate."""
    table: dict[str, dict[str, GateReport]] = {}
    for unit in diagnosis.units:
        for gate in unit.gates:
            table.setdefault(gate.name, {})[unit_name(unit.name)] = gate
    if not table:
        raise InputError("the diagnosis has no gate to draw; explain a network with a MultiGatedUnit")
    return table


def ends(gates: Iterable[Gate | GateReport]) -> dict[str, tuple[str, str]]:
    """By gate, what 0 and 1 mean in words: its closed and its open side, where all units agree on them."""
    sides: dict[str, set[tuple[str, str]]] = {}
    for gate in gates:
        sides.setdefault(gate.name, set()).add((side_words(gate.name, gate.closed), side_words(gate.name, gate.open)))
    return {gate: found.pop() if len(found) == 1 else ("closed", "open") for gate, found in sides.items()}


def chosen(table: Mapping[str, Mapping[str, GateReport]]) -> str:
    """By gate, how many units open it for which side."""
    parts = []
    for gate, reports in table.items():
        sides = [side_words(gate, report.opened_for) for report in reports.values()]
        counts = [f"{side} in {sides.count(side)}" for side in dict.fromkeys(sides)]
        parts.append(f"{gate} is open for {' and '.join(counts)}")
    return "; ".join(parts) + "."


def wrapped(words: str) -> str:
    """A side's words to draw, in two lines where they are long."""
    return plain_text(words.replace("-activation", "-\nactivation"))


def gate_title(gate: str) -> str:
    return f"{gate}: {TITLES[gate]}" if gate in TITLES else gate


def unit_name(unit: str) -> str:
    return unit or "unit"  # a model that is itself one unit has no name


def name_units(axes: Axes, units: Sequence[str], first: float) -> None:
    """Write the units below the axes, the first at ``first`` and the others one apart."""
    crowded = max(map(len, units)) > 12 or len(units) > 7
    turned: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if crowded else {}
    axes.set_xticks([first + i for i in range(len(units))], [plain_text(unit) for unit in units], fontsize=8, **turned)
