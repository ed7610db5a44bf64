"""A study's trials as runs of MLflow."""

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from mgu.errors import InputError
from mgu.history import Result
from mgu.report.score import Score, score_of
from mgu.study.ledger import read_study
from mgu.study.runner import trial_folder
from mgu.study.trial import ENDED, Record, StudyView
from mgu.tracking.facts import epoch_metrics, final_metrics, run_name, trial_params

#: Tags by which a run is known again: of which trial it is, and of what result.
KEY, RESULT = "mgu.key", "mgu.result"
#: MLflow takes at most so many metrics in one call.
_MOST_METRICS = 1000
_ARTIFACTS = ("diagnosis.txt", "diagnosis.json", "*.svg")


@dataclass(frozen=True)
class Exported:
    """How many runs were written, and how many were there already."""

    written: int
    known: int


def export_study(study: Path, uri: str = "sqlite:///mlflow.db", experiment: str = "") -> Exported:
    """Write each trial of the study in a folder that has ended as a run of an MLflow experiment, and the network that
    an MGU network was hardened to as a run below it.

    A run has the trial's settings as params, what ``epoch_metrics`` and ``final_metrics`` say as metrics, its model,
    seed, status, framework and data with its checksum as tags, and its self-diagnosis as artifacts. A run that is there
    already is left as it is; one of an attempt that has been made again since, or that was not written to its end, is
    replaced. ``uri`` is MLflow's tracking URI, a database in a file or a server, and nothing is sent elsewhere, nor any
    usage data of MLflow's own; ``experiment`` is the study's name where it is not given.

    Raises InputError where MLflow is not installed, where there is no study, and for what MLflow refuses.
    """
    view = read_study(study)
    with _client(uri) as client:
        place = _experiment(client, experiment or study.resolve().name)
        runs = _Runs(client, place, _known(client, place), study, view)
        for record in view.records:
            if record.status in ENDED:
                parent = runs.write(record)
                if record.hardened:
                    runs.write(record.hardened, parent)
    return Exported(runs.written, runs.left)


class _Runs:
    """The runs of one experiment: those known by key, and what is written beside them."""

    def __init__(self, client: Any, place: str, known: Mapping[str, Any], study: Path, view: StudyView) -> None:
        self.client, self.place, self.known, self.study, self.view = client, place, known, study, view
        self.score = score_of(view)
        self.written = self.left = 0

    def write(self, record: Record, parent: str = "") -> str:
        """Write a trial's run, below that of ``parent`` where it is given, unless it is there; its id."""
        tags = {**_tags(record, self.view), **({"mlflow.parentRunId": parent} if parent else {})}
        run = self.known.get(tags[KEY])
        if run and run.data.tags.get(RESULT) == tags[RESULT] and run.info.status != "RUNNING":
            self.left += 1
            return str(run.info.run_id)
        if run:
            self.client.delete_run(run.info.run_id)
        self.written += 1
        return self._write(record, tags)

    def _write(self, record: Record, tags: Mapping[str, str]) -> str:
        from mlflow.entities import Metric, Param

        begun, result = int(1000 * time.time()), record.result
        assert result
        made = self.client.create_run(self.place, begun, tags, run_name(record.trial))
        run = str(made.info.run_id)
        params = [Param(name, str(value)) for name, value in trial_params(record.trial, self.view.settings).items()]
        self.client.log_batch(run, params=params)
        found = [
            Metric(name, value, begun + int(1000 * s), step) for name, value, s, step in _metrics(record, self.score)
        ]
        for first in range(0, len(found), _MOST_METRICS):
            self.client.log_batch(run, found[first : first + _MOST_METRICS])
        for path in self._artifacts(record):
            self.client.log_artifact(run, str(path))
        status = "FINISHED" if result.status == "finished" else "FAILED"
        self.client.set_terminated(run, status, begun + int(1000 * result.tts_s))  # as long as the trial took
        return run

    def _artifacts(self, record: Record) -> Iterator[Path]:
        """The files of the trial's folder that are told, none that a link leads out of the study for."""
        folder = trial_folder(self.study, record.trial)
        found = chain.from_iterable(sorted(folder.glob(pattern)) for pattern in _ARTIFACTS)
        return (path for path in found if path.resolve().is_relative_to(self.study.resolve()))


def _metrics(record: Record, score: Score) -> Iterator[tuple[str, float, float, int]]:
    """Name, value, seconds since the trial began, and epoch."""
    result = record.result or Result("failed", 0.0)
    for epoch in result.history:
        for name, value in epoch_metrics(epoch, score).items():
            yield name, value, epoch.elapsed_s, epoch.epoch
    for name, value in final_metrics(result, score).items():
        yield name, value, result.tts_s, result.best_epoch or 0


def _tags(record: Record, view: StudyView) -> dict[str, str]:
    result, data = record.result, view.settings.get("data", {})
    assert result
    content = json.dumps(asdict(result), sort_keys=True).encode()
    return {
        KEY: f"{record.trial.key(view.settings)}{'-hardened' if record.after_epoch else ''}",
        RESULT: hashlib.sha256(content).hexdigest(),
        "model_name": record.trial.model_name,
        "seed": str(record.trial.seed),
        "status": record.status,
        "framework": str(view.settings.get("framework", "torch")),
        "data": str(data.get("name", "")),
        "data_checksum": str(data.get("checksum", "")),
        **({"message": result.message} if result.message else {}),
    }


def _known(client: Any, place: str) -> dict[str, Any]:
    """The experiment's runs by the trial that they are of."""
    found: dict[str, Any] = {}
    token = None
    while True:
        page = client.search_runs([place], page_token=token)
        found |= {run.data.tags[KEY]: run for run in page if KEY in run.data.tags}
        token = page.token
        if not token:
            return found


def _experiment(client: Any, name: str) -> str:
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id if found else client.create_experiment(name))


@contextmanager
def _client(uri: str) -> Iterator[Any]:
    """MLflow's client, which sends no usage data; what it refuses is raised as InputError."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError as error:
        raise InputError(f'MLflow is not installed ({error}): pip install "mgu[mlflow]"') from None
    logging.getLogger("mlflow.store.db").setLevel(logging.WARNING)  # it tells of each table that it makes
    try:
        yield MlflowClient(uri)
    except (MlflowException, ImportError) as error:  # the latter for a kind of store that is not installed
        raise InputError(f"MLflow at {uri}: {str(error).splitlines()[0]}") from error
