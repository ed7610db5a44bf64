"""The ledger of a study: one SQLite file that says what is to be trained and what became of it."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from filelock import FileLock, Timeout

from mgu.errors import InputError
from mgu.history import Answers, Decision, Energy, Epoch, Errors, Flops, Hardening, Result, Usage
from mgu.layouts import Layout
from mgu.spaces import Architecture, Cell
from mgu.study.trial import Estimator, Record, StudyView, Trial, identity

FILE = "ledger.sqlite"
#: What entries of a result were called at first.
_RENAMED = {f"{split}_acc": f"{split}_score" for split in ("train", "val", "test")}

_SCHEMA = """
CREATE TABLE IF NOT EXISTS study (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS trials (
    position INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    trial TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'pending',
    attempts INTEGER NOT NULL DEFAULT 0,
    elapsed_s REAL NOT NULL DEFAULT 0,
    lost_s REAL NOT NULL DEFAULT 0,
    environment TEXT,
    result TEXT
);
"""


class Ledger:
    """The records of one study, opened for work by one process at a time.

    Every change is one transaction, on disk before the call returns (WAL, synchronous FULL): a killed process loses no
    result that was written. A trial is known by its key, so that adding it twice adds it once.
    """

    def __init__(self, connection: sqlite3.Connection, folder: Path) -> None:
        self._connection = connection
        self.folder = folder

    @classmethod
    @contextmanager
    def open(cls, folder: Path, settings: Mapping[str, Any], command: str | None = None) -> Iterator["Ledger"]:
        """Open the study in ``folder``, made where it is not there, and hold it against other processes.

        ``command`` is kept with those that worked on the study before.

        Raises InputError where the folder cannot be written, where another process works on the study, where the file
        is no ledger, and where the study was begun with other settings, which it then names.
        """
        lock = FileLock(folder / "study.lock", timeout=0)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            raise InputError(f"{folder}: another process is working on this study; wait for it, or stop it") from None
        except OSError as error:
            raise InputError(f"{folder}: cannot be written ({error.strerror}); choose another folder") from None
        try:
            with _connect(folder) as connection:
                ledger = cls(connection, folder)
                ledger._begin_study(settings)
                ledger._remember(command)
                yield ledger
        finally:
            lock.release()

    def add(self, trials: Iterable[Trial], settings: Mapping[str, Any]) -> list[str]:
        """Add the trials that are not there yet, in order; return the keys of all of them."""
        keys = {trial.key(settings): trial for trial in trials}
        with self._connection:
            self._connection.executemany(
                "INSERT OR IGNORE INTO trials (key, trial) VALUES (?, ?)",
                [(key, json.dumps(asdict(trial))) for key, trial in keys.items()],
            )
        return list(keys)

    def begin(self, key: str, environment: Mapping[str, str]) -> None:
        """Record that an attempt at the trial begins; what an earlier attempt had spent is lost time."""
        self._change(
            "status = 'running', attempts = attempts + 1, lost_s = lost_s + elapsed_s, elapsed_s = 0, result = NULL, "
            "environment = ?",
            key,
            json.dumps(dict(environment)),
        )

    def progress(self, key: str, elapsed_s: float) -> None:
        """Record how long the attempt has run, so that its cost is known should it be killed."""
        self._change("elapsed_s = ?", key, elapsed_s)

    def end(self, key: str, result: Result) -> None:
        """Record the trial's result."""
        self._change(
            "status = ?, elapsed_s = ?, result = ?", key, result.status, result.tts_s, json.dumps(asdict(result))
        )

    def record(self, key: str) -> Record:
        """The trial and what is known of it."""
        row = self._connection.execute(f"SELECT {_COLUMNS} FROM trials WHERE key = ?", (key,)).fetchone()
        return _record(row)

    def view(self) -> StudyView:
        """The whole study as it stands."""
        return _view(self._connection)

    def _change(self, assignments: str, key: str, *values: object) -> None:
        self._write(f"UPDATE trials SET {assignments} WHERE key = ?", (*values, key))

    def _write(self, statement: str, values: tuple[object, ...]) -> None:
        try:
            with self._connection:
                self._connection.execute(statement, values)
        except sqlite3.DatabaseError as error:
            raise InputError(
                f"{self.folder / FILE}: cannot be written ({error}); what it holds is kept: make room, and the same "
                "command goes on"
            ) from error

    def _begin_study(self, settings: Mapping[str, Any]) -> None:
        stored = _stored(self._connection, "settings")
        if stored is not None:
            _check_same(self.folder, stored, settings)
        if stored is None or settings.get("data", {}).get("note"):
            self._store("settings", dict(settings))

    def _remember(self, command: str | None) -> None:
        commands = _stored(self._connection, "commands") or []
        if command and command not in commands:
            self._store("commands", [*commands, command])

    def _store(self, name: str, value: Any) -> None:
        self._write("INSERT OR REPLACE INTO study VALUES (?, ?)", (name, json.dumps(value)))


def read_study(folder: Path) -> StudyView:
    """The study in a folder, finished or not, also while another process works on it.

    Raises InputError where the folder holds no ledger.
    """
    if not (folder / FILE).is_file():
        raise InputError(f"{folder}: no study here ({FILE} is missing); give the folder that a study was written to")
    with _opened(f"{(folder / FILE).resolve().as_uri()}?mode=ro") as connection:
        begun = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'trials'").fetchone()
        return _view(connection) if begun else StudyView({}, {})  # its first process has just made the file


def check_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Raise InputError, naming the difference, where the folder holds a study that was begun with other settings."""
    if (folder / FILE).is_file():
        _check_same(folder, read_study(folder).settings, settings)


def _check_same(folder: Path, stored: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    differences = list(_differences(identity(stored), identity(settings)))
    if differences:
        raise InputError(
            f"{folder}: this study was begun with other settings: {'; '.join(differences)}. "
            "Use the settings it was begun with, or another --out folder"
        )


@contextmanager
def _connect(folder: Path) -> Iterator[sqlite3.Connection]:
    with _opened((folder / FILE).resolve().as_uri()) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(_SCHEMA)
        yield connection


@contextmanager
def _opened(uri: str) -> Iterator[sqlite3.Connection]:
    """The ledger at a URI, whose errors are clear ones."""
    path = Path(url2pathname(urlsplit(uri).path))
    try:
        connection = sqlite3.connect(uri, uri=True)
    except sqlite3.OperationalError as error:
        raise InputError(f"{path}: cannot be opened ({error})") from None
    try:
        yield connection
    except sqlite3.DatabaseError as error:
        raise InputError(f"{path}: not a readable ledger, or not writable ({error})") from error
    finally:
        connection.close()


_COLUMNS = "trial, status, attempts, lost_s + CASE status WHEN 'running' THEN elapsed_s ELSE 0 END, result"


def _view(connection: sqlite3.Connection) -> StudyView:
    rows = connection.execute(f"SELECT {_COLUMNS} FROM trials ORDER BY position").fetchall()
    environments = connection.execute("SELECT DISTINCT environment FROM trials WHERE environment IS NOT NULL")
    return StudyView(
        settings=_stored(connection, "settings") or {},
        environment=_merged(json.loads(text) for (text,) in environments.fetchall()),
        records=tuple(_record(row) for row in rows),
        commands=tuple(_stored(connection, "commands") or ()),
    )


def _stored(connection: sqlite3.Connection, name: str) -> Any:
    row = connection.execute("SELECT value FROM study WHERE name = ?", (name,)).fetchone()
    return json.loads(row[0]) if row else None


def _record(row: tuple[str, str, int, float, str | None]) -> Record:
    trial, status, attempts, lost_s, result = row
    return Record(_trial(json.loads(trial)), status, attempts, _result(json.loads(result)) if result else None, lost_s)


def _trial(table: dict[str, Any]) -> Trial:
    shape = table["architecture"]
    if "layout" not in shape:
        return Trial(**{**table, "architecture": Estimator(**shape)})
    cell = Cell(**shape["cell"]) if shape["cell"] else None
    architecture = Architecture(**{**shape, "layout": Layout(**shape["layout"]), "cell": cell})
    return Trial(**{**table, "architecture": architecture})


def _result(table: dict[str, Any]) -> Result:
    table = _of_today(table)
    history = tuple(Epoch(**_of_today(epoch)) for epoch in table["history"])
    parts = {name: read(table[name]) for name, read in _PARTS.items() if table.get(name)}
    return Result(**{**table, "history": history, **parts})


def _of_today(table: dict[str, Any]) -> dict[str, Any]:
    """The entries by the names that they have today."""
    return {_RENAMED.get(name, name): value for name, value in table.items()}


def _hardening(table: dict[str, Any]) -> Hardening:
    decisions = tuple(Decision(**decision) for decision in table["decisions"])
    return Hardening(**{**table, "decisions": decisions, "result": _result(table["result"])})


def _usage(table: dict[str, Any]) -> Usage:
    return Usage(**{**table, "energy": tuple(Energy(**entry) for entry in table["energy"])})


def _answers(table: dict[str, Any]) -> Answers | Errors:
    if "r2" in table:
        return Errors(**table)
    return Answers(tuple(tuple(row) for row in table["confusion"]), table["log_loss"])


_PARTS: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "hardening": _hardening,
    "test_answers": _answers,
    "test_case_answers": _answers,
    "step_flops": lambda table: Flops(**table),
    "run_flops": lambda table: Flops(**table),
    "usage": _usage,
}


def _merged(environments: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Each entry once; where trials ran in different environments, all of their values."""
    values: dict[str, dict[str, None]] = {}
    for environment in environments:
        for name, value in environment.items():
            values.setdefault(name, {})[value] = None
    return {name: " | ".join(several) for name, several in values.items()}


def _differences(stored: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(stored.keys() | given.keys()):
        if stored.get(name) != given.get(name):
            yield f"{name} was {stored.get(name)!r}, now {given.get(name)!r}"
