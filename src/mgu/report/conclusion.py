"""The outcome of a study as it is said: the answer in a few sentences, and the facts that it rests on."""

from collections.abc import Iterator
from dataclasses import dataclass

from mgu.report.figures import UNKNOWN
from mgu.report.score import ACCURACY, Score
from mgu.report.summary import Cost, Margin, RivalResult, Row, Summary
from mgu.report.words import over, seconds, seed_list, size

#: More models than these with the same number of seeds are not named.
_NAMED = 3


@dataclass(frozen=True)
class _Network:
    """One of MGU's two networks: what the best MGU model was hardened to, or that model itself. ``prefix`` is put
    before the names of its facts."""

    prefix: str
    row: Row
    cost: Cost | None
    speed_up: float | None
    val_margin: Margin
    test_margin: Margin
    case_margin: Margin


def answer(summary: Summary) -> str:
    """What came out, a deficit said as plainly as a win; for a partial study, that it is one. Of the hardened network
    first, where it has finished: it is what is used."""
    if not summary.total:
        return "The study has no trials."
    networks = [network for network in _networks(summary) if network.row.val_score]
    first = networks[0] if networks else None
    sentences = (_compared(summary, first), _time(summary, first), *(_beside(summary, soft) for soft in networks[1:]))
    return " ".join(sentences)


def facts(summary: Summary) -> dict[str, str]:
    """What the answer rests on, by name, in its order."""
    known, networks = dict(_hardening(summary)), list(_networks(summary))
    for network in networks:
        known |= _of_network(summary, network)
    known["Grid total"] = _cost(summary.grid_cost)
    if not any(network.speed_up for network in networks):
        known["Speed-up"] = no_speed_up(summary)
    if summary.speed_up_all_mgu and summary.all_mgu_cost and summary.all_mgu_cost.models > 1:
        name = f"speed-up with all {summary.all_mgu_cost.models} MGU models counted"
        known[_named(_prefix(summary), name)] = (
            f"{summary.speed_up_all_mgu:.2f}; they took {_cost(summary.all_mgu_cost)}"
        )
    known |= {rival.title: _rival(summary, rival) for rival in summary.trained_rivals}
    costs = {"grid": summary.grid_cost, "MGU": summary.mgu_cost}
    if any(cost and cost.compile_s for cost in costs.values()):
        compiled = (f"{name} {seconds(cost.compile_s)}" for name, cost in costs.items() if cost)
        known["Compilation, apart"] = ", ".join(compiled)
    missed = [f"{row.model_name} ({row.status})" for row in summary.rows if row.missed]
    if missed:
        known["Diverged or failed"] = ", ".join(missed)
    if summary.is_uneven:
        known["Seeds"] = _seeds(summary)
    return known | {"Trials ended": f"{summary.ended} of {summary.total}"}


def no_speed_up(summary: Summary) -> str:
    """Why no speed-up is claimed."""
    if not summary.total:
        return "the study has no trials"
    if summary.ended < summary.total:
        return f"partial: {summary.ended} of {summary.total} trials ended; no speed-up is claimed before all are"
    if not summary.complete:
        run = f"{summary.plain_models} of the grid's {summary.grid_size} plain models were run"
        return f"partial: {run}; no speed-up is claimed before all are"
    if not summary.best_mgu:
        return "no speed-up is claimed, since no MGU model finished"
    if not any(row.kind == "plain" for row in summary.rows):
        return "no speed-up is claimed, since no plain model was run"
    if summary.grid_cost and summary.mgu_cost and summary.grid_cost.seeds != summary.mgu_cost.seeds:
        return "no speed-up is claimed, since no seed was run on the MGU model and every plain one"
    if not summary.grid_cost:
        return "no speed-up is claimed, since no seed was run on every plain model"
    return "no speed-up is claimed, since the MGU model's time is not known"


