"""How search costs are said: a table's columns, the facts beside it, and the verdict in a sentence."""

from collections.abc import Callable
from math import inf

from mgu.report.figures import UNKNOWN
from mgu.report.score import Score
from mgu.report.search_costs import Against, EverySeed, SearchCost, SearchCosts
from mgu.report.words import Column, over, seconds, seed_list
from mgu.rivals.spread import Paired, Spread

#: The kinds of successive halving, the better of which is what MGU is compared with in the verdict.
HALVINGS = {"halving": "synchronous successive halving", "asha": "asynchronous successive halving"}


def method(score: Score) -> str:
    """How searches are replayed."""
    return (
        "Searches of the same cells by other means are replayed from the records of the grid: a search that stops a "
        "cell after an epoch has paid the seconds that the cell had taken by then, and nothing is trained again. To "
        "take up a paused cell costs a replayed search nothing, which favours it. The target is the best plain model's "
        f"validation {score.name}, its mean over the seeds that every cell has, and the same at each of them; it is "
        "met by the first of a model's own epochs at or above it. Figures are medians (with quartiles) over these "
        "seeds and, of searches that draw, over their own; a missed target counts as infinite."
    )


def columns(score: Score) -> tuple[Column[SearchCost], ...]:
    """The columns of models and searches."""
    return (
        Column("model or search", lambda row: row.name, lambda row: row.name),
        Column("what it is", lambda row: what(row), lambda row: what(row)),
        Column("until it ends", lambda row: times(row.cost_s), lambda row: _median(row.cost_s), numeric=True),
        Column("to the target", lambda row: times(row.to_target_s), lambda row: _median(row.to_target_s), numeric=True),
        Column("target met", lambda row: met(row), lambda row: row.reached, numeric=True),
        _picked(score, f"picks {score.header('val')}", "val_score"),
        _picked(score, score.header("test"), "test_score"),
    )


def _picked(score: Score, header: str, name: str) -> Column[SearchCost]:
    """The score of the model that is picked."""

    def value(row: SearchCost) -> float | None:
        return _median(getattr(row, name))

    return Column(header, lambda row: score.number(value(row)), value, numeric=True)


def what(row: SearchCost) -> str:
    return f"not available: {row.missing}" if row.missing else row.about


def _median(spread: Spread | None) -> float | None:
    return spread.median if spread else None


def shown(costs: SearchCosts) -> tuple[SearchCost, ...]:
    """The rows of the table: MGU, what it was hardened to, the best plain model, and the searches."""
    models = (costs.row(name) for name in (costs.hardened, costs.mgu, costs.plain))
    return (*(row for row in models if row), *(row for row in costs.rows if row.kind == "search"))


def times(spread: Spread | None) -> str:
    """A median of seconds with its quartiles: 96.6 s (88.2 s to 102 s)."""
    if spread is None:
        return UNKNOWN
    median, low, high = (time(figure) for figure in (spread.median, spread.low, spread.high))
    return median if low == high else f"{median} ({low} to {high})"


def time(duration_s: float) -> str:
    return "never" if duration_s == inf else seconds(duration_s)


def met(row: SearchCost) -> str:
    """In how many of the replays the target was met."""
    return UNKNOWN if row.reached is None else f"{round(row.reached * row.replays):,} of {row.replays:,}"


def facts(costs: SearchCosts) -> dict[str, str]:
    """What is known beside the table, by name."""
    if costs.missing or costs.target is None:
        return {"Search costs": f"not available: {costs.missing}"} if costs.rows else {}
    known = {
        "Target": f"{costs.score.full(costs.target)} validation {costs.score.name} "
        f"({costs.plain}, {over(costs.target_seeds)})"
    }
    known |= {f"{model.name}, at all of its seeds": _every_seed(model) for model in _beyond(costs)}
    for against in costs.against:
        known |= _against(against, costs)
    random = costs.row("random")
    if random and random.expected_s is not None:
        known["Random order, expected over all orders"] = f"{time(random.expected_s)} to the target"
    return known


def lines(costs: SearchCosts) -> dict[str, str]:
    """The facts with the table's rows among them, for where there is no table."""
    rows = {f"Search costs, {row.name}": _line(costs.score, row) for row in shown(costs)} if not costs.missing else {}
    answer = verdict(costs)
    return facts(costs) | rows | ({"Against successive halving": answer} if answer else {})


