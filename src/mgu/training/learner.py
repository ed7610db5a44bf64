"""What a run needs of a framework: a network that learns."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor

from mgu.diagnosis import Diagnosis
from mgu.history import Decision, Flops
from mgu.measure import Meter
from mgu.recipe import Recipe
from mgu.training.operations import Operations
from mgu.training.samples import Samples
from mgu.training.tasks import Task
from mgu.training.world import ALONE, World

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
Weights: TypeAlias = Mapping[str, Tensor]


@dataclass(frozen=True)
class Setting:
    """What a run is done under; ``meter`` measures it where there is one, and the processes of ``world`` share it."""

    task: Task
    recipe: Recipe
    device: torch.device
    seed: int
    meter: Meter | None = None
    world: World = ALONE


class Compared(Protocol):
    """How a network and the plain one that it was hardened to compare."""

    @property
    def decisions(self) -> tuple[Decision, ...]: ...

    @property
    def largest_difference(self) -> float: ...

    @property
    def warning(self) -> str: ...


class Learner(Protocol):
    """A network of one framework, what trains it by a recipe, and what can be asked of it.

    Samples and outputs are tensors of torch in whatever framework; a network keeps its weights between the calls, and
    is in evaluation mode after each but ``train``.
    """

    network: Any

    @property
    def size(self) -> int:
        """How many weights the network has, running statistics included."""

    def warm_up(self, *evaluated: Samples) -> None:
        """Do all that only first steps cost, and first predictions for the samples, and undo what it did to the
        network."""

    def train(self, between: Callable[[], None] = ...) -> tuple[float, float]:
        """One epoch of training steps, or what is left of the one it was resumed in: its running mean loss, and the sum
        of what the task scores. ``between`` is called between two steps."""

    def predict(self, samples: Samples) -> Tensor:
        """The network's outputs, (samples, outputs) float32."""

    def weights(self) -> Weights:
        """A copy of the weights, by name."""

    def restore(self, weights: Weights) -> None:
        """Put such a copy back."""

    def state(self) -> Weights:
        """All that decides the steps to come, by name: weights, optimizer, schedule, order of the samples and the place
        in it, and the state of random numbers. It may change with the next step."""

    def resume(self, state: Weights) -> None:
        """Go on from such a state of a learner that was built alike: on one machine the steps to come are those that it
        would have taken, bit for bit."""

    def copied(self, weights: Weights) -> "Learner":
        """A new learner of a network like this one, with these weights."""

    def gate_means(self, samples: Samples) -> Mapping[str, Mapping[str, float]]:
        """The mean of each gate on the samples, by unit and gate; empty for a plain network."""

    def operations(self, validation: Samples, test: Samples) -> Operations | None:
        """What the run's steps take; None where it is not known. To be asked once steps were taken."""

    def forward_flops(self, samples: Samples) -> Flops:
        """Those of one forward pass of the samples. Raises InputError where it is not known."""

    def latency_s(self, samples: Samples, rounds: int) -> float:
        """Median seconds that the network takes for the samples as one batch."""

    def latencies_s(self, other: Any, samples: Samples, rounds: int) -> tuple[float, float]:
        """The same of this network and of another, measured in turn."""

    def hardened(
        self, samples: Samples, loss: Loss, as_opened: Collection[str], done: int
    ) -> tuple["Learner", tuple[Decision, ...]]:
        """A learner of the plain network that is left once each gate is decided on the samples, and the decisions;
        gates named in ``as_opened`` are decided by their values. ``done`` epochs of the recipe are behind it."""

    def compared(self, hard: "Learner", decisions: tuple[Decision, ...], samples: Samples, loss: Loss) -> Compared:
        """This network and what it was hardened to, on the samples."""

    def explained(self, samples: Samples, loss: Loss) -> Diagnosis:
        """What the gates do on the samples."""

    def save(self, folder: Path) -> None:
        """Write the network into a folder, in files named ``weights.*``, each whole or absent. Raises OSError."""

    def save_plain(self, folder: Path, input_shape: Sequence[int], card: Mapping[str, Any]) -> None:
        """Write a network without units into a folder, with plain JSON data beside, to be used without mgu. Raises
        OSError."""
