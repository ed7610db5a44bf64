"""A ledger from a stranger: nothing in it is run, nothing leaves the study's folder, and what it says goes together."""

import sqlite3
from contextlib import closing

import pytest

from inline import Inline
from ledger import content, write
from mgu.errors import InputError
from mgu.progress import Silent
from mgu.study.ledger import FILE, Ledger, read_study
from mgu.study.runner import run as run_study
from samples import SETTINGS, TRIALS


@pytest.fixture
def known(tmp_path):
    """The content of a small study; ``read`` reads it as changed."""
    return content()


@pytest.fixture
def read(known, tmp_path):
    def reading():
        write(tmp_path, known)
        return read_study(tmp_path)

    return reading


def test_a_small_study_is_read(read):
    assert [record.status for record in read().records] == ["finished", "finished", "failed", "pending"]


@pytest.mark.parametrize(
    "name",
    [
        "../../a",
        "/etc/cron.d/a",
        "..",
        "a/b",
        "a\\b",
        "C:a",
        "a\0b",
        "",
        "a\n",
        "x" * 101,
        "<img src=x>",
        "=1+1",
        3,
        None,
    ],
)
def test_a_name_that_is_no_folder_of_the_study_is_refused(name, known, read):
    known["trials"][0]["trial"]["model_name"] = name
    with pytest.raises(InputError, match=r"trial 1 cannot be read .*(names no model|model_name)"):
        read()


@pytest.mark.parametrize("seed", ["../../../a", 0.5, True, None, [0]])
def test_a_seed_that_is_no_number_is_refused(seed, known, read):
    known["trials"][0]["trial"]["seed"] = seed
    with pytest.raises(InputError, match=r"trial 1 cannot be read .*seed"):
        read()


@pytest.mark.parametrize("linked", ["trials", "trials/A_001-seed0", "trials/A_001-seed0/checkpoints"])
def test_a_trial_is_not_written_through_a_link(linked, tmp_path):
    study = tmp_path / "study"
    (tmp_path / "elsewhere").mkdir()
    (study / linked).parent.mkdir(parents=True, exist_ok=True)
    (study / linked).symlink_to(tmp_path / "elsewhere")
    with Ledger.open(study, SETTINGS) as ledger, pytest.raises(InputError, match="is a link, or in one"):
        run_study(ledger, ledger.add(TRIALS, SETTINGS), lambda trial: None, Inline(), Silent())


def at(*path, to):
    def change(known):
        for name in path[:-1]:
            known = known[name]
        known[path[-1]] = to

    return change


