"""The search costs as rows of a CSV file."""

from typing import Any

from mgu.report.search_costs import SearchCost, SearchCosts
from mgu.rivals.spread import Spread

_SPREADS = ("cost_s", "to_target_s", "val_score", "test_score")

#: The columns of ``cost_rows``, in order; of each spread the median and the quartiles.
COLUMNS = (
    "name",
    "kind",
    *(f"{name}{part}" for name in _SPREADS for part in ("", "_low", "_high")),
    "reached",
    "expected_s",
    "replays",
    "missing",
)


def cost_rows(costs: SearchCosts) -> list[dict[str, Any]]:
    """One row a model and a search under ``COLUMNS``: seconds to 3 decimals (inf: never), scores as the study shows
    them to 4, None where unknown."""
    return [_row(row) for row in costs.rows]


def _row(row: SearchCost) -> dict[str, Any]:
    known = {
        "name": row.name,
        "kind": row.kind,
        "reached": None if row.reached is None else round(row.reached, 4),
        "expected_s": None if row.expected_s is None else round(row.expected_s, 3),
        "replays": row.replays,
        "missing": row.missing,
    }
    for name in _SPREADS:
        known |= _parts(name, getattr(row, name), 3 if name.endswith("_s") else 4)
    return {column: known[column] for column in COLUMNS}


def _parts(name: str, spread: Spread | None, digits: int) -> dict[str, float | None]:
    parts = {"": "median", "_low": "low", "_high": "high"}
    return {f"{name}{part}": round(getattr(spread, field), digits) if spread else None for part, field in parts.items()}
