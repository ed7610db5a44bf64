"""From data to a model's folder, in one call."""

from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from mgu.data import DataSet, load_data
from mgu.errors import InputError
from mgu.history import Epoch
from mgu.jobs.options import Options
from mgu.model import Model, check_free, fit_model, read_model
from mgu.model.fitting import FittedModel
from mgu.model.words import fitted_lines
from mgu.progress import follow
from mgu.report.score import SCORES
from mgu.sizing import PATIENCE, batch_size_for
from mgu.tracking.facts import run_params
from mgu.tracking.tensorboard import RunLog, summary_writer
from mgu.training import framework_of
from mgu.training.world import World, joined
from mgu.wiring import OPTIONS


def fit(
    data: str | Path,
    *,
    out: str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
    country: str | None = None,
    tensorboard: str | Path | None = None,
    verbose: bool = True,
    command: str = "",
    **options: Any,
) -> Model:
    """Train one MGU network on data, save it as a model in a new folder, and return that; ``mgu fit`` from Python.

    ``data`` is a folder of images, a CSV or Parquet table, or any other name that ``mgu.data.load_data`` takes;
    ``out`` is models/NAME where it is not given. ``options`` are those of ``load_data`` (target, task, limit,
    group, keep, image_size, drop), of ``mgu.training.Recipe`` (epochs, batch_size, lr, decay, patience, precision,
    compile, harden_after) and of ``MultiGatedUnit`` (gates, prior, form, bypass, processors, residual_gate), with
    their defaults, but for a batch size of a sixteenth of the training samples, 8 to 64, and a patience of 20.
    ``tensorboard`` is a folder to write the training to, epoch by epoch. Unless it is not ``verbose``, how far the
    training is is shown meanwhile, and at the end what was learned and how good it is. ``command`` is kept in the
    model's card.

    In processes that torchrun has started, all train one network together, each on its share of every batch: the
    result is that of one process up to rounding. The first writes the folder and prints; each returns the model, on its
    own device.

    Raises InputError for data and options that do not fit, and where ``out`` is there already, before anything is
    trained, and ``mgu.model.NotTrainedError`` where a loss was not finite: nothing is saved then.
    """
    if not 0 <= seed < 2**32:
        raise InputError(f"seed must be a whole number from 0 to 2**32 - 1; {seed!r} was given")
    options = {"patience": PATIENCE, **options}
    sized = options.get("batch_size") is None
    chosen = Options.of({name: value for name, value in options.items() if name != "batch_size" or not sized})
    if tensorboard:
        summary_writer()
    out = Path(out).expanduser() if out else None
    with ExitStack() as stack:
        world = stack.enter_context(joined())
        place = world.device(device, framework_of("torch").device)
        if out:
            world.say(partial(check_free, out))  # before the data is read, which may take long
        loaded = _loaded(world, str(data), chosen.data)
        recipe = replace(chosen.recipe, batch_size=batch_size_for(len(loaded.train.y))) if sized else chosen.recipe
        folder, score = out or Path("models") / loaded.short_name, SCORES[loaded.task]
        world.say(partial(check_free, folder))
        run = Path(tensorboard) / folder.name if tensorboard else None
        if run and run.resolve().is_relative_to(folder.resolve()):
            raise InputError(
                f"TensorBoard's run {run} would lie in the model's own folder; name another for one of them"
            )
        quiet = not verbose or not world.first
        told = [stack.enter_context(follow(Console(stderr=True, quiet=quiet), recipe.epochs, score))]
        logs = []
        if run and world.first:
            params = {"seed": seed, **run_params(asdict(recipe), {**OPTIONS, **chosen.unit})}
            logs.append(stack.enter_context(closing(RunLog(run, score, params, is_mgu=True))))
            told.append(logs[0].epoch_ended)

        def on_epoch(epoch: Epoch) -> None:
            for tell in told:
                tell(epoch)

        model = fit_model(
            loaded,
            recipe,
            unit=chosen.unit,
            seed=seed,
            device=place,
            country=country,
            command=command,
            on_epoch=on_epoch,
            world=world,
        )
        for log in logs:
            log.ended(model.fitted.result, model.diagnosis.text())
        if not world.first:
            return _of_another(model, folder, place)
        model.save(folder)
    if verbose:
        print("\n".join(fitted_lines(model)))
    return read_model(folder, place)


def _loaded(world: World, data: str, options: Mapping[str, Any]) -> DataSet:
    """The data, which must be the same in all processes; InputError where it is not."""
    loaded = world.in_turn(lambda: load_data(data, **options))
    if world.say(lambda: loaded.checksum) != loaded.checksum:
        raise InputError(f"{data} holds other data here than for the first process; give all machines the same files")
    return loaded


def _of_another(model: FittedModel, folder: Path, device: str) -> Model:
    """The model as the first process saves it into ``folder``, which may be on another machine."""
    with TemporaryDirectory() as own:
        return replace(read_model(model.save_networks(Path(own)), device), folder=folder)
