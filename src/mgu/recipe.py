"""How a network is trained."""

import math
from dataclasses import dataclass

from mgu.errors import InputError

PRECISIONS = ("float32", "bf16")
#: What ``--compile`` may be: none, or a mode of torch.compile ("reduce-overhead" uses CUDA graphs).
COMPILE_MODES = ("none", "default", "reduce-overhead", "max-autotune")


@dataclass(frozen=True)
class Recipe:
    """The paper's training recipe (section 5.2).

    Nadam with learning rate lr / (1 + decay * step), at most ``epochs`` epochs in batches of ``batch_size``, stopped
    once validation accuracy has not risen for ``patience`` epochs; the weights of the best epoch are restored. The
    paper names no decay: ``None`` is lr / epochs, Keras's custom.

    An MGU network is also hardened as it was after ``harden_after`` of the epochs, at least one, and the plain network
    that is left is trained on by the same recipe for the rest of them; 0 leaves it soft. Raises InputError for a value
    out of range.
    """

    epochs: int = 100
    batch_size: int = 64
    lr: float = 0.01
    decay: float | None = None
    patience: int = 10
    precision: str = "float32"
    compile: str = "none"
    harden_after: float = 0.1

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1; {getattr(self, name)} was given")
        if not 0 < self.lr < math.inf or not 0 <= self.step_decay < math.inf:
            raise InputError(f"lr must be above 0 and decay at least 0; {self.lr} and {self.decay} were given")
        if not 0 <= self.harden_after < 1:
            raise InputError(f"harden_after must be a share of the epochs, 0 to below 1; {self.harden_after} was given")
        for name, allowed in (("precision", PRECISIONS), ("compile", COMPILE_MODES)):
            if getattr(self, name) not in allowed:
                raise InputError(f"unknown {name} {getattr(self, name)!r}; allowed: {', '.join(allowed)}")

    @property
    def step_decay(self) -> float:
        return self.lr / self.epochs if self.decay is None else self.decay

    @property
    def soft_epochs(self) -> int:
        """The epoch after which an MGU network is hardened; 0 where it never is."""
        return max(1, round(self.harden_after * self.epochs)) if self.harden_after else 0
