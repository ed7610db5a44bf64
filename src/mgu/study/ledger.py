"""The ledger of a study: one SQLite file that says what is to be trained and what became of it."""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from filelock import FileLock, Timeout

from mgu.errors import InputError
from mgu.history import Result
from mgu.plain_json import read_json
from mgu.study.entries import COLUMNS, check_used, read_record, readable
from mgu.study.trial import Record, StudyView, Trial, identity
from mgu.typed import check

FILE = "ledger.sqlite"

#: No entry of a ledger is larger.
MOST_BYTES = 64 * 2**20

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
#: The statement that SQLite keeps of each table, by the table's name: it runs what stands in generated columns, say.
_TABLES = {
    statement.split()[2]: statement
    for statement in " ".join(_SCHEMA.split()).replace("IF NOT EXISTS ", "").rstrip(";").split("; ")
}


class Ledger:
    """The records of one study, opened for work by one process at a time.

    Every change is one transaction, on disk before the call returns (WAL, synchronous FULL): a killed process loses no
    result that was written. When it is closed, all is in one file again, and nothing needs to be written to read it. A
    trial is known by its key, so that adding it twice adds it once.

    A record is read and checked once, and held in memory until it changes: nobody else writes.
    """

    def __init__(self, connection: sqlite3.Connection, folder: Path) -> None:
        self._connection = connection
        self.folder = folder
        self._records: dict[str, Record] = {}

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

    def resume(self, key: str, kept_s: float) -> None:
        """Record that the attempt goes on from a state with so many seconds on its clock, which were not lost then."""
        self._change("lost_s = max(0, lost_s - ?), elapsed_s = ?", key, kept_s, kept_s)

    def progress(self, key: str, elapsed_s: float) -> None:
        """Record how long the attempt has run, what it went on from included, so that its cost is known should it be
        killed."""
        self._change("elapsed_s = ?", key, elapsed_s)

    def end(self, key: str, result: Result) -> None:
        """Record the trial's result."""
        self._change(
            "status = ?, elapsed_s = ?, result = ?", key, result.status, result.tts_s, json.dumps(asdict(result))
        )

    def record(self, key: str) -> Record:
        """The trial and what is known of it. Raises InputError where that is damaged, or of a newer mgu."""
        if key not in self._records:
            row = self._connection.execute(f"SELECT {COLUMNS} FROM trials WHERE key = ?", (key,)).fetchone()
            self._records[key] = read_record(row, self.folder / FILE)
        return self._records[key]

    def records(self) -> tuple[Record, ...]:
        """All trials, in order. Raises InputError as ``record`` does."""
        keys = self._connection.execute("SELECT key FROM trials ORDER BY position").fetchall()
        return tuple(self.record(key) for (key,) in keys)

    def view(self) -> StudyView:
        """The whole study as it stands. Raises InputError where anything of it is damaged, or of a newer mgu."""
        return _view(self._connection, self.folder / FILE, self.records())

    def _change(self, assignments: str, key: str, *values: object) -> None:
        self._records.pop(key, None)
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
        stored = _stored(self._connection, "settings", self.folder / FILE)
        if stored is not None:
            _check_same(self.folder, stored, settings)
        if stored is None or settings.get("data", {}).get("note"):
            self._store("settings", dict(settings))

    def _remember(self, command: str | None) -> None:
        commands = _stored(self._connection, "commands", self.folder / FILE) or []
        if command and command not in commands:
            self._store("commands", [*commands, command])

    def _store(self, name: str, value: Any) -> None:
        self._write("INSERT OR REPLACE INTO study VALUES (?, ?)", (name, json.dumps(value)))


def read_study(folder: Path) -> StudyView:
    """The study in a folder, finished or not, also while another process works on it, or where nothing can be written.

    Raises InputError where the folder holds no ledger, and where anything in it is damaged, or of a newer mgu.
    """
    if not (folder / FILE).is_file():
        raise InputError(f"{folder}: no study here ({FILE} is missing); give the folder that a study was written to")
    with _opened(_read_only((folder / FILE).resolve())) as connection:
        begun = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'trials'").fetchone()
        if not begun:  # its first process has just made it
            return StudyView({}, {})
        rows = connection.execute(f"SELECT {COLUMNS} FROM trials ORDER BY position").fetchall()
        return _view(connection, folder / FILE, tuple(read_record(row, folder / FILE) for row in rows))


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
        try:
            yield connection
        finally:
            # Where someone reads it, or the disk is full, the next to close it does this.
            with suppress(sqlite3.DatabaseError):
                connection.execute("PRAGMA journal_mode = DELETE")


def _read_only(path: Path) -> str:
    """The URI by which a ledger is read. SQLite makes files beside one that was left in WAL mode; where it may not, and
    no log has anything that the ledger lacks, it is read as a file that nobody changes."""
    log = path.with_name(f"{FILE}-wal")
    writable = os.access(path.parent, os.W_OK, effective_ids=os.access in os.supports_effective_ids)
    unchanging = not writable and not (log.exists() and log.stat().st_size)
    return f"{path.as_uri()}?{'immutable=1' if unchanging else 'mode=ro'}"


@contextmanager
def _opened(uri: str) -> Iterator[sqlite3.Connection]:
    """The ledger at a URI, whose errors are clear ones."""
    path = Path(url2pathname(urlsplit(uri).path))
    try:
        connection = sqlite3.connect(uri, uri=True)
    except sqlite3.OperationalError as error:
        raise InputError(f"{path}: cannot be opened ({error})") from None
    try:
        _distrust(connection)
        yield connection
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # the latter for a message with a damaged name
        raise InputError(
            f"{path}: not a readable ledger, or not writable ({error}); where {FILE}-wal lies beside it, have both in "
            "a folder where it can be written"
        ) from error
    finally:
        connection.close()


def _distrust(connection: sqlite3.Connection) -> None:
    """Whoever wrote a ledger, reading it and writing to it takes bounded memory and runs nothing of theirs: the two
    tables of ``_SCHEMA``, word by word, and the indices that SQLite makes for them are all that it may have. Raises
    sqlite3.DatabaseError."""
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_BYTES)
    connection.execute("PRAGMA trusted_schema = OFF")
    parts = connection.execute("SELECT name, type, sql FROM sqlite_master").fetchall()
    for name, kind, made_by in parts:  # SQLite goes by the statement, whatever the kind says
        is_table = kind == "table" and " ".join(str(made_by).split()) == _TABLES.get(name)
        if not is_table and not (kind == "index" and made_by is None):
            raise sqlite3.DatabaseError(f"it has a {kind} {str(name)[:40]!r}, which no ledger has")


def _view(connection: sqlite3.Connection, source: Path, records: tuple[Record, ...]) -> StudyView:
    cells = connection.execute("SELECT DISTINCT environment FROM trials WHERE environment IS NOT NULL").fetchall()
    with readable(source, "where its trials ran"):
        environment = _merged(read_json(text) for (text,) in cells)
    settings, commands = (_stored(connection, name, source) for name in ("settings", "commands"))
    with readable(source, "what the study is"):
        check_used(settings or {})
        check(commands or [], list[str], "commands")
    return StudyView(settings or {}, environment, records, tuple(commands or ()))


def _stored(connection: sqlite3.Connection, name: str, source: Path) -> Any:
    row = connection.execute("SELECT value FROM study WHERE name = ?", (name,)).fetchone()
    with readable(source, f"the study's {name}"):
        return read_json(row[0]) if row else None


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
