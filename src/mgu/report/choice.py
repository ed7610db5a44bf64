"""Which models are compared: those with the most seeds, and of them the best."""

from collections.abc import Iterable, Mapping

from mgu.report.summary import Row


def fullest(rows: Iterable[Row]) -> list[Row]:
    """The ranked rows with the most seeds, finished or still to end, in their order: the mean of one lucky seed is not
    held against that of three."""
    ranked = [row for row in rows if row.rank]
    most = max((row.trials - row.missed for row in ranked), default=0)
    return [row for row in ranked if row.trials - row.missed == most]


def plain_candidates(rows: Iterable[Row]) -> list[Row]:
    """The plain models that the best one is chosen among, best first."""
    return fullest(row for row in rows if row.kind == "plain")


def best_mgu(rows: Iterable[Row], soft_names: Mapping[str, str]) -> Row | None:
    """The row of the best MGU model, which its soft network or its hardened one makes it: the other may have diverged,
    so the row may have no rank. ``soft_names`` are the models' names by those of what they were hardened to."""
    by_name = {row.model_name: row for row in rows if row.is_mgu}
    best = next(iter(fullest(by_name.values())), None)
    return by_name[soft_names.get(best.model_name, best.model_name)] if best else None