FIRST = ("trials", 0)
RESULT = (*FIRST, "result")
EPOCH = content()["trials"][0]["result"]["history"][0]
WRONG = {
    "an unknown status": at(*FIRST, "status", to="<b>"),
    "a status that its result has not": at(*FIRST, "status", to="failed"),
    "an end without a result": at(*FIRST, "result", to=None),
    "a result without an end": at(*FIRST, "status", to="running"),
    "a count that is a word": at(*FIRST, "attempts", to="many"),
    "time lost without end": at(*FIRST, "lost_s", to=float("inf")),
    "time lost below 0": at(*FIRST, "lost_s", to=-1.0),
    "a layout of words": at(*FIRST, "trial", "architecture", "layout", "nr_layers", to="2"),
    "a layout of a million layers": at(*FIRST, "trial", "architecture", "layout", "nr_layers", to=10**6),
    "a cell of another kind": at(*FIRST, "trial", "architecture", "cell", "residual", to="yes"),
    "a residual without end": at(*FIRST, "trial", "architecture", "cell", "residual", to=10**30),
    "a size that no float holds": at(*FIRST, "trial", "model_size", to=10**400),
    "a size of more weights than any": at(*FIRST, "trial", "model_size", to=10**300),
    "a norm that is none": at(*FIRST, "trial", "architecture", "cell", "norm", to="\ud800"),
    "a time longer than any": at(*RESULT, "tts_s", to=1e300),
    "lost time longer than any": at(*FIRST, "lost_s", to=1e300),
    "a loss larger than any": at(*RESULT, "history", 0, "train_loss", to=1e300),
    "energy larger than any": at(*RESULT, "usage", "energy", 0, "kwh", to=1e300),
    "operations more than any": at(*RESULT, "run_flops", "every", to=10**300),
    "a plain network of more weights than any": at("trials", 1, "result", "hardening", "model_size", to=10**30),
    "a score that is a word": at(*RESULT, "val_score", to="0.9"),
    "no score": at(*RESULT, "val_score", to=None),
    "a best epoch that is none": at(*RESULT, "best_epoch", to=9),
    "a best epoch that the history has lost": at("trials", 1, "result", "history", to=[EPOCH | {"epoch": 2}]),
    "a time that is none": at(*RESULT, "tts_s", to=float("nan")),
    "a time below 0": at(*RESULT, "train_s", to=-1),
    "gates that are no numbers": at(*RESULT, "history", 0, "gates", to={"layer_1": {"norm": "<b>"}}),
    "a confusion that is not square": at(*RESULT, "test_answers", "confusion", to=[[1, 2, 3], [4, 5, 6]]),
    "a confusion of no samples": at(*RESULT, "test_answers", "confusion", to=[[0, 0], [0, 0]]),
    "more samples than there are": at(*RESULT, "test_answers", "confusion", to=[[2**62, 0], [0, 1]]),
    "energy that is a word": at(*RESULT, "usage", "energy", 0, "kwh", to="much"),
    "an epoch that never ended": at(*RESULT, "history", 1, "elapsed_s", to=float("inf")),
    "a latency of 0": at("trials", 1, "result", "hardening", "latency_s", to=0.0),
    "hardened after no epoch": at("trials", 1, "result", "hardening", "after_epoch", to=7),
    "a hardening in a hardening of no kind": at("trials", 1, "result", "hardening", "result", "hardening", to="a"),
    "an environment of numbers": at(*FIRST, "environment", to={"torch": 2}),
    "settings that are a list": at("study", "settings", to=[1]),
    "data that is a word": at("study", "settings", "data", to="digits"),
    "a name of the data that is none": at("study", "settings", "data", "name", to={"a": 1}),
    "layouts that are null": at("study", "settings", "space", "layouts", to=None),
    "cells that are a number": at("study", "settings", "space", "cells", to=3),
    "commands that are no texts": at("study", "commands", to=[1]),
    "commands that are no list": at("study", "commands", to={"a": 1}),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_of_another_kind_or_does_not_go_together_is_refused(case, known, read, tmp_path):
    WRONG[case](known)
    with pytest.raises(InputError, match=f"{tmp_path / FILE}.*cannot be read"):
        read()


@pytest.mark.parametrize(
    "text", ["[" * 10**5, '{"a":' * 900 + "1" + "}" * 900, '{"model_name": "a", "model_name": "b"}', "9" * 5000, "\xff"]
)
@pytest.mark.parametrize("column", ["trial", "result", "environment"])
def test_json_that_is_none(column, text, known, read):
    known["trials"][0][column] = text
    with pytest.raises(InputError, match="cannot be read"):
        read()


#: Each takes the place of the table that a reader looks at, and would never end, or run what its writer chose.
TRAPS = {
    "a view": "ALTER TABLE trials RENAME TO other; CREATE VIEW trials AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
    "SELECT i + 1 FROM n) SELECT i AS position, '' AS trial, '' AS status, 0 AS attempts, 0 AS lost_s, 0 AS elapsed_s, "
    "'' AS environment, '' AS result FROM n",
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON trials BEGIN DELETE FROM trials; END",
    "a virtual table": "DROP TABLE trials; CREATE VIRTUAL TABLE trials USING fts5(trial)",
    "a virtual table by the name of one": "DROP TABLE trials; CREATE VIRTUAL TABLE trials USING fts5vocab(study, row)",
    "another table": "CREATE TABLE other (a)",
    "an index with code": "CREATE INDEX i ON trials (lower(trial))",
    "a column that is worked out": "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, "
    "'result TEXT', 'result TEXT GENERATED ALWAYS AS (instr(zeroblob(9), 1)) VIRTUAL')",
    "a check": "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, 'result TEXT', "
    "'result TEXT CHECK (instr(zeroblob(9), 1) = 0)')",
}


@pytest.mark.parametrize("trap", TRAPS)
def test_parts_that_no_ledger_has_are_refused(trap, known, read, tmp_path):
    with closing(sqlite3.connect(write(tmp_path, known))) as connection:
        connection.executescript(TRAPS[trap])
        connection.commit()
    for opened in (lambda: read_study(tmp_path), lambda: Ledger.open(tmp_path, {}).__enter__()):
        with pytest.raises(InputError, match="which no ledger has"):
            opened()


@pytest.mark.parametrize(
    "statement", [b"CREATE TABLE tri\xacls (", b"CREATE \xacABLE trials (", b"CREATE TABLE trials \xac"]
)
def test_a_statement_that_is_no_text_is_refused(statement, known, tmp_path):
    path = write(tmp_path, known)
    content = path.read_bytes()
    assert content.count(b"CREATE TABLE trials (") == 1
    path.write_bytes(content.replace(b"CREATE TABLE trials (", statement))
    with pytest.raises(InputError, match="not a readable ledger"):
        read_study(tmp_path)


def test_an_entry_larger_than_any_is_refused(known, tmp_path, monkeypatch):
    write(tmp_path, known)
    monkeypatch.setattr("mgu.study.ledger.MOST_BYTES", 1000)
    with pytest.raises(InputError, match="too big"):
        read_study(tmp_path)


def test_a_command_answers_a_strangers_study_with_one_line(known, tmp_path, run):
    known["trials"][0]["trial"]["model_name"] = "\x1b[2J../../a"
    known["study"]["settings"]["data"]["name"] = "\x1b]0;title\x07"
    write(tmp_path, known)
    for command in ("status", "report"):
        done = run(command, tmp_path)
        assert (done.exit_code, done.stderr.count("\n"), "\x1b" in done.output) == (2, 1, False), done.output
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.fixture
def run():
    from click.testing import CliRunner

    from mgu.cli import main

    return lambda *arguments: CliRunner().invoke(main, [str(argument) for argument in arguments])
