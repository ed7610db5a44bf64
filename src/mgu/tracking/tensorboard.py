"""Training as TensorBoard shows it, written epoch by epoch; a run a trial."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from mgu.errors import InputError
from mgu.history import Epoch, Result
from mgu.progress import Silent
from mgu.report.score import Score
from mgu.study.runner import trial_folder
from mgu.study.trial import Record, Trial
from mgu.tracking.facts import Plain, epoch_metrics, run_name, test_metric, trial_params

#: The run below an MGU network's of the plain network that it hardened to.
HARDENED = "hardened"


def summary_writer() -> Callable[..., Any]:
    """``torch.utils.tensorboard.SummaryWriter``. Raises InputError where TensorBoard is not installed."""
    if "tensorflow" not in sys.modules:
        # TensorBoard's own switch: else it loads all of TensorFlow, where it is installed, to open a file.
        sys.modules.setdefault("tensorboard.compat.notf", ModuleType("tensorboard.compat.notf"))
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError('TensorBoard is not installed: pip install "mgu[tensorboard]"') from None
    return SummaryWriter


class RunLog:
    """One training run as events in a folder, on top of what another attempt at it wrote there up to the epoch from
    which this one goes on.

    Epochs without gates of a network that ``is_mgu`` are those of the plain network that it hardened to: they go to the
    run ``hardened`` below, counted on. Raises InputError where the folder cannot be written.
    """

    def __init__(self, folder: Path, score: Score, params: Mapping[str, Plain], is_mgu: bool) -> None:
        self.folder, self.score, self.params, self.is_mgu = folder, score, dict(params), is_mgu
        self.writers: dict[str, Any] = {}
        with _writable(folder):
            folder.mkdir(parents=True, exist_ok=True)

    def epoch_ended(self, epoch: Epoch) -> None:
        """Write an epoch's losses, scores and gates."""
        hardened = self.is_mgu and not epoch.gates
        with _writable(self.folder):
            writer = self._writer(HARDENED if hardened else "", epoch.epoch)
            for name, value in epoch_metrics(epoch, self.score).items():
                writer.add_scalar(name, value, epoch.epoch)
            writer.flush()

    def ended(self, result: Result, diagnosis: str = "") -> None:
        """Write the test scores, the settings beside them, what kept the run from its end, and the self-diagnosis."""
        ended = {"": result, **({HARDENED: result.hardening.result} if result.hardening else {})}
        with _writable(self.folder):
            for name, how in ended.items():
                self._write_end(self._writer(name), how)
            if diagnosis:
                self._writer("").add_text("diagnosis", _verbatim(diagnosis))

    def close(self) -> None:
        """Write out what is left, and let go of the files."""
        with _writable(self.folder):
            for writer in self.writers.values():
                writer.close()

    def _write_end(self, writer: Any, result: Result) -> None:
        from torch.utils.tensorboard.summary import hparams

        found = test_metric(result, self.score)
        for name, value in found.items():
            writer.add_scalar(name, value, result.best_epoch)
        if found:  # add_hparams would open a run of its own for them
            for summary in hparams(self.params, found):  # type: ignore[no-untyped-call]
                writer.file_writer.add_summary(summary)
        if result.message:
            writer.add_text("status", _verbatim(f"{result.status}: {result.message}"))

    def _writer(self, name: str, first: int | None = None) -> Any:
        """That of a run, opened where it is not: there, nothing counts that was written from epoch ``first`` on."""
        if name not in self.writers:
            self.writers[name] = summary_writer()(str(self.folder / name), purge_step=first)
        return self.writers[name]


class TensorBoard(Silent):
    """Has each trial of a study written to ``folder``, as the run MODEL-seedN; ``settings`` are the study's."""

    def __init__(self, folder: Path, study: Path, settings: Mapping[str, Any], score: Score) -> None:
        summary_writer()
        self.folder, self.study, self.settings, self.score = folder, study, settings, score
        self.logs: dict[str, RunLog] = {}

    def trial_began(self, index: int, total: int, trial: Trial) -> None:
        params = {"model_name": trial.model_name, **trial_params(trial, self.settings)}
        self.logs[run_name(trial)] = RunLog(self.folder / run_name(trial), self.score, params, trial.is_mgu)

    def epoch_ended(self, trial: Trial, epoch: Epoch) -> None:
        self.logs[run_name(trial)].epoch_ended(epoch)

    def trial_ended(self, index: int, total: int, record: Record) -> None:
        log = self.logs.pop(run_name(record.trial))
        told = trial_folder(self.study, record.trial) / "diagnosis.txt"
        if record.result:
            log.ended(record.result, told.read_text(encoding="utf-8") if told.is_file() else "")
        log.close()

    def close(self) -> None:
        for log in self.logs.values():
            log.close()
        self.logs.clear()


def _verbatim(text: str) -> str:
    """Text that TensorBoard, which reads Markdown, shows as it is."""
    return "\n".join(f"    {line}" for line in text.splitlines())


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{folder}: TensorBoard's events cannot be written ({error.strerror or error}); make room, or choose "
            "another folder"
        ) from error
