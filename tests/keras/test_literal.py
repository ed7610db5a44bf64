"""The unit written literally as in the paper, which the benchmark measures against, computes what ours does."""

import keras
import numpy as np
import pytest
from keras import layers
from keras_literal import literal, literally

import keras_backend
from mgu.keras import MultiGatedUnit

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="it is timed on TensorFlow")

PAPERS = {"gates": "replica", "bypass": "replica", "prior": "neutral"}


def scattered(layer):
    """The layer with weights that no start would hide: norms and biases away from ones and zeros."""
    generator = np.random.default_rng(0)
    layer.set_weights([weight + generator.uniform(0, 0.4, weight.shape) for weight in layer.get_weights()])
    return layer


@pytest.mark.parametrize(
    ("layer", "shape"),
    [(lambda: layers.Dense(7), (6, 5)), (lambda: layers.Conv2D(6, 3, 2), (4, 9, 9, 3))],
    ids=["dense", "conv2d"],
)
def test_the_listing_gives_what_the_unit_gives(layer, shape):
    ours = MultiGatedUnit(layer(), **PAPERS)
    ours.build(shape)
    theirs = literal(scattered(ours))
    x = np.random.default_rng(1).normal(size=shape).astype("float32")
    for training in (False, True):  # in training, Keras's batch norm keeps another running variance
        expected, found = (keras_backend.output(unit, x, training) for unit in (theirs, ours))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_a_network_of_the_listing_is_ours():
    block = MultiGatedUnit(layers.Conv1D(4, 3), **PAPERS)
    ours = scattered(keras.Sequential([keras.Input((7, 3)), block, layers.GlobalAveragePooling1D(), layers.Dense(2)]))
    theirs = literally(ours)
    assert theirs.count_params() == ours.count_params()
    x = np.random.default_rng(1).normal(size=(5, 7, 3)).astype("float32")
    expected, found = (keras_backend.output(network, x) for network in (theirs, ours))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
