"""The numbers of a study as it stands, in summary."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from math import inf
from statistics import fmean

from mgu.history import Result
from mgu.metrics import metrics
from mgu.report.choice import best_mgu, plain_candidates
from mgu.report.figures import MeanSd
from mgu.report.score import Score, score_of
from mgu.report.summary import Cost, Hardened, Margin, RivalResult, Row, Summary
from mgu.study.trained_rivals import title
from mgu.study.trial import ENDED, Record, StudyView

#: A hardened network is warned of where its score, as on record, is so far below the soft one's.
LOST = 0.005
#: A figure of a trial that has ended; None where it is not on record.
Reader = Callable[[Result], float | None]


def summarise(view: StudyView) -> Summary:
    """The numbers of a study, whatever part of it has ended."""
    score = score_of(view)
    models = _by_model(view.records)
    hardened = {name: hardened_records(records) for name, records in models.items()}
    of_hardened = [_row(records, score, is_hardened=True) for records in hardened.values() if records]
    rows = _ranked([*(_row(records, score) for records in models.values()), *of_hardened])
    mgu = best_mgu(rows, {records[0].trial.model_name: name for name, records in hardened.items() if records})
    candidates = plain_candidates(rows)
    best_plain = next(iter(candidates), None)
    of_mgu = models.get(mgu.model_name, []) if mgu else []
    of_plain = models.get(best_plain.model_name, []) if best_plain else []
    plain = [record for record in view.records if record.trial.kind == "plain"]
    shared = _whole_seeds(plain) & _whole_seeds(of_mgu)
    data = view.settings.get("data")
    sizes = data if isinstance(data, Mapping) else {}
    return Summary(
        score=score,
        rows=rows,
        best_mgu=mgu,
        best_plain=best_plain,
        grid_cost=_cost(plain, shared),
        mgu_cost=_cost(of_mgu, shared),
        all_mgu_cost=_cost([record for record in view.records if record.trial.is_mgu], shared),
        val_margin=_margin(of_mgu, of_plain, _reader(score, "val_score")),
        test_margin=_margin(of_mgu, of_plain, _reader(score, "test_score")),
        case_margin=_margin(of_mgu, of_plain, _case_accuracy),
        hardened=_hardened(rows, of_mgu, of_plain, shared, score),
        trained_rivals=_trained_rivals(rows, view.records, plain),
        ended=sum(record.status in ENDED for record in view.records),
        total=len(view.records),
        plain_models=sum(row.kind == "plain" for row in rows),
        grid_size=view.grid_size,
        candidates=len(candidates),
        ties=sum(_mean_score(row) == _mean_score(best_plain) for row in candidates if not row.missed),
        validation_size=sizes.get("validation"),
        test_size=sizes.get("test"),
        cases=_cases(view.records),
    )


def _cases(records: Iterable[Record]) -> int | None:
    """How many cases the test split has; None where it has none."""
    answers = (record.result.test_case_answers for record in records if record.result)
    return next((sum(map(sum, of_cases.confusion)) for of_cases in answers if of_cases), None)


def _reader(score: Score, name: str) -> Reader:
    return lambda result: score.shown(getattr(result, name))


def _case_accuracy(result: Result) -> float | None:
    """In per cent."""
    return 100 * metrics(result.test_case_answers).accuracy if result.test_case_answers else None


def _by_model(records: Iterable[Record]) -> dict[str, list[Record]]:
    models: dict[str, list[Record]] = {}
    for record in records:
        models.setdefault(record.trial.model_name, []).append(record)
    return models


def _row(records: Sequence[Record], score: Score, *, is_hardened: bool = False) -> Row:
    trial = records[0].trial
    times = [result.tts_s for _, result in _ended(records)]
    statuses = Counter(record.status for record in records)
    return Row(
        rank=None,
        **{name: getattr(trial, name) for name in ("model_name", "layout", "norm", "residual", "model_size", "kind")},
        seeds=statuses["finished"],
        missed=statuses["diverged"] + statuses["failed"],
        trials=len(records),
        tts_s=fmean(times) if times else None,
        train_score=MeanSd.of(_finished(records, _reader(score, "train_score")).values()),
        val_score=MeanSd.of(_finished(records, _reader(score, "val_score")).values()),
        val_loss=_val_loss(records),
        test_score=MeanSd.of(_finished(records, _reader(score, "test_score")).values()),
        latency_s=_mean(result.latency_s for _, result in _ended(records)),
        status=_status(statuses),
        is_hardened=is_hardened,
    )


def _status(statuses: Mapping[str, int]) -> str:
    shown = [status for status in (*ENDED, "running", "pending") if status in statuses]
    return shown[0] if len(shown) == 1 else ", ".join(f"{statuses[status]} {status}" for status in shown)


def _ended(records: Iterable[Record]) -> list[tuple[Record, Result]]:
    return [(record, record.result) for record in records if record.status in ENDED and record.result]


def _finished(records: Iterable[Record], reader: Reader) -> dict[int, float]:
    """The figure at each seed that finished: a diverged or failed trial is a miss, whatever it reached before."""
    results = {record.trial.seed: record.result for record in records if record.status == "finished"}
    figures = {seed: reader(result) for seed, result in results.items() if result}
    return {seed: figure for seed, figure in figures.items() if figure is not None}


def _mean(figures: Iterable[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return fmean(known) if known else None


def _ranked(rows: Iterable[Row]) -> tuple[Row, ...]:
    order = sorted(rows, key=_merit)
    return tuple(replace(row, rank=i) if row.val_score else row for i, row in enumerate(order, 1))


def _merit(row: Row) -> tuple[int, float, float, str]:
    """Sorts best first; of equally good models the one with the lower validation loss, and then by name."""
    loss = inf if row.val_loss is None else row.val_loss
    if row.val_score:
        return min(row.missed, 1), -_mean_score(row), loss, row.model_name
    return (3 if row.tts_s is None else 2), 0.0, 0.0, row.model_name


def _mean_score(row: Row | None) -> float:
    """Mean validation score, without what the order of a sum may change in the last digits."""
    return round(row.val_score.mean, 9) if row and row.val_score else -inf


def _val_loss(records: Sequence[Record]) -> float | None:
    best = [
        result.history[result.best_epoch - 1].val_loss
        for record, result in _ended(records)
        if record.status == "finished" and result.best_epoch and result.history
    ]
    return fmean(best) if best else None


def _by_seed(records: Sequence[Record]) -> dict[int, list[tuple[Record, Result]]]:
    """The ended trials of each seed on which all of the models have ended."""
    models = {record.trial.model_name for record in records}
    by_seed: dict[int, list[tuple[Record, Result]]] = {}
    for record, result in _ended(records):
        by_seed.setdefault(record.trial.seed, []).append((record, result))
    return {seed: ended for seed, ended in by_seed.items() if {r.trial.model_name for r, _ in ended} == models}


def _whole_seeds(records: Sequence[Record]) -> set[int]:
    return set(_by_seed(records))


def _cost(records: Sequence[Record], shared: set[int]) -> Cost | None:
    """What the models cost over the shared seeds; over all that they have ended where none is shared."""
    whole = _by_seed(records)
    whole = {seed: ended for seed, ended in whole.items() if seed in shared} or whole
    if not whole:
        return None
    return Cost(
        total_s=fmean(sum(result.tts_s + record.lost_s for record, result in ended) for ended in whole.values()),
        compile_s=fmean(sum(result.compile_s for _, result in ended) for ended in whole.values()),
        models=len({record.trial.model_name for record in records}),
        seeds=tuple(sorted(whole)),
    )


def hardened_records(records: Sequence[Record]) -> list[Record]:
    """The records of what a model was hardened to; none where it never was. At a seed where the soft network ended
    without it, it is missed like that one, and its cost counts."""
    known = [record.hardened for record in records]
    name = next((record.trial.model_name for record in known if record), "")
    return [found or _missed(record, name) for record, found in zip(records, known, strict=True)] if name else []


def _missed(record: Record, name: str) -> Record:
    status = "failed" if record.status == "finished" else record.status
    return replace(record, trial=replace(record.trial, model_name=name), status=status)


def _hardened(
    rows: Sequence[Row], of_mgu: Sequence[Record], of_plain: Sequence[Record], shared: set[int], score: Score
) -> Hardened | None:
    records = hardened_records(of_mgu)
    if not records:
        return None
    known = [(record.trial.seed, record.result.hardening) for record in of_mgu if record.result]
    facts = [(seed, hardening) for seed, hardening in known if hardening]
    val_score, test_score = _reader(score, "val_score"), _reader(score, "test_score")
    val_change = _margin(records, of_mgu, val_score)
    worse = {seed for seed, change in val_change.by_seed if change < -LOST * score.scale}
    return Hardened(
        row=next(row for row in rows if row.model_name == records[0].trial.model_name),
        cost=_cost(records, shared),
        val_margin=_margin(records, of_plain, val_score),
        test_margin=_margin(records, of_plain, test_score),
        case_margin=_margin(records, of_plain, _case_accuracy),
        after_epochs=tuple(sorted({hardening.after_epoch for _, hardening in facts})),
        latency_ratio=fmean(hardening.soft_latency_s / hardening.latency_s for _, hardening in facts),
        val_change=val_change,
        test_change=_margin(records, of_mgu, test_score),
        warnings=tuple((seed, hardening.warning) for seed, hardening in facts if hardening.warning and seed in worse),
    )


def _trained_rivals(rows: Sequence[Row], records: Sequence[Record], plain: Sequence[Record]) -> tuple[RivalResult, ...]:
    by_rival: dict[str, list[Record]] = {}
    for record in records:
        if record.trial.rival:
            by_rival.setdefault(record.trial.rival, []).append(record)
    return tuple(_rival_result(name, rows, of_rival, plain) for name, of_rival in by_rival.items())


def _rival_result(name: str, rows: Sequence[Row], of_rival: Sequence[Record], plain: Sequence[Record]) -> RivalResult:
    models = {record.trial.model_name for record in of_rival}
    shared = _whole_seeds(plain) & _whole_seeds(of_rival)
    return RivalResult(
        title=title(name),
        best=next((row for row in rows if row.rank and row.model_name in models), None),
        cost=_cost(of_rival, shared),
        grid_cost=_cost(plain, shared),
    )


def _margin(of_mgu: Sequence[Record], of_plain: Sequence[Record], reader: Reader) -> Margin:
    mgu, plain = _finished(of_mgu, reader), _finished(of_plain, reader)
    return Margin(tuple((seed, _difference(mgu[seed], plain[seed])) for seed in sorted(mgu.keys() & plain.keys())))


def _difference(figure: float, other: float) -> float:
    return 0.0 if figure == other else figure - other  # two infinite ones are level