def verdict(costs: SearchCosts) -> str:
    """Whether MGU, hardened where it was, reached the target at less cost than successive halving, of its two kinds the
    one that is there sooner; empty where one of the two is not known."""
    name, mgu = "MGU hardened" if costs.hardened else "MGU", costs.row(costs.hardened or costs.mgu)
    halvings = [row for kind in HALVINGS if (row := costs.row(kind))]
    rival = min(halvings, key=_medians, default=None)
    if not mgu or not rival:
        return ""
    (own_s, own_end_s), (rival_s, rival_end_s) = _medians(mgu), _medians(rival)
    return (
        f"{_reached(name, own_s, HALVINGS[rival.name], rival_s)}. {name} met the target in {met(mgu)} seeds, "
        f"{HALVINGS[rival.name]} in {met(rival)} replays; until they end they take {seconds(own_end_s)} and "
        f"{seconds(rival_end_s)}, and pick {_pick(costs.score, mgu)} and {_pick(costs.score, rival)} validation "
        f"{costs.score.name} (medians).{_short(costs, name, mgu)}{_only(costs)}"
    )


def _short(costs: SearchCosts, name: str, mgu: SearchCost) -> str:
    """By how much MGU misses the target; empty where it is there in the median."""
    if not mgu.val_score or costs.target is None or mgu.val_score.median >= costs.target:
        return ""
    return f" {name} ends {costs.score.difference(costs.target - mgu.val_score.median)} below the target."


def _only(costs: SearchCosts) -> str:
    """What the verdict leaves out."""
    return f" All this is of {seed_list(costs.seeds)}: no other has every cell." if _beyond(costs) else ""


def _beyond(costs: SearchCosts) -> list[EverySeed]:
    """The MGU models, and the model that set the target, that have seeds which not every cell has."""
    return [model for model in costs.every_seed if model.seeds != costs.seeds]


def _every_seed(model: EverySeed) -> str:
    after = "" if model.to_target_s is None else f", after {seconds(model.to_target_s)} on average"
    return f"target met in {model.met} of {len(model.seeds)} ({seed_list(model.seeds)}){after}"


def _medians(row: SearchCost) -> tuple[float, float]:
    """Sorts the cheaper first: to the target, and then until it ends."""
    return row.to_target_s.median if row.to_target_s else inf, row.cost_s.median if row.cost_s else inf


def _reached(name: str, own_s: float, rival: str, rival_s: float) -> str:
    if own_s == rival_s == inf:
        return f"Neither {name} nor {rival} reached the target in the median"
    if rival_s == inf:
        return f"{name} reached the target in {seconds(own_s)} (median), and {rival} in the median did not"
    if own_s == inf:
        return (
            f"{rival.capitalize()} reached the target in {seconds(rival_s)} (median), and {name} in the median did not"
        )
    less = "less" if own_s < rival_s else "more"
    return (
        f"{name} reached the target at {less} cost than {rival}: {seconds(own_s)} against {seconds(rival_s)} "
        f"(medians), {own_s / rival_s:.2f} times as much"
    )


def _line(score: Score, row: SearchCost) -> str:
    if row.missing:
        return f"not available: {row.missing}"
    to_target = f"to the target {times(row.to_target_s)}, met in {met(row)}"
    return f"{times(row.cost_s)} until it ends; {to_target}; picks {_pick(score, row)}"


def _pick(score: Score, row: SearchCost) -> str:
    return score.full(row.val_score.median) if row.val_score else "nothing"


def _against(against: Against, costs: SearchCosts) -> dict[str, str]:
    score = costs.score
    parts = (
        ("validation", against.val_score, score.signed, score.step),
        ("test", against.test_score, score.signed, score.step),
        ("time", against.cost_s, _signed_s, ""),
    )
    differences = [f"{name} {_paired(paired, say)}{unit}" for name, paired, say, unit in parts if paired]
    return {
        f"{against.name} minus {costs.plain}": "; ".join(differences) or UNKNOWN,
        f"{against.name}, break-even": f"cheaper than a serial grid of more than {against.break_even:.2f} "
        "cells of mean cost",
    }


def _paired(paired: Paired, say: Callable[[float], str]) -> str:
    mean, median, low, high = map(say, (paired.mean, paired.spread.median, paired.spread.low, paired.spread.high))
    if not paired.interval:
        return f"{mean} (one seed: no interval)"
    interval = " to ".join(map(say, paired.interval))
    return f"{mean} (95 % interval {interval}; median {median}, quartiles {low} to {high})"


def _signed_s(duration_s: float) -> str:
    return ("-" if duration_s < 0 else "+") + seconds(abs(duration_s))
