"""The training of an estimator's network: softly for some epochs, hardened, and on as a plain network."""

import copy
import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from mgu.errors import InputError
from mgu.history import Decision, Epoch
from mgu.recipe import Recipe
from mgu.torch.harden import decide
from mgu.training.hardening import AS_OPENED, DECIDED_ON
from mgu.training.learner import Setting
from mgu.training.run import Run, Snapshot
from mgu.training.samples import EVALUATION_BATCH, Samples
from mgu.training.torch_learner import TorchLearner

#: What is learned from, and what validates it.
Parts = tuple[Samples, Samples]


@dataclass(frozen=True)
class TableRecipe(Recipe):
    """How an estimator's network is trained: AdamW, whose weight decay is of the layers' kernels alone, and a learning
    rate that falls from ``lr`` to 0 in half a cosine over ``horizon`` epochs.

    Source: Loshchilov & Hutter 2019, "Decoupled weight decay regularization"; 2017, "SGDR".
    """

    weight_decay: float = 0.0
    horizon: int = 100


class TableLearner(TorchLearner):
    """A learner by a ``TableRecipe``; see ``mgu.training.learner.Learner``."""

    def __init__(self, network: nn.Module, setting: Setting, samples: Samples, done: int = 0) -> None:
        super().__init__(network, setting, samples, done)
        recipe = self.recipe
        assert isinstance(recipe, TableRecipe)
        kernels = {id(module.weight) for module in network.modules() if isinstance(module, nn.Linear)}
        decayed = [weight for weight in network.parameters() if id(weight) in kernels]
        others = [weight for weight in network.parameters() if id(weight) not in kernels]
        groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=recipe.lr, fused=True)
        first, total = done * len(self.batches), recipe.horizon * len(self.batches)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * min(1, (first + step) / total)))
        )


@dataclass(frozen=True)
class Trained:
    """A network as it answers, the soft one that it was hardened from and the decisions, None and none where it was
    not, and its epochs. In their scores the history has negative losses."""

    network: nn.Module
    soft: nn.Module | None
    decisions: tuple[Decision, ...]
    history: tuple[Epoch, ...]


def train(network: nn.Module, soft: Parts, last: Parts, setting: Setting, soft_epochs: int) -> Trained:
    """Train a network in place on the ``last`` parts, for the recipe's epochs or until the validation loss has not
    fallen for its patience, and restore the best epoch's weights.

    Where there are ``soft_epochs``, the network is a soft one: it is trained on the ``soft`` parts for so many, a plain
    network is made of it by its loss on their validation, and that is trained on the last parts for the rest. Raises
    InputError for a loss that is not finite.
    """
    if not soft_epochs:
        return Trained(network, None, (), _solved(network, last, setting, setting.recipe.epochs))
    history = _solved(network, soft, setting, soft_epochs)
    decided_on = list(soft[1].spread(DECIDED_ON).batches(DECIDED_ON))
    plain, decisions = decide(network, decided_on, setting.task.loss, AS_OPENED)
    history = _solved(plain, last, setting, setting.recipe.epochs, history)
    return Trained(plain, network, decisions, history)


def one_pass(network: nn.Module, samples: Samples, setting: Setting, optimizer: Any) -> Any:
    """Train a network in place for one epoch with a constant learning rate; the optimizer's state, to go on from."""
    learner = TableLearner(network, setting, samples)
    if optimizer is not None:
        learner.optimizer.load_state_dict(optimizer)
    learner.schedule = torch.optim.lr_scheduler.LambdaLR(learner.optimizer, lambda step: 1.0)
    loss, _ = learner.train()
    network.eval()
    _check_finite(math.isfinite(loss))
    return copy.deepcopy(learner.optimizer.state_dict())


def answered(network: nn.Module, x: Tensor) -> Tensor:
    """What the network gives for x (samples, features), (samples, outputs), without gradients."""
    with torch.no_grad():
        return torch.cat([network(part) for part in torch.split(x, EVALUATION_BATCH)])


def _solved(
    network: nn.Module, parts: Parts, setting: Setting, until: int, history: tuple[Epoch, ...] = ()
) -> tuple[Epoch, ...]:
    """Train until that epoch at most; all epochs so far."""
    if len(history) >= until:
        return history
    learned, validation = parts
    setting = replace(setting, recipe=replace(setting.recipe, epochs=until))
    learner = TableLearner(network, setting, learned, len(history))
    run = Run(lambda samples: learner, lambda: (learned, validation, validation), setting, Snapshot(history=history))
    _check_finite(run.fit(lambda epoch: None))
    return tuple(run.history)


def _check_finite(finite: bool) -> None:
    if not finite:
        raise InputError("the loss is no longer finite; lower learning_rate, or look for extreme values in the table")