def _networks(summary: Summary) -> Iterator[_Network]:
    hard, soft = summary.hardened, summary.best_mgu
    if hard:
        margins = (hard.val_margin, hard.test_margin, hard.case_margin)
        yield _Network("Hardened, ", hard.row, hard.cost, summary.speed_up_hardened, *margins)
    if soft:
        margins = (summary.val_margin, summary.test_margin, summary.case_margin)
        yield _Network(_prefix(summary), soft, summary.mgu_cost, summary.speed_up, *margins)


def _prefix(summary: Summary) -> str:
    """Of what is said of networks that were not hardened, where others were."""
    return "Not hardened, " if summary.hardened else ""


def _compared(summary: Summary, network: _Network | None) -> str:
    """The network beside the best plain model."""
    mgu, plain = network.row if network else None, summary.best_plain
    if not mgu and not plain:
        rivals = any(rival.best for rival in summary.trained_rivals)
        return "No plain or MGU model has finished." if rivals else "No trial has finished."
    if not network or not plain:
        row, missing = (mgu, "plain") if mgu else (plain, "MGU")
        return f"{_reached(summary, row)}; no {missing} model has finished."
    best = "the best plain model" if summary.complete else "the best plain model so far"
    if len({row.trials for row in summary.rows if row.kind == "plain"}) > 1:
        best += f" of the {summary.candidates} with the most seeds"
    tied = f" (of {summary.ties} equally good, the one with the lowest validation loss)" if summary.ties > 1 else ""
    missed = f" in {plain.seeds} of {plain.trials} seeds" if plain.missed else ""
    reached = f"{plain.model_name}, {summary.score.full(plain.val_score)}{missed}"
    return f"{_reached(summary, mgu)}; {best}{tied}, {reached}: {_verdict(summary.score, network.val_margin)}."


def _reached(summary: Summary, row: Row | None) -> str:
    if not row:
        return ""
    missed = f" in {row.seeds} of {row.trials} seeds ({row.status})" if row.missed else ""
    return f"{row.model_name} reached {summary.score.full(row.val_score)} validation {summary.score.name}{missed}"


def _verdict(score: Score, margin: Margin) -> str:
    if margin.mean is None:
        return "they share no finished seed, so no margin is given"
    over = f" over {len(margin.by_seed)} paired seeds" if len(margin.by_seed) > 1 else ""
    how = "level with it" if score.is_level(margin.mean) else _difference(score, margin.mean)
    return f"MGU is {how}{over}"


def _difference(score: Score, margin: float) -> str:
    return f"{score.difference(margin)} {'better' if margin > 0 else 'worse'}"


def _time(summary: Summary, network: _Network | None) -> str:
    if not network or not network.speed_up or not network.cost or not summary.grid_cost:
        reason = no_speed_up(summary)
        return reason[0].upper() + reason[1:] + "."
    grid = f"the grid of {_models(summary.grid_cost)} {seconds(summary.grid_total_s)}"
    slower = "; MGU was slower than the whole grid" * (network.speed_up < 1)
    shared = f" at {seed_list(network.cost.seeds)}" if summary.is_uneven else ""
    return f"MGU took {seconds(network.cost.total_s)}, {grid}{shared}: a speed-up of {network.speed_up:.2f}{slower}."


def _beside(summary: Summary, soft: _Network) -> str:
    """What the soft network is to the best plain model."""
    reached = f"Not hardened, {soft.row.model_name} reached {summary.score.full(soft.row.val_score)}"
    took = f", in {seconds(soft.cost.total_s)}" if soft.cost else ""
    return (
        reached
        + _against(summary.score, soft.val_margin.mean)
        + took
        + (f": a speed-up of {soft.speed_up:.2f}." if soft.speed_up else ".")
    )


def _against(score: Score, margin: float | None) -> str:
    if margin is None:
        return ""
    how = "level with" if score.is_level(margin) else f"{_difference(score, margin)} than"
    return f", {how} that plain model"


