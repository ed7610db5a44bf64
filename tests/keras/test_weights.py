"""Weights in the file that both halves read: what has no place in it is refused by name."""

import keras
import pytest
from keras import layers

from mgu.errors import InputError
from mgu.keras import MultiGatedUnit, load_weights, save_weights


class Scaled(layers.Dense):
    """A dense layer with a weight of its own besides."""

    def build(self, input_shape):
        super().build(input_shape)
        self.scale = self.add_weight(shape=(self.units,), initializer="ones", name="scale")

    def call(self, x, training=None):
        return super().call(x, training) * self.scale


class Shifted(keras.Model):
    """A model with a weight of its own beside a layer."""

    def __init__(self):
        super().__init__()
        self.readout = layers.Dense(2)
        self.shift = self.add_weight(shape=(3,), name="shift", trainable=False)

    def call(self, x):
        return self.readout(x + self.shift)


def built(model):
    model(keras.ops.zeros((2, 3)))
    return model


@pytest.mark.parametrize(
    ("make", "missing"),
    [
        (lambda: MultiGatedUnit(Scaled(4), bypass="replica"), "/scale"),
        (lambda: keras.Sequential([MultiGatedUnit(Scaled(4))]), "/scale"),
        (Shifted, "shift"),
    ],
)
def test_a_weight_that_has_no_name_in_the_file_is_refused(make, missing, tmp_path):
    plain = save_weights(built(keras.Sequential([layers.Dense(2, name="readout")])), tmp_path / "plain")
    for act in (save_weights, load_weights):
        with pytest.raises(InputError, match=rf"{missing}\b.* no portable name"):
            act(built(make()), plain)


def test_a_layer_without_portable_names_is_refused(tmp_path):
    model = built(keras.Sequential([layers.Dense(2), layers.PReLU()]))
    with pytest.raises(InputError, match=r"p_re_lu.*/alpha has no portable name"):
        save_weights(model, tmp_path / "weights")
