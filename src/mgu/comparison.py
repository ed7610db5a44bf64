"""The main job: one MGU network against the whole grid, and rivals beside them, on one data set, as a study."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from mgu.data import DataSet
from mgu.errors import InputError
from mgu.measure import Meter, carbon_intensity
from mgu.report.page import write_report
from mgu.spaces import Architecture, SearchSpace, bundled_spaces, load_space
from mgu.study.budget import Budget
from mgu.study.ledger import Ledger
from mgu.study.runner import NO_LIMIT, Listener, run, trial_folder
from mgu.study.trained_rivals import rival_models
from mgu.study.trial import Estimator, Record, StudyView, Trial
from mgu.torch.network import model_size
from mgu.training import Recipe, framework_of
from mgu.training.tasks import task_of
from mgu.trial_job import Common, TrialJob
from mgu.wiring import OPTIONS
from mgu.workplaces import Workplace

#: On this machine, one trial after the other: nothing then disturbs their clocks.
HERE = Workplace()
#: The report of more trials takes longer than a study that is told to stop may.
MOST_AT_A_STOP = 500
#: A study has at most so many trials.
MOST_TRIALS = 10_000


@dataclass(frozen=True, repr=False)
class Comparison:
    """What is compared: the data, the space, the recipe, and MultiGatedUnit's options (gates, prior, form, ...).

    ``note`` is what a reader of the numbers must know of the data; the report shows it beside them, and
    the data's own. ``country`` (an ISO
    3166 code of three letters) says where the electricity comes from, for the carbon. ``rivals`` are names of
    ``mgu.study.trained_rivals.TRAINED_RIVALS``, to be trained too: they change no other trial's result, and a study can
    have them added later. ``framework`` is one of ``mgu.training.FRAMEWORKS``.

    Raises InputError for a country whose carbon intensity is not known, for a framework that is unknown or not
    installed, and for a device that it has not.
    """

    data: DataSet
    space: SearchSpace
    recipe: Recipe = field(default_factory=Recipe)
    unit: Mapping[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    note: str = ""
    country: str | None = None
    rivals: Sequence[str] = ()
    framework: str = "torch"

    def __post_init__(self) -> None:
        carbon_intensity(self.country)  # one that is not known is refused now, as is a device
        framework_of(self.framework).device(self.device)

    def __repr__(self) -> str:
        grid = len(self.space.layouts) * len(self.space.cells)
        networks = f"{grid} plain and {len(self.space.mgu_layouts)} MGU networks"
        return f"<Comparison of {networks} with {self.framework} on {self.device}, {self.data!r}>"

    @property
    def name(self) -> str:
        """What the data is called: the last part of its path or id."""
        return self.data.short_name

    def settings(self) -> dict[str, Any]:
        """All that decides the trials' results, as plain JSON data."""
        data = self.data
        note = " ".join(filter(None, (self.note, data.note)))
        return {
            "data": {
                "name": self.name,
                "checksum": data.checksum,
                "input_shape": list(data.input_shape),
                "classes": len(data.classes),
                "class_names": list(data.classes),
                "train": len(data.train.y),
                "validation": len(data.validation.y),
                "test": len(data.test.y),
                **({} if data.classes else {"task": data.task}),
                **({"note": note} if note else {}),
            },
            "space": _plain(self.space),
            "training": {**asdict(self.recipe), "decay": self.recipe.step_decay},
            "unit": {name: _listed(value) for name, value in {**OPTIONS, **self.unit}.items()},
            "device": self.device,
            # Times and accuracies of two frameworks do not compare, so a study is of one.
            **({} if self.framework == "torch" else {"framework": framework_of(self.framework).name}),
        }

    def trials(self, seeds: Iterable[int], only: Iterable[str] = ()) -> list[Trial]:
        """The trials of these seeds, seed by seed, the rivals last; ``only`` keeps the models whose name matches one of
        the patterns.

        Raises InputError where a layout does not fit the data, for an unknown rival, where a pattern matches no model,
        or for more than ``MOST_TRIALS`` trials.
        """
        self.space.check(self.data.input_shape)
        of_rivals = rival_models(self.rivals, self.space)
        rivals = {name: rival for name, (rival, _) in of_rivals.items()}
        every = self.space.models() | {name: architecture for name, (_, architecture) in of_rivals.items()}
        sizes = {name: self._size(architecture) for name, architecture in every.items()}  # all, to check their options
        models = _selected(every, list(only))
        chosen = list(islice(seeds, MOST_TRIALS // len(models) + 1))
        if len(chosen) * len(models) > MOST_TRIALS:
            raise InputError(
                f"{len(models)} models with {len(chosen)} seeds each, or more, are over {MOST_TRIALS:,} trials, the "
                "most of a study; give fewer --seeds, or some of the models by --only"
            )
        return [
            Trial(name, models[name], sizes[name], seed, rivals.get(name, "")) for seed in chosen for name in models
        ]

    def run(
        self,
        folder: Path,
        trials: list[Trial],
        listener: Listener,
        command: str | None = None,
        searches: Sequence[str] = (),
        budget: Budget = NO_LIMIT,
        place: Workplace = HERE,
    ) -> StudyView:
        """Train what is not yet done of the trials in the study in ``folder``, write the report there, and return the
        whole study.

        The report says what the ``searches``, names of ``mgu.rivals.STRATEGIES``, would have cost. No trial is begun
        once the ``budget`` is spent; the listener is told.
        Each trial is trained in a process of its own at the ``place``, and goes on from its last checkpoint where that
        died or was stopped; one of which nothing is heard for the place's ``stall_s`` seconds has failed.
        Each trial has a folder with its weights; of the plain ones only the most accurate so far keeps them. When
        stopped early, by Ctrl-C too, the report is of what is done, without the searches, which take long; there is
        none then of more than ``MOST_AT_A_STOP`` trials.

        Raises InputError where the folder cannot be used for this study, where the report cannot be written, and for a
        budget of energy where no meter tells of any.
        """
        if budget.energy_kwh is not None:
            self._check_meter(place)
        settings = self.settings()
        threads = torch.get_num_threads() if place.on == "local" else None
        common = Common(self.data, self.recipe, self.unit, self.device, self.country, self.framework, threads)
        at_work = place.open(common, self.device, self.framework)  # before the folder is touched
        with Ledger.open(folder, settings, command) as ledger:
            keys = ledger.add(trials, settings)
            dropped: set[Trial] = set()

            def job_of(trial: Trial) -> TrialJob:
                drop_weights(folder, ledger.records(), dropped)
                return TrialJob(trial, trial.key(settings))

            def conclude(searches: Sequence[str]) -> StudyView:
                view = ledger.view()
                drop_weights(folder, view.records, dropped)
                write_study_report(view, folder, searches)
                return view

            try:
                with at_work as workers:
                    spent = run(ledger, keys, job_of, workers, listener, budget)
            except BaseException as stopped:
                if not isinstance(stopped, KeyboardInterrupt) or len(trials) <= MOST_AT_A_STOP:
                    conclude(())
                raise
            if spent:
                listener.stopped(spent)
            return conclude(searches)

    def _check_meter(self, place: Workplace) -> None:
        if not place.alone:
            raise InputError("a budget of energy: where trials may share a machine, none has an energy; leave it out")
        with Meter(torch.device(self.device), self.country) as meter:
            energy = meter.lap().energy
        if all(entry.source == "absent" for entry in energy):
            reasons = "; ".join(f"{entry.part}: {entry.meter}" for entry in energy)
            raise InputError(f"there is no meter for a budget of energy ({reasons}); leave it out, or give one of time")

    def _size(self, architecture: Architecture | Estimator) -> int:
        if isinstance(architecture, Estimator):
            return 0
        return model_size(architecture, self.data.input_shape, task_of(self.data).outputs, **self.unit)


def default_space(data: DataSet) -> SearchSpace:
    """The bundled space that is made for inputs of the data's shape; the table space for features.

    Raises InputError where there is none.
    """
    if len(data.input_shape) == 1:
        return load_space("table")
    for name in bundled_spaces():
        space = load_space(name)
        if space.input_shape == data.input_shape:
            return space
    raise InputError(
        f"no bundled space is made for inputs of shape {data.input_shape}; name one with --space: "
        f"{', '.join(bundled_spaces())}, or a TOML file of your own"
    )


def drop_weights(folder: Path, records: Iterable[Record], dropped: set[Trial]) -> None:
    """Delete the weights of all plain trials but the one with the best validation: a grid would fill the disk. Those
    ``dropped`` before are not looked for again, and become more."""
    plain = [record for record in records if record.trial.kind == "plain" and record.status == "finished"]
    best = max(plain, key=lambda record: (record.result and record.result.val_score) or 0.0, default=None)
    for record in plain:
        if record is not best and record.trial not in dropped:
            for path in trial_folder(folder, record.trial).glob("weights.*"):
                path.unlink()
            dropped.add(record.trial)


def write_study_report(view: StudyView, folder: Path, searches: Sequence[str] = ()) -> list[Path]:
    """``write_report`` into the study's folder. Raises InputError where it cannot be written."""
    try:
        return write_report(view, folder, searches)
    except OSError as error:
        raise InputError(
            f"{folder}: the report cannot be written ({error.strerror}); the results are kept, and the same command "
            "writes it again"
        ) from error


def _selected(
    models: Mapping[str, Architecture | Estimator], patterns: list[str]
) -> dict[str, Architecture | Estimator]:
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in models):
            raise InputError(f"no model matches {pattern!r}; the models of this space: {', '.join(models)}")
    return {
        name: architecture
        for name, architecture in models.items()
        if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)
    }


def _plain(space: SearchSpace) -> dict[str, Any]:
    """The space as its TOML file has it, with layouts and cells as text."""
    values = {f.name: getattr(space, f.name) for f in fields(space)}
    return {
        name: [v if isinstance(v, int) else str(v) for v in value] if isinstance(value, tuple) else value
        for name, value in values.items()
    }


def _listed(value: Any) -> Any:
    """The value as JSON gives it back: a tuple as a list."""
    return list(value) if isinstance(value, tuple) else value
