"""Rivals that are trained beside the grid and MGU: layers that learn some of what MGU learns, by other means, and what
people use on tables."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from mgu.errors import InputError
from mgu.spaces import Architecture, Cell, SearchSpace
from mgu.study.trial import Estimator


@dataclass(frozen=True)
class TrainedRival:
    """What a rival is called in reports, and its models in a space, by model name."""

    title: str
    models: Callable[[SearchSpace], Mapping[str, Architecture | Estimator]]


def switchable(space: SearchSpace) -> dict[str, Architecture | Estimator]:
    """The space's MGU networks with the cells sn and sn+residual instead of units: MNI_SN_001, MNI_SN_002, ..."""
    units = [architecture for architecture in space.models().values() if architecture.cell is None]
    cells = [replace(unit, cell=Cell("sn", residual)) for unit in units for residual in (False, True)]
    return {f"{space.prefix}_SN_{i:03d}": architecture for i, architecture in enumerate(cells, 1)}


def estimator(name: str, initials: str) -> Callable[[SearchSpace], Mapping[str, Architecture | Estimator]]:
    """The estimator as the one model of a rival: TAB_HGB_001, ..."""
    return lambda space: {f"{space.prefix}_{initials}_001": Estimator(name)}


#: The trained rivals by name.
TRAINED_RIVALS: dict[str, TrainedRival] = {
    "switchable": TrainedRival("Switchable Normalization", switchable),
    "boosting": TrainedRival("scikit-learn's HistGradientBoosting", estimator("hist_gradient_boosting", "HGB")),
    "mlp": TrainedRival("scikit-learn's MLP", estimator("mlp", "MLP")),
}


def rival_models(names: Sequence[str], space: SearchSpace) -> dict[str, tuple[str, Architecture | Estimator]]:
    """The rival's name and the architecture of each model of the rivals, by model name, rival by rival.

    Raises InputError for a rival that is unknown or named twice.
    """
    if isinstance(names, str):
        raise InputError(f"rivals must be a sequence of names, such as [{names!r}]; the text {names!r} was given")
    for name in names:
        if name not in TRAINED_RIVALS:
            raise InputError(f"unknown rival {name!r}; allowed: {', '.join(TRAINED_RIVALS)}")
        if list(names).count(name) > 1:
            raise InputError(f"rival {name!r} is named more than once; name each once")
    return {
        model: (name, architecture)
        for name in names
        for model, architecture in TRAINED_RIVALS[name].models(space).items()
    }


def title(name: str) -> str:
    """What a rival is called in reports: its title, or its name where it is no longer known."""
    return TRAINED_RIVALS[name].title if name in TRAINED_RIVALS else name
