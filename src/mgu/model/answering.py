"""What a model answers on new data, and how good the answers are where the truth is known."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mgu.data.fresh import Fresh
from mgu.data.mapped import Mapped
from mgu.data.preprocessing import Preprocessing
from mgu.errors import InputError
from mgu.history import Answers, Errors
from mgu.model.folder import Model, check_answers, most_samples, without_numbers
from mgu.torch.build import attempt
from mgu.training.samples import EVALUATION_BATCH, Samples, standardised

#: The name of the column of a quantity.
PREDICTION = "prediction"


@dataclass(frozen=True, eq=False, repr=False)
class Predictions:
    """A model's answers to new data: ``outputs`` (samples, outputs) as its network gives them, in float32."""

    fresh: Fresh
    preprocessing: Preprocessing
    outputs: Tensor

    def __repr__(self) -> str:
        return f"<Predictions for {len(self.fresh.names):,} {self.fresh.kind}s>"

    @property
    def header(self) -> list[str]:
        """The names of the columns of ``rows``."""
        classes = self.preprocessing.classes
        answers = ["label", *(f"p({name})" for name in classes)] if classes else [PREDICTION]
        return [self.fresh.kind, *answers]

    @property
    def probabilities(self) -> Tensor:
        """(samples, classes) float64: the softmax of the outputs."""
        return torch.softmax(self.outputs.double(), dim=1)

    @property
    def quantities(self) -> Tensor:
        """(samples,) float64, in the target's unit: outputs x the target's deviation + its mean."""
        return self.outputs.squeeze(1).double() * self.preprocessing.target_std + self.preprocessing.target_mean

    def rows(self) -> Iterator[list[str]]:
        """Each sample's name and its label with the probability of each class, or its quantity."""
        if not self.preprocessing.classes:
            for name, quantity in zip(self.fresh.names, self.quantities.tolist(), strict=True):
                yield [name, f"{quantity:.7g}"]
            return
        labels = self.outputs.argmax(dim=1).tolist()
        for name, label, shares in zip(self.fresh.names, labels, self.probabilities.tolist(), strict=True):
            yield [name, self.preprocessing.classes[label], *(f"{share:.6g}" for share in shares)]


def predictions(model: Model, fresh: Fresh) -> Predictions:
    """The plain network's answers."""
    return Predictions(fresh, model.preprocessing, answered(model, model.network, fresh.x).cpu())


def answered(model: Model, network: nn.Module, x: NDArray[Any] | Mapped) -> Tensor:
    """A network's outputs for samples that are made into what it takes, in batches: (samples, outputs) float32.

    A batch is smaller than ``EVALUATION_BATCH`` where the values of the network for so many samples are larger than any
    network's. Raises InputError where those of a single sample are, and for whatever torch raises.
    """
    tried = without_numbers(network)
    size = most_samples(lambda samples: check_answers(model, tried, samples), min(len(x), EVALUATION_BATCH))
    if rest := len(x) % size:
        check_answers(model, tried, rest)
    parts = (x[start : start + size] for start in range(0, len(x), size))
    what = f"{model.folder}: the network does not run"
    return torch.cat([attempt(what, network, made(model, part)) for part in parts])


def known_answers(model: Model, found: Predictions) -> Answers | Errors | None:
    """How the answers compare with the truth, of the samples whose truth is known; None where of none it is."""
    known = found.fresh.known
    if not len(known):
        return None
    return model.task.answers(found.outputs[known], targets(model, found.fresh.y[known]))


def labelled_samples(model: Model, fresh: Fresh) -> Samples:
    """Those whose truth is known, as the model's networks take them. Raises InputError where of none it is."""
    known = fresh.known
    if not len(known):
        classes = model.preprocessing.classes
        needed = f"a label that is one of {', '.join(classes)}" if classes else "a quantity"
        raise InputError(
            f"none of the {len(fresh.names)} samples has {needed}; give a table with the target's column, or images in "
            "one folder a class or with a metadata.csv"
        )
    y = targets(model, fresh.y[known]).to(model.device)
    return Samples(made(model, fresh.x[known]), y)


def made(model: Model, x: NDArray[Any]) -> Tensor:
    """Samples as the model's networks take them."""
    return standardised(x, model.preprocessing.mean, model.preprocessing.std, model.device)


def targets(model: Model, y: NDArray[Any]) -> Tensor:
    """Class numbers as they are, quantities standardised."""
    wanted = model.preprocessing
    return torch.from_numpy(y if wanted.classes else (y - wanted.target_mean) / wanted.target_std)
