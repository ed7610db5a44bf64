"""Records and studies by hand."""

import copy
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger import content, write
from mgu.history import Answers, Decision, Energy, Epoch, Flops, Hardening, Result, Usage
from mgu.layouts import Layout
from mgu.report.page import write_report
from mgu.spaces import Architecture, Cell
from mgu.study.ledger import read_study
from mgu.study.trial import ENDED, Record, StudyView, Trial

LAYOUT = Layout.of([4, 2, 2, float("inf"), 2])


def make_record(
    name: str,
    val: float | None = None,
    *,
    seed: int = 0,
    cell: str | None = "ln",
    rival: str = "",
    status: str = "finished",
    tts: float = 100.0,
    train: float | None = None,
    test: float | None = None,
    lost: float = 0.0,
    compiled: float = 0.0,
    size: int = 98_920,
    message: str = "",
    history: tuple[Epoch, ...] = (),
) -> Record:
    """One record; ``cell=None`` is an MGU network's, or a rival's of that name."""
    trial = Trial(name, Architecture(LAYOUT, Cell.of(cell) if cell else None), size, seed, rival)
    if status not in ENDED:
        return Record(trial, status, attempts=int(status == "running"), lost_s=lost)
    best = max(range(len(history)), key=lambda i: history[i].val_score) + 1 if history else None
    result = Result(status, tts, 0.8 * tts, compiled, train, val, test, best, history, message)
    return Record(trial, status, attempts=1 + (lost > 0), result=result, lost_s=lost)


def make_hardened(
    record: Record,
    val: float | None = None,
    *,
    status: str = "finished",
    tts: float = 100.0,
    test: float | None = None,
    size: int = 50_000,
    after: int = 1,
    soft_latency: float = 0.004,
    latency: float = 0.001,
    warning: str = "",
    message: str = "",
    history: tuple[Epoch, ...] = (),
) -> Record:
    """The record, of a network that was hardened too; ``history`` is of the hardened network's own epochs."""
    soft = record.result
    assert soft
    epochs = (*soft.history[:after], *(replace(epoch, epoch=epoch.epoch + after) for epoch in history))
    best = max(range(after, len(epochs)), key=lambda i: epochs[i].val_score) + 1 if history else None
    result = Result(status, tts, 0.8 * tts, 0.0, None, val, test, best, epochs, message, latency)
    decisions = (Decision("layer_1", "skip", "residual", 0.9, 0.01),)
    hardening = Hardening(after, size, decisions, 0.5, 64, soft_latency, latency, warning, result)
    return replace(record, result=replace(soft, hardening=hardening))


def make_view(*records: Record, **settings: object) -> StudyView:
    return StudyView(settings, {"torch": "2.13.0", "device": "cpu"}, records)


def make_history(*val_accs: float, loss: float = 1.0) -> tuple[Epoch, ...]:
    return tuple(Epoch(i, loss / i, val, loss, val, 10.0 * i) for i, val in enumerate(val_accs, 1))


@pytest.fixture
def record() -> Callable[..., Record]:
    return make_record


@pytest.fixture
def hardened() -> Callable[..., Record]:
    return make_hardened


@pytest.fixture
def view() -> Callable[..., StudyView]:
    return make_view


@pytest.fixture
def history() -> Callable[..., tuple[Epoch, ...]]:
    return make_history


@pytest.fixture
def whole_study() -> StudyView:
    """Two seeds of two plain models, one of which diverged once, and of one MGU model; everything has ended."""
    return make_view(
        make_record("P1", 0.90, seed=0, tts=100, train=0.95, test=0.89, compiled=5, history=make_history(0.5, 0.9)),
        make_record("P2", status="diverged", seed=0, tts=30, lost=7, cell="bn_pre+residual", message="loss is nan"),
        make_record("M1", 0.92, seed=0, cell=None, tts=40, test=0.90, compiled=9, history=make_history(0.6, 0.92)),
        make_record("P1", 0.88, seed=1, tts=110, train=0.93, test=0.87, history=make_history(0.4, 0.88)),
        make_record("P2", 0.80, seed=1, tts=70, test=0.81, cell="bn_pre+residual", history=make_history(0.7, 0.8)),
        make_record("M1", 0.89, seed=1, cell=None, tts=60, test=0.86, lost=4, history=make_history(0.8, 0.89)),
        data={"name": "digits", "checksum": "9f2c"},
    )


@pytest.fixture
def hardened_study(whole_study: StudyView) -> StudyView:
    """The whole study, its MGU model hardened at both seeds: better, smaller and faster, with a warning at one."""
    own = make_history(0.7, 0.95)
    options = {
        0: {"val": 0.95, "test": 0.93, "tts": 30, "latency": 0.002, "history": own},
        1: {"val": 0.91, "test": 0.90, "tts": 50, "latency": 0.001, "history": own, "warning": "gates undecided"},
    }
    records = (make_hardened(r, **options[r.trial.seed]) if r.trial.is_mgu else r for r in whole_study.records)
    return replace(whole_study, records=tuple(records))


