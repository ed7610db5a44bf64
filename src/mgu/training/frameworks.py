"""The frameworks whose networks can be trained."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeAlias

import torch

from mgu.errors import InputError
from mgu.spaces import Architecture
from mgu.training.learner import Learner, Setting
from mgu.training.samples import Samples

#: Makes a learner from an architecture, the input's shape, the unit's options, a setting and the samples to train on.
Build: TypeAlias = Callable[[Architecture, tuple[int, ...], Mapping[str, Any], Setting, Samples], Learner]


@dataclass(frozen=True)
class Framework:
    """A framework as it is here: what it is called in a study, what builds its learners, its versions by name, and the
    devices that its networks can be on."""

    name: str
    build: Build
    versions: Mapping[str, str]
    devices: tuple[str, ...]

    def device(self, name: str) -> str:
        """The device of that name, "auto" being a GPU where there is one. Raises InputError where it is not here."""
        if name == "auto":
            return "cuda" if "cuda" in self.devices else "cpu"
        if name not in self.devices:
            raise InputError(f"device {name!r} is not here; allowed: auto, {', '.join(self.devices)}")
        return name


def _torch() -> Framework:
    from mgu.training.torch_learner import TorchLearner

    gpus = torch.cuda.device_count()
    devices = ("cpu", *["cuda"] * bool(gpus), *(f"cuda:{i}" for i in range(gpus)))
    return Framework("torch", TorchLearner.built, {}, devices)


def _keras() -> Framework:
    try:
        from mgu.keras.backend import check_backend  # before Keras itself: it says what to install
    except ModuleNotFoundError as error:
        raise InputError(f"--framework keras: {error}") from None
    import keras

    from mgu.training.keras_learner import KerasLearner

    backend = keras.backend.backend()
    check_backend(backend)
    # Keras places its networks itself, on its GPU where it has one, and lists devices for all backends but torch.
    on_gpu = torch.cuda.is_available() if backend == "torch" else "cpu:0" not in keras.distribution.list_devices()
    devices = ("cuda",) if on_gpu else ("cpu",)
    versions = {"keras": keras.version(), backend: import_module(backend).__version__}
    return Framework(f"keras on {backend}", KerasLearner.built, versions, devices)


#: The frameworks by name; one is imported once it is asked for.
FRAMEWORKS: Mapping[str, Callable[[], Framework]] = {"torch": _torch, "keras": _keras}


def framework_of(name: str) -> Framework:
    """The framework of that name. Raises InputError for one that is unknown, or not installed."""
    if name not in FRAMEWORKS:
        raise InputError(f"unknown framework {name!r}; allowed: {', '.join(FRAMEWORKS)}")
    return FRAMEWORKS[name]()
