"""A Keras network that learns by a recipe, on whichever backend Keras has."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mgu.diagnosis import Diagnosis
from mgu.errors import InputError
from mgu.files import write_whole
from mgu.hardening import Hardened
from mgu.history import Decision, Flops
from mgu.keras import build_network
from mgu.keras.explain import explain, gate_means
from mgu.keras.harden import compare, decide
from mgu.keras.latency import compare_latency
from mgu.spaces import Architecture
from mgu.training.epochs import Epochs, nothing
from mgu.training.learner import Learner, Loss, Setting, Weights
from mgu.training.operations import Operations
from mgu.training.samples import EVALUATION_BATCH, Samples, Shuffled
from mgu.training.tasks import Classification

Array = NDArray[Any]
#: Keras's name for each precision of a recipe.
POLICIES = {"float32": "float32", "bf16": "mixed_bfloat16"}
#: Whether XLA compiles the steps, for each of a recipe's ways that Keras has. JAX runs operation by operation without.
JIT_COMPILE = {"none": keras.backend.backend() == "jax", "default": True}


class KerasLearner:
    """A network with Nadam and its schedule, ``done`` epochs of which are behind it. See ``Learner``.

    Raises InputError for a way of compiling that Keras has not.
    """

    def __init__(self, network: keras.Model, setting: Setting, samples: Samples, done: int = 0) -> None:
        self.network, self.setting, self.samples = network, setting, samples
        self.task, self.recipe = setting.task, setting.recipe
        if self.recipe.compile not in JIT_COMPILE:
            raise InputError(f"Keras compiles in no mode {self.recipe.compile!r}; allowed: {', '.join(JIT_COMPILE)}")
        self.batches = Shuffled(samples, self.recipe.batch_size, torch.Generator().manual_seed(setting.seed))
        self.epochs = Epochs(self.batches, torch.zeros(2, dtype=torch.float64))
        classifies = isinstance(self.task, Classification)
        network.compile(
            keras.optimizers.Nadam(self._schedule(done * len(self.batches)), epsilon=1e-7),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True) if classifies else "mse",
            metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")] if classifies else [],
            jit_compile=JIT_COMPILE[self.recipe.compile],
        )
        network.optimizer.build(network.trainable_variables)

    @classmethod
    def built(
        cls,
        architecture: Architecture,
        input_shape: tuple[int, ...],
        unit: Mapping[str, Any],
        setting: Setting,
        samples: Samples,
    ) -> "KerasLearner":
        """A learner of an architecture's network, with fresh weights from the setting's seed."""
        keras.utils.set_random_seed(setting.seed)
        with _policy(POLICIES[setting.recipe.precision]):
            return cls(build_network(architecture, input_shape, setting.task.outputs, **unit), setting, samples)

    @property
    def size(self) -> int:
        return int(self.network.count_params())

    def warm_up(self, *evaluated: Samples) -> None:
        """Take a step of each batch size and predict, which compile, and put all variables back."""
        before = [np.array(variable.numpy()) for variable in self._variables]
        for size in dict.fromkeys(self.batches.sizes):
            self._step(self.samples.x[:size], self.samples.y[:size])
        for samples in evaluated:
            self.predict(samples)
        for variable, value in zip(self._variables, before, strict=True):
            variable.assign(value)

    def train(self, between: Callable[[], None] = nothing) -> tuple[float, float]:
        loss, scored = self.epochs.gone_through(self._step, between).tolist()
        return loss / len(self.samples), scored

    def predict(self, samples: Samples) -> Tensor:
        found = [self.network.predict(_last(x), batch_size=EVALUATION_BATCH, verbose=0) for x in samples.parts()]
        return torch.from_numpy(np.concatenate(found).astype(np.float32, copy=False))

    def weights(self) -> Weights:
        return {str(i): torch.from_numpy(np.array(value)) for i, value in enumerate(self.network.get_weights())}

    def restore(self, weights: Weights) -> None:
        self.network.set_weights([weights[str(i)].numpy() for i in range(len(weights))])

    def state(self) -> Weights:
        variables = {str(i): torch.from_numpy(np.array(v.numpy())) for i, v in enumerate(self._variables)}
        # Dropout draws from torch's own random numbers where Keras runs on torch.
        return {**variables, **self.epochs.state(), "random": torch.get_rng_state()}

    def resume(self, state: Weights) -> None:
        for i, variable in enumerate(self._variables):
            variable.assign(state[str(i)].numpy())
        self.epochs.resume(state)
        torch.set_rng_state(state["random"])

    def copied(self, weights: Weights) -> "KerasLearner":
        network = keras.models.clone_model(self.network)
        learner = KerasLearner(network, self.setting, self.samples)
        learner.restore(weights)
        return learner

    def gate_means(self, samples: Samples) -> dict[str, dict[str, float]]:
        return gate_means(self.network, _last(samples.x[:]))

    def operations(self, validation: Samples, test: Samples) -> Operations | None:
        """None: operations are counted of PyTorch's networks only."""
        return None

    def forward_flops(self, samples: Samples) -> Flops:
        raise InputError("the operations of Keras's networks are not counted")

    def latency_s(self, samples: Samples, rounds: int) -> float:
        return compare_latency({"own": self.network}, _last(samples.x[:]), rounds)["own"]

    def latencies_s(self, other: keras.Model, samples: Samples, rounds: int) -> tuple[float, float]:
        found = compare_latency({"own": self.network, "other": other}, _last(samples.x[:]), rounds)
        return found["own"], found["other"]

    def hardened(
        self, samples: Samples, loss: Loss, as_opened: Collection[str], done: int
    ) -> tuple["KerasLearner", tuple[Decision, ...]]:
        model, decisions = decide(self.network, [_labelled(samples)], _of_arrays(loss), as_opened)
        keras.utils.set_random_seed(self.setting.seed)
        return KerasLearner(model, self.setting, self.samples, done), decisions

    def compared(
        self, hard: Learner, decisions: tuple[Decision, ...], samples: Samples, loss: Loss
    ) -> Hardened[keras.Model]:
        return compare(self.network, hard.network, decisions, [_labelled(samples)], _of_arrays(loss))

    def explained(self, samples: Samples, loss: Loss) -> Diagnosis:
        return explain(self.network, [_labelled(samples)], _of_arrays(loss))

    def save(self, folder: Path) -> None:
        """Write ``weights.keras``, the whole network in Keras's format."""
        _save(self.network, folder / "weights.keras")

    def save_plain(self, folder: Path, input_shape: Sequence[int], card: Mapping[str, Any]) -> None:
        """Write ``model.keras``, and ``model.json`` with the card."""
        _save(self.network, folder / "model.keras")
        write_whole(folder / "model.json", json.dumps(card, indent=1).encode())

    @property
    def _variables(self) -> list[keras.Variable]:
        return [*self.network.variables, *self.network.optimizer.variables]

    def _schedule(self, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
        """lr / (1 + decay * (steps + step)): of Keras's form, with what the steps before have made of lr and decay."""
        behind = 1 + self.recipe.step_decay * steps
        return keras.optimizers.schedules.InverseTimeDecay(self.recipe.lr / behind, 1, self.recipe.step_decay / behind)

    def _step(self, x: Tensor, y: Tensor) -> Tensor:
        """A step, and the sums of the losses and of what the task scores. ``fit`` would set up its pipeline anew for
        each epoch."""
        found = self.network.train_on_batch(_last(x), y.numpy(), return_dict=True)
        loss = float(found["loss"])
        return torch.tensor([loss, float(found.get("accuracy", -loss))], dtype=torch.float64) * len(y)


def _last(x: Tensor) -> Array:
    """(samples, channels, *positions) as (samples, *positions, channels)."""
    return x.movedim(1, -1).numpy()


def _labelled(samples: Samples) -> tuple[Array, Array]:
    return _last(samples.x[:]), samples.y.numpy()


def _of_arrays(loss: Loss) -> Callable[[Any, Any], float]:
    """A loss of tensors as Keras takes one: of the truth and of a network's outputs."""

    def of_arrays(y: Any, outputs: Any) -> float:
        answered, truth = (np.array(keras.ops.convert_to_numpy(values)) for values in (outputs, y))
        return loss(torch.from_numpy(answered).float(), torch.from_numpy(truth)).item()

    return of_arrays


def _save(network: keras.Model, path: Path) -> None:
    """Save whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        written = Path(folder) / path.name
        network.save(written, include_optimizer=False)
        write_whole(path, written.read_bytes())


@contextmanager
def _policy(name: str) -> Iterator[None]:
    """New layers have this dtype policy inside the ``with`` block."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
