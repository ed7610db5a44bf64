"""After the training of an MGU network: its gates are decided, and the plain network that is left is fine-tuned."""

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from mgu.history import Hardening
from mgu.measure import Clock
from mgu.samples import Samples, Shuffled, autocast, evaluate
from mgu.torch.harden import harden
from mgu.torch.network import count_weights
from mgu.torch.tune import fine_tune

if TYPE_CHECKING:
    from mgu.training import Recipe

#: So many validation samples are what gates are decided on.
DECIDED_ON = 500
#: The learning rate that fine-tuning starts from, as a share of the recipe's; it falls to 0.
RATE = 0.1


def finish(
    soft: nn.Module, splits: tuple[Samples, Samples, Samples], recipe: "Recipe", trained_epochs: int, seed: int
) -> tuple[nn.Module, Hardening]:
    """Harden a trained network on validation samples and fine-tune what is left, on a clock of its own.

    Fine-tuning takes ``recipe.fine_tune`` times the epochs that training took, at least one; of its epochs, and the
    network as it was decided, the one with the best validation accuracy is kept. The test split is read once, at the
    end.
    """
    train, validation, test = splits
    clock = Clock(train.y.device)
    epochs = max(1, math.floor(recipe.fine_tune * trained_epochs))
    batches = Shuffled(train, recipe.batch_size, torch.Generator().manual_seed(seed))
    with clock.running(), autocast(train.y.device, recipe.precision):
        hardened = harden(soft, validation.first(DECIDED_ON).batches())
        model = hardened.model
        best = _Best(model, validation, recipe.precision)
        decided_val_acc = best.val_acc
        fine_tune(model, batches, epochs, RATE * recipe.lr, on_epoch=lambda _: best.consider())
        model.load_state_dict(best.weights)
        test_acc = evaluate(model, test, recipe.precision)[1]
    return model, Hardening(
        model_size=count_weights(model),
        decisions=hardened.decisions,
        decided_val_acc=decided_val_acc,
        largest_difference=hardened.largest_difference,
        epochs=epochs,
        duration_s=clock.seconds,
        val_acc=best.val_acc,
        val_loss=best.val_loss,
        test_acc=test_acc,
        latency_batch=hardened.latency_batch,
        soft_latency_s=hardened.soft_latency_s,
        latency_s=hardened.hard_latency_s,
        warning=hardened.warning,
    )


class _Best:
    """The weights with which a model was best on the validation samples."""

    def __init__(self, model: nn.Module, validation: Samples, precision: str) -> None:
        self.model, self.validation, self.precision = model, validation, precision
        self.val_acc, self.val_loss = -1.0, math.inf
        self.weights: dict[str, Tensor] = {}
        self.consider()

    def consider(self) -> None:
        """Take the model's weights as they are where it is better with them than before."""
        loss, accuracy = evaluate(self.model, self.validation, self.precision)
        if accuracy > self.val_acc:
            self.val_acc, self.val_loss = accuracy, loss
            self.weights = {name: weight.clone() for name, weight in self.model.state_dict().items()}
