"""The table of a Keras network: its weights against Keras's own counts, its gates against their values."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_backend import to_numpy
from mgu.errors import InputError
from mgu.keras import GATES, MultiGatedUnit, build_network, summary
from mgu.keras.explain import gate_means
from mgu.spaces import load_space


def network(kind, use_bias=True):
    inner = keras.Sequential([keras.Input((7, 2)), MultiGatedUnit(layers.Conv1D(4, 3, use_bias=use_bias), gates=kind)])
    x = keras.Input((7, 2))
    hidden = layers.GlobalAveragePooling1D()(inner(x))
    model = keras.Model(x, layers.BatchNormalization()(layers.Dense(3, name="readout")(hidden)))
    generator = np.random.default_rng(0)
    model.set_weights([value + generator.random(value.shape) for value in model.get_weights()])
    return model, inner.layers[0]


@pytest.mark.parametrize("kind", GATES)
def test_the_parts_are_those_that_keras_counts(kind):
    model, unit = network(kind)
    found = summary(model)
    assert found.weights == model.count_params()
    assert found.trained == sum(np.prod(v.shape) for v in model.trainable_variables)
    row, readout, norm = found.rows
    assert row.name == f"{model.layers[1].name}.{unit.name}"
    assert row.layer == "Conv1D(4)"
    assert row.weights["layer"] == unit.layer.count_params()
    assert row.weights["gates"] == unit.gates.count_params()
    assert row.weights["bypass"] == unit.operations["bypass"].count_params()
    assert row.weights["norms"] == sum(unit.operations[name].count_params() for name in ("bn", "bn_post", "ln"))
    assert (readout.name, readout.layer, readout.weights) == ("readout", "Dense(3)", {"layer": 15})
    assert norm.weights == {"layer": 12}


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("use_bias", [True, False])
def test_without_inputs_a_gate_says_its_bias_and_with_them_its_mean(kind, use_bias):
    model, unit = network(kind, use_bias)
    unit.sharpness = 2.0
    if kind == "squeeze":
        unit.gates.squeeze.bias.assign(np.zeros(unit.gates.squeeze.bias.shape))  # then zeros give the bias alone
    logits = unit.gate_logits(np.zeros((1, 7, 2), "float32"))
    expected = {gate: (1 / (1 + np.exp(-to_numpy(v)))).mean() for gate, v in logits.items()}
    assert summary(model).rows[0].means == pytest.approx(expected, rel=1e-5)
    x = np.random.default_rng(1).normal(size=(6, 7, 2)).astype("float32")
    (means,) = gate_means(model, x).values()
    assert summary(model, x).rows[0].means == pytest.approx(means)


@pytest.mark.parametrize("model_name", ["DIG_001", "DIG_MGU_001"])
def test_networks_of_a_space_and_frozen_layers(model_name):
    model = build_network(load_space("digits").models()[model_name], (1, 8, 8), 10)
    model.layers[0].trainable = False
    found = summary(model)
    assert found.weights == model.count_params()
    assert found.trained == sum(np.prod(v.shape) for v in model.trainable_variables)
    assert [bool(row.kind) for row in found.rows] == ["MGU" in model_name] * 4 + [False]


def test_what_is_not_built_says_so():
    with pytest.raises(InputError, match="MultiGatedUnit is not built"):
        summary(MultiGatedUnit(layers.Dense(3)))