ABSENT = Energy("gpu", None, "absent", "a run on the CPU")


def make_usage(wh: float, *, others: float | None = 0.02, country: str | None = "CHE") -> Usage:
    """A run that took so many Wh by the processor's counter, and an estimated quarter of it for the memory."""
    energy = (
        Energy("cpu", wh / 1000, "measured", "RAPL <package-0>"),
        Energy("ram", wh / 4000, "estimated", "taken as 10 W"),
        ABSENT,
    )
    intensity = 35.0 if country else None
    return Usage(energy, None, None, 0.98, 1.4, others, 500 + wh, None, intensity, country, 100.0)


def metered(record: Record, wh: float, answers: Answers | None = None, **options: Any) -> Record:
    """The record with a usage, operations and answers, those of what it was hardened to half as much."""
    result = record.result
    assert result
    known = {"step_flops": Flops(10, 12), "run_flops": Flops(round(100 * wh), round(120 * wh)), "test_answers": answers}
    hard = result.hardening
    if hard:
        half = replace(hard.result, **{**known, "run_flops": Flops(round(50 * wh), round(60 * wh))})
        hard = replace(hard, result=replace(half, usage=make_usage(wh / 2, **options)))
    return replace(record, result=replace(result, **known, usage=make_usage(wh, **options), hardening=hard))


@pytest.fixture
def usage() -> Callable[..., Usage]:
    return make_usage


@pytest.fixture
def with_usage() -> Callable[..., Record]:
    return metered


@pytest.fixture
def metered_study(hardened_study: StudyView) -> StudyView:
    """The hardened study with usages, operations and answers: 1 Wh for the first trial, 2 for the second and so on; the
    second trial was not alone."""
    answers = Answers(((8, 1, 1), (0, 10, 0), (2, 0, 8)), 0.25)
    records = tuple(
        metered(record, wh, answers, others=0.43 if wh == 2 else 0.02)
        for wh, record in enumerate(hardened_study.records, 1)
    )
    data = {**hardened_study.settings["data"], "class_names": ["<cat>", "dog", "horse"]}
    return replace(hardened_study, settings={"data": data}, records=records)


#: Markup for wherever a text may stand; what of it runs sets ``window.ran``, formulas count as code too.
ATTACKS = (
    "<script>window.ran=1</script>",
    '"><img src=x onerror="window.ran=2">',
    "'><svg onload='window.ran=3'>",
    "</style></title></script></svg><iframe srcdoc='<script>parent.ran=4</script>'>",
    "<!-- --><![CDATA[ ]]><a href=javascript:window.ran=5>",
    "[a](javascript:window.ran=6) ![b](x) | `c` *d* <e@f.gh>",
    "{{ 7 * 7 }} {% include 'page.css' %}",
    "=HYPERLINK(1+1)",
    "+1+cmd|' /C calc'!A0",
    "@SUM(1)\r\n# heading",
    "\x1b[2J\u202e\ud800 $x^{",
)


@pytest.fixture(scope="session")
def hostile_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study whose ledger has one of the attacks wherever a text of its writer's choice may stand, with
    its report."""
    known = content()
    attacks = itertools.cycle(ATTACKS)
    data = known["study"]["settings"]["data"]
    data |= {"name": next(attacks), "note": " ".join(ATTACKS), "class_names": list(ATTACKS[:2])}
    known["study"]["settings"] |= {"other": {attack: [attack] for attack in ATTACKS}, ATTACKS[0]: ATTACKS[1]}
    known["study"]["commands"] = list(ATTACKS)
    for attack in ATTACKS:  # a message, a warning, an environment and a meter of each kind
        for row in copy.deepcopy(known["trials"][1:3]):
            row["trial"]["seed"] = len(known["trials"])
            row["environment"] = {attack: next(attacks)}
            row["result"] |= {"message": attack}
            for epoch in row["result"]["history"]:
                epoch["gates"] = {attack: {attack: 0.5}}
            if hard := row["result"]["hardening"]:
                hard |= {"warning": attack}
                hard["decisions"][0] |= {"unit": attack, "gate": attack, "side": attack}
                row["result"]["usage"] |= {"country": attack}
                row["result"]["usage"]["energy"][0] |= {"part": attack, "meter": attack}
            known["trials"].append(row)
    folder = tmp_path_factory.mktemp("hostile")
    write(folder, known)
    write_report(read_study(folder), folder, ["random"])
    return folder
