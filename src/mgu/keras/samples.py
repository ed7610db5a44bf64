"""A sample of inputs and labels, and the mean loss of a network on it."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
from keras import layers, ops

from mgu.errors import InputError

Array = np.ndarray[Any, Any]
#: x and labels, None where there are none.
Sample: TypeAlias = tuple[Any, Any]
#: A loss of Keras by its name or as an object, or a function of labels and outputs.
Loss: TypeAlias = str | keras.losses.Loss | Callable[[Any, Any], Any]
#: From labels and outputs to the mean loss of a batch.
BatchLoss: TypeAlias = Callable[[Any, Any], float]


def sample_of(batch: Any) -> Sample:
    """x and labels of a batch, which is x, or a tuple or list of both, as Keras reads its data: a network of several
    inputs needs ([a, b], labels), where labels may be None. Raises InputError for a tuple of other than two.
    """
    if not isinstance(batch, tuple | list):
        return batch, None
    if len(batch) != 2:
        raise InputError(f"a batch of {len(batch)} parts arrived; x, or (x, labels), is needed")
    x, labels = batch
    return x, None if labels is None else as_array(labels)


def check_arrays(x: Any) -> None:
    """Raises InputError for a sample of inputs that is no array, and no list, tuple or dict of them."""
    for part in keras.tree.flatten(x):
        if not hasattr(part, "shape"):
            raise InputError(
                f"a sample of inputs must be an array, or a list or dict of arrays; {type(part).__name__} was given. "
                "Of a data set take a batch: x, labels = next(iter(dataset))"
            )


def loss_of(model: layers.Layer, loss: Loss | None) -> BatchLoss:
    """``loss``, or where it is None what the model was compiled with, as the mean of a batch.

    Raises InputError where there is neither, and for what is not one loss that Keras knows.
    """
    chosen = getattr(model, "loss", None) if loss is None else loss
    if chosen is None:
        raise InputError("labels were given and no loss; compile the model with one, or give it: loss=...")
    try:
        function = keras.losses.get(chosen)
    except (ValueError, TypeError) as error:
        raise InputError(f"{chosen!r} is not one loss: {error}") from None
    return lambda labels, outputs: float(as_array(function(labels, outputs)).mean())


def mean_loss(model: layers.Layer, samples: Sequence[Sample], loss: BatchLoss) -> float:
    """The mean loss over the samples of all batches, in evaluation mode."""
    total = sum(loss(labels, model(x, training=False)) * len(labels) for x, labels in samples)
    return total / sum(len(labels) for _, labels in samples)


def as_array(value: Any) -> Array:
    return np.asarray(ops.convert_to_numpy(value))
