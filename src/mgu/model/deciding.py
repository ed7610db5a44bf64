"""A model's network with gates on other data: what the gates do there, and how they are decided by it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mgu.data.fresh import Fresh
from mgu.diagnosis import Diagnosis
from mgu.files import write_whole
from mgu.hardening import Hardened
from mgu.model.answering import answered, labelled_samples, made, targets
from mgu.model.card import architecture_card, metrics_card
from mgu.model.folder import SOFT_WEIGHTS, Model, most_samples, without_numbers, write_folder
from mgu.saving import EXPLAINED_ON, write_diagnosis
from mgu.torch import export
from mgu.torch.build import attempt
from mgu.torch.explain import explain, gate_count
from mgu.torch.harden import harden
from mgu.torch.network import count_weights
from mgu.torch.trying import Watching, check_count
from mgu.training.hardening import DECIDED_ON


def explained_on(model: Model, fresh: Fresh) -> Diagnosis:
    """What the gates do on at most 100 samples of the data, evenly spaced: where there are labelled ones on those, with
    the effect of each gate on the loss. They are fewer where the values of so many are larger than any network's."""
    soft = model.soft()
    most = _most_samples(model, soft, EXPLAINED_ON)
    if len(fresh.known):
        samples = labelled_samples(model, fresh).spread(most)
        return explain(soft, samples.batches(), model.task.loss)
    return explain(soft, [made(model, fresh.x[:: -(-len(fresh.x) // most)])])


@dataclass(frozen=True, eq=False)
class Redecided:
    """A model, the data that its gates were decided on anew, and what came of it."""

    model: Model
    fresh: Fresh
    hardened: Hardened[nn.Module]

    def save(self, folder: Path, name: str, command: str) -> Path:
        """Write a model's folder with the new plain network, the same soft one, and a card that says on what data of
        which ``name`` the gates were decided. Raises InputError as ``write_folder`` does, and OSError."""
        diagnosis = explained_on(self.model, self.fresh)
        before = {name: value for name, value in self.model.card.items() if name != "case_metrics"}
        card = {**before, **self._card(diagnosis, name), "command": command}

        def write(part: Path) -> None:
            write_whole(part / SOFT_WEIGHTS, (self.model.folder / SOFT_WEIGHTS).read_bytes())
            export.save(self.hardened.model, part, self.model.preprocessing.input_shape, card)
            write_diagnosis(diagnosis, part, decisions=self.hardened.decisions)

        return write_folder(folder, write)

    def _card(self, diagnosis: Diagnosis, name: str) -> Mapping[str, Any]:
        """What is new of the card. The costs of the training go: the network is another."""
        known = self.fresh.known
        outputs = answered(self.model, self.hardened.model, self.fresh.x[known]).cpu()
        answers = self.model.task.answers(outputs, targets(self.model, self.fresh.y[known]))
        return {
            "metrics": metrics_card(answers, f"{name}, on samples of which its gates were decided"),
            "cost": {"weights": count_weights(self.hardened.model)},
            "architecture": architecture_card(diagnosis, self.hardened.decisions),
            "decided_on": {"name": name, "samples": min(len(known), DECIDED_ON)},
        }


def decided_on(model: Model, fresh: Fresh) -> Redecided:
    """Decide the gates of a model's soft network by at most 256 labelled samples of the data, evenly spaced. Raises
    InputError where none is labelled. They are fewer where the values of so many are larger than any network's."""
    soft = model.soft()
    samples = labelled_samples(model, fresh).spread(_most_samples(model, soft, DECIDED_ON))
    return Redecided(model, fresh, harden(soft, list(samples.batches()), model.task.loss))


def _most_samples(model: Model, soft: nn.Module, most: int) -> int:
    """How many samples the network with gates takes at once, at most ``most``. Raises InputError where the values of a
    single one are larger than any network's."""
    network = without_numbers(soft)

    def check(samples: int) -> None:
        x = torch.empty(samples, *model.preprocessing.input_shape, device="meta")
        with torch.no_grad(), Watching():
            check_count(attempt(f"{model.folder}: the network with gates does not run", gate_count, network, x))

    return most_samples(check, most)