def _hardening(summary: Summary) -> Iterator[tuple[str, str]]:
    """What came of the hardening itself."""
    hard, score = summary.hardened, summary.score
    if not hard:
        return
    epochs = " or ".join(map(str, hard.after_epochs))
    yield (
        "Hardened",
        f"after epoch {epochs}; {score.full(hard.row.val_score)} validation, {score.full(hard.row.test_score)} test, "
        f"{size(hard.row.model_size)} weights, {hard.latency_ratio:.2f} times as fast in use as the soft network",
    )
    validation, test = _margin(score, hard.val_change), _margin(score, hard.test_change)
    yield "Hardened, change from the soft network", f"validation {validation}, test {test}"
    for seed, text in hard.warnings:
        yield f"Hardened, warning at seed {seed}", text


def _of_network(summary: Summary, network: _Network) -> dict[str, str]:
    score = summary.score
    validation, test = (_grain(summary, size) for size in (summary.validation_size, summary.test_size))
    known = {
        "validation margin": _margin(score, network.val_margin, validation),
        "test margin": _margin(score, network.test_margin, test),
    }
    if network.case_margin.by_seed:
        known["test margin by case"] = _margin(ACCURACY, network.case_margin, ACCURACY.grain(summary.cases, "case"))
    is_hardened = network.row.is_hardened
    known["tts" if network.prefix else "MGU tts"] = (
        _cost(network.cost, network.row) + ", soft epochs included" * is_hardened
    )
    if network.speed_up:
        known["speed-up"] = f"{network.speed_up:.2f}"
    return {_named(network.prefix, name): text for name, text in known.items()}


def _named(prefix: str, name: str) -> str:
    return f"{prefix}{name}" if prefix else name[0].upper() + name[1:]


def _grain(summary: Summary, samples: int | None) -> str:
    """How coarse a figure of so many samples is."""
    if summary.cases:
        return "samples of one case are not independent"
    return summary.score.grain(samples, "sample")


def _seeds(summary: Summary) -> str:
    """Which models have how many seeds, the most common number last and, where many have it, without their names."""
    by_seeds: dict[int, list[str]] = {}
    for row in summary.rows:
        if not row.is_hardened:
            by_seeds.setdefault(row.trials, []).append(row.model_name)
    *few, (common, names) = sorted(by_seeds.items(), key=lambda known: len(known[1]))
    said = [f"{seeds} for {', '.join(of)}" for seeds, of in few]
    others = ", ".join(names) if len(names) <= _NAMED else f"the other {len(names)}"
    return "; ".join([*said, f"{common} for {others}"])


def _rival(summary: Summary, rival: RivalResult) -> str:
    """What a trained rival reached, what that cost, and what the grid costs in its terms."""
    if not rival.best:
        return "no model has finished"
    full = summary.score.full
    reached = f"{full(rival.best.val_score)} validation, {full(rival.best.test_score)} test"
    speed_up = summary.speed_up_rival(rival)
    dearer = f", grid {speed_up:.2f} times as expensive" if speed_up else ""
    return f"{reached} ({rival.best.model_name}), cost {_cost(rival.cost)}{dearer}"


def _models(cost: Cost) -> str:
    return f"{cost.models} model" + "s" * (cost.models != 1)


def _cost(cost: Cost | None, row: Row | None = None) -> str:
    if cost is None:
        return UNKNOWN
    return f"{seconds(cost.total_s)} ({row.model_name if row else _models(cost)}, {over(cost.seeds)})"


def _margin(score: Score, margin: Margin, grain: str = "") -> str:
    """The mean, the seeds, and how coarse the figure is."""
    if margin.mean is None:
        return UNKNOWN
    by_seed = ", ".join(f"seed {seed} {score.signed(value)}" for seed, value in margin.by_seed)
    one = "one seed says nothing of the spread" if len(margin.by_seed) == 1 else ""
    return f"{score.signed(margin.mean)}{score.step} ({'; '.join(filter(None, (by_seed, grain, one)))})"
