"""Fit one network on one data set: built, trained, evaluated, and hardened where it is an MGU network."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from mgu.data import DataSet
from mgu.errors import InputError
from mgu.history import Epoch, Result
from mgu.measure import Meter
from mgu.recipe import Recipe
from mgu.spaces import Architecture
from mgu.training.checkpoints import Forgetful, Keeper, UnkeptError
from mgu.training.denormals import flush_denormals
from mgu.training.frameworks import Build, framework_of
from mgu.training.hardening import harden_and_train
from mgu.training.learner import Learner, Setting
from mgu.training.run import Run
from mgu.training.samples import Samples, on_device
from mgu.training.states import Solved, States
from mgu.training.tasks import Task, task_of
from mgu.training.world import ALONE, World


@dataclass(frozen=True, repr=False)
class Fitted:
    """What learned a network, with the weights of its best epoch, how the run went, what for, the validation samples as
    the network takes them, and what learned the plain network that it hardened to, None where it was not hardened."""

    learner: Learner
    result: Result
    task: Task
    validation: Samples
    hardened_learner: Learner | None = None

    def __repr__(self) -> str:
        return f"<Fitted {type(self.network).__name__} of {self.learner.size:,} weights: {self.result!r}>"

    @property
    def network(self) -> Any:
        """The trained network, in evaluation mode."""
        return self.learner.network

    @property
    def hardened(self) -> Any:
        """The plain network that it hardened to, or None."""
        return self.hardened_learner.network if self.hardened_learner else None


def fit(
    architecture: Architecture,
    data: DataSet,
    recipe: Recipe,
    *,
    seed: int = 0,
    device: str = "cpu",
    unit: Mapping[str, Any] | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    meter: Meter | None = None,
    framework: str = "torch",
    keeper: Keeper | None = None,
    world: World = ALONE,
) -> Fitted:
    """Build the network of an architecture and train it; ``unit`` are MultiGatedUnit's options.

    The same seed gives the same weights, order of samples and dropout, and so, on one machine and number of threads,
    the same result. No clock counts the time in ``on_epoch``, or that of recording the gates' means for the history.
    From here on the process takes denormal numbers for 0 (``flush_denormals``). A loss that is not finite ends the run
    with status "diverged". The test split is read once by each network, at its end. Raises InputError where the
    architecture does not fit the data, and for a framework that is unknown or not installed.

    An MGU network is trained to its end, and the recipe says after which epoch it is hardened beside. What that gives
    has a result of its own, with the epochs up to there, the hardening and its own training on its clock, and in its
    operations and its usage; a usage needs a ``meter`` whose ``with`` block the call is in. Where hardening fails, the
    result's message says why, and the seconds that it took are on the result's clock.

    A ``keeper`` is given the state of the training now and then, and the newest state that it has is where the training
    goes on, on one machine to the same result bit for bit, its clocks included: they go on from what they were.

    The processes of a ``world``, which all make the same call, but for the device, the meter and the listeners, train
    one network: see ``mgu.training.parallel``. Their results are those of one up to rounding, the clocks their own.
    """
    build_learner = _builder(framework, world)
    target = torch.device(device if framework == "torch" else "cpu")  # of the samples
    flush_denormals()
    _ = data.mean, data.std  # worked out once a data set and shared by all trials, so on no trial's clock
    is_mgu = architecture.cell is None
    task = task_of(data)

    setting = Setting(task, recipe, target, seed, meter, world)

    def build(samples: Samples) -> Learner:
        return build_learner(architecture, data.input_shape, unit or {}, setting, samples)

    states = States(keeper or Forgetful())
    found = states.newest()
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, benchmark=False):
        run = Run(build, lambda: on_device(data, target), setting, None, found.soft if found else None, states.soft)
        if found and found.solved:
            result, run.snapshot = found.solved.result, found.solved.snapshot
            run.learner.restore(found.solved.weights)
        else:
            result = run.solve(on_epoch, recipe.soft_epochs if is_mgu else 0)
        if not run.snapshot or run.snapshot.epoch == recipe.epochs:
            return Fitted(run.learner, result, task, run.validation)
        solved = Solved(result, run.snapshot, run.learner.weights())
        resumed = found.plain if found else None
        begun = time.perf_counter()
        try:
            hardened, hardening = harden_and_train(run, run.snapshot, on_epoch, resumed, states.plain(solved))
        except (InputError, UnkeptError):
            raise  # the state as it was kept last is there still
        except Exception as error:  # the trained network must not be lost with it
            if world.size > 1:  # the others wait for this process, and torchrun for its end
                raise
            message = f"not hardened: {type(error).__name__}: {error}"
            before_s = resumed.at.elapsed_s - run.snapshot.elapsed_s if resumed else 0.0
            spent_s = result.tts_s + before_s + time.perf_counter() - begun
            return Fitted(run.learner, replace(result, tts_s=spent_s, message=message), task, run.validation)
    return Fitted(run.learner, replace(result, hardening=hardening), task, run.validation, hardened)


def _builder(framework: str, world: World) -> Build:
    """What makes the learners. Raises InputError for a framework that several processes cannot train with."""
    if world.size == 1:
        return framework_of(framework).build
    if framework != "torch":
        raise InputError(
            f"{world.size} processes train one network with PyTorch alone; {framework!r} was given: leave it out, "
            "or start the command without torchrun"
        )
    from mgu.training.parallel import ParallelLearner

    return ParallelLearner.built
