"""A fitted estimator on disk: what ``mgu.torch.save`` writes, with all else as JSON data in its card; and back."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mgu.data.features import TableFeatures
from mgu.errors import InputError
from mgu.history import Decision
from mgu.sklearn.base import BaseMGU
from mgu.sklearn.fitting import Array
from mgu.sklearn.parameters import architecture, check_parameters
from mgu.sklearn.tables import Scaling
from mgu.torch import load as load_network
from mgu.torch import load_weights, read_card, save_weights
from mgu.torch import save as save_network
from mgu.torch.export import WEIGHTS, Card
from mgu.torch.reading import check_finite, check_fits, inside

#: The weights of the network with gates, beside the files of the plain one.
SOFT = "soft.safetensors"
#: The kinds of numpy's number formats that class labels may have: truth values, numbers, text, and any of these.
LABELS = "biufUO"


def write_estimator(estimator: BaseMGU, folder: str | Path) -> Path:
    """Write a fitted estimator whose network is plain; see ``BaseMGU.save``."""
    card = {
        "estimator": type(estimator).__name__,
        "parameters": {name: _plain(name, value) for name, value in estimator.get_params(deep=False).items()},
        "fitted": {
            name: write(getattr(estimator, name)) for name, (write, _) in FITTED.items() if hasattr(estimator, name)
        },
    }
    written = save_network(estimator.network_, folder, (len(estimator.scaling_.mean),), card)
    # It was trained in 32 bits: nothing is lost.
    save_weights(copy.deepcopy(estimator.soft_network_).float(), written / SOFT)
    return written


def read_estimator(kind: Callable[..., BaseMGU], name: str, folder: str | Path) -> BaseMGU:
    """An estimator as it was written, of that kind and name; see ``BaseMGU.load``."""
    folder = Path(folder)
    for file in (WEIGHTS, SOFT):
        inside(folder, file)
    saved = read_card(folder)
    found = saved.card.get("estimator") if isinstance(saved.card, dict) else None
    if found != name:
        raise InputError(f"{folder} holds {found or 'no estimator'}, not an {name}")
    try:
        estimator = _described(kind, saved, (folder / SOFT).stat().st_size)
        soft = estimator.new_network()
    except Exception as error:  # whatever numpy and torch make of what no estimator wrote
        raise InputError(f"{folder} is not what {name}.save writes: {type(error).__name__} {error}") from error
    load_weights(soft, folder / SOFT)
    check_finite(soft.state_dict(), folder / SOFT)
    estimator.network_, estimator.soft_network_ = load_network(folder), soft.double().eval()
    return estimator


def _described(kind: Callable[..., BaseMGU], saved: Card, size: int) -> BaseMGU:
    """The estimator of a card, without its networks, the soft one of which has a file of ``size`` bytes.

    Raises InputError, before memory is taken, for parts that do not fit one another, and all kinds of errors for what
    is no card.
    """
    estimator = kind(**{key: _unplain(value) for key, value in saved.card["parameters"].items()})
    check_parameters(estimator)
    for key, value in saved.card["fitted"].items():
        setattr(estimator, key, FITTED[key][1](value))
    shape, scaling = (len(estimator.features_.names),), estimator.scaling_
    fits = (
        saved.input_shape == scaling.mean.shape == scaling.std.shape == shape
        and estimator.n_features_in_ == len(estimator.features_.columns)
        and len(getattr(estimator, "feature_names_in_", estimator.features_.columns)) == estimator.n_features_in_
        and bool(np.isfinite(scaling.mean).all() and (scaling.std > 0).all())
    )
    if not fits:
        raise InputError("its columns, their scales and its network's inputs do not fit one another")
    check_fits(architecture(estimator, estimator.width_), shape, estimator.outputs, estimator.unit or {}, size)
    return estimator


def _labels(classes: Array) -> dict[str, Any]:
    values = classes.tolist()
    if classes.dtype.kind not in LABELS or not all(isinstance(label, bool | int | float | str) for label in values):
        raise InputError(f"classes of type {classes.dtype} cannot be saved; allowed: numbers, truth values and text")
    return {"dtype": classes.dtype.str, "values": values}


def _unlabelled(data: Mapping[str, Any]) -> Array:
    dtype, values = np.dtype(data["dtype"]), data["values"]
    # Text is as wide as its values, whatever width is named.
    classes = np.array(values, dtype=np.str_ if dtype.kind == "U" else dtype)
    if dtype.kind not in LABELS or classes.ndim != 1 or not len(classes):
        raise InputError("its classes are no list of numbers, truth values or text")
    return classes


def _plain(name: str, value: Any) -> Any:
    """A parameter as JSON data; a dict as pairs, since JSON's keys are text."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {"pairs": [[_plain(name, key), _plain(name, item)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return [_plain(name, item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise InputError(
        f"{name} is a {type(value).__name__}, which cannot be saved; allowed: numbers, text, None, and lists and dicts "
        f"of them. set_params({name}=...) changes it without another fit"
    )


def _unplain(value: Any) -> Any:
    if isinstance(value, dict):
        return {_unplain(key): _unplain(item) for key, item in value["pairs"]}
    return [_unplain(item) for item in value] if isinstance(value, list) else value


#: What a fit leaves besides networks and history, by attribute: how it is written as JSON data, and read.
FITTED: Mapping[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "n_features_in_": (int, int),
    "feature_names_in_": (lambda names: names.tolist(), lambda names: np.array(names, dtype=object)),
    "n_iter_": (int, int),
    "width_": (int, int),
    "features_": (TableFeatures.to_json, TableFeatures.from_json),
    "scaling_": (Scaling.to_json, Scaling.from_json),
    "target_scaling_": (Scaling.to_json, Scaling.from_json),
    "classes_": (_labels, _unlabelled),
    "decisions_": (
        lambda decisions: [asdict(decision) for decision in decisions],
        lambda entries: tuple(Decision(**entry) for entry in entries),
    ),
}
