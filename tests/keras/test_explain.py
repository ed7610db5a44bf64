"""``explain`` on Keras networks whose gates are known."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_backend import to_numpy
from mgu.errors import InputError
from mgu.keras import GATES, ChainBlock, MultiGatedUnit, explain
from mgu.keras.explain import gate_means
from mgu.wiring import FORMS, cell_chain, gates


def randomised(model, seed=0):
    generator = np.random.default_rng(seed)
    model.set_weights([value + 0.3 * generator.random(value.shape) for value in model.get_weights()])
    return model


def network(kind="squeeze", axes=0):
    layer = (lambda: layers.Conv1D(4, 3)) if axes else (lambda: layers.Dense(4))
    first, second = (MultiGatedUnit(layer(), gates=kind, name=name) for name in ("first", "second"))
    pool = [layers.GlobalAveragePooling1D()] if axes else []
    shape = (7, 2) if axes else (2,)
    return randomised(keras.Sequential([keras.Input(shape), first, second, *pool, layers.Dense(3)]))


def batches(*positions, count=2):
    generator = np.random.default_rng(1)
    return [
        (generator.normal(size=(5, *positions, 2)).astype("float32"), generator.integers(3, size=5))
        for _ in range(count)
    ]


def cross_entropy(labels, outputs):
    logits = to_numpy(outputs).astype("float64")
    shifted = logits - logits.max(axis=1, keepdims=True)
    found = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -found[np.arange(len(labels)), labels].mean()


def whole(samples):
    return [np.concatenate(parts) for parts in zip(*samples, strict=True)]


@pytest.mark.parametrize(("kind", "axes"), [*((kind, 0) for kind in GATES), ("squeeze", 1), ("replica", 1)])
def test_statistics_are_those_of_the_gates_values(kind, axes):
    model, samples = network(kind, axes), batches(*[7] * axes)
    found = explain(model, [x for x, _ in samples])
    assert [unit.name for unit in found.units] == ["first", "second"]
    assert [unit.input_shape for unit in found.units] == ([(2, 7), (4, 5)] if axes else [(2,), (4,)])
    assert [unit.chain for unit in found.units] == [FORMS["code"]] * 2
    first, second = (model.get_layer(name) for name in ("first", "second"))
    logits = [to_numpy(second.gate_logits(first(x, training=False))["norm"]).ravel() for x, _ in samples]
    values = 1 / (1 + np.exp(-np.concatenate(logits).astype("float64")))
    report = found.units[1].gates[2]
    assert (report.name, report.open, report.closed) == ("norm", "bn_ln", "no_norm")
    stated = (report.mean, report.median, report.minimum, report.maximum, report.certainty)
    expected = (values.mean(), np.median(values), values.min(), values.max(), np.abs(2 * values - 1).mean())
    assert stated == pytest.approx(expected, abs=1e-6)
    assert report.histogram == tuple(np.histogram(values, 20, (0, 1))[0])
    assert report.saturated == pytest.approx(np.mean((values < 0.001) | (values > 0.999)))
    assert found.loss is None
    assert {gate.loss_open for unit in found.units for gate in unit.gates} == {None}


def test_the_effect_of_a_gate_is_the_loss_of_the_network_with_it_decided():
    model, samples = network(), batches()
    found = explain(model, samples, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    (x, labels), unit = whole(samples), model.get_layer("first")
    assert found.loss == pytest.approx(cross_entropy(labels, model(x)), abs=1e-5)
    logits = {name: to_numpy(value) for name, value in unit.gate_logits(x).items()}
    for gate, report in zip(gates(unit.chain), found.units[0].gates, strict=True):
        for side, stated in ((gate.open, report.loss_open), (gate.closed, report.loss_closed)):
            clamped = np.full_like(logits[gate.name], 80.0 if side == gate.open else -80.0)
            unit.gate_logits = lambda x, training=None, clamped=clamped, gate=gate: logits | {gate.name: clamped}
            loss = cross_entropy(labels, model(x))
            del unit.gate_logits
            assert stated == pytest.approx(loss, abs=1e-5)
    assert len({report.loss_closed for report in found.units[0].gates}) > 1


@pytest.mark.parametrize("kind", GATES)
def test_gate_means_are_those_of_the_diagnosis(kind):
    model = network(kind)
    model.get_layer("second").sharpness = 3.0
    x, _ = whole(batches())
    expected = {unit.name: {gate.name: gate.mean for gate in unit.gates} for unit in explain(model, [x]).units}
    found = gate_means(model, x)
    assert found.keys() == expected.keys()
    for name, means in expected.items():
        assert found[name] == pytest.approx(means, abs=1e-6)


def test_gates_that_see_no_input_need_no_pass_and_plain_networks_neither():
    assert set(gate_means(network("channel"), np.ones((1, 99)))) == {"first", "second"}
    assert gate_means(keras.Sequential([layers.Dense(2)]), np.ones((1, 99))) == {}


class Own(layers.Layer):
    """A layer of one's own that holds a unit."""

    def __init__(self, **options):
        super().__init__(**options)
        self.inner = MultiGatedUnit(layers.Dense(2), name="inner")

    def call(self, x, training=None):
        return self.inner(x, training=training)


def test_units_are_found_wherever_they_are_and_named_by_the_way_there():
    shared = keras.Sequential([MultiGatedUnit(layers.Dense(2), name="unit")], name="shared")
    inputs = keras.Input((2,))
    stem = keras.Model(inputs, shared(shared(inputs)), name="stem")
    outer = keras.Input((2,))
    model = keras.Model(outer, Own(name="own")(stem(outer) + shared(outer)))
    found = explain(model, [np.ones((3, 2), "float32")])
    assert sorted(unit.name for unit in found.units) == ["own.inner", "stem.shared.unit"]
    assert [unit.name for unit in explain(shared.layers[0], [np.ones((3, 2), "float32")]).units] == [""]


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_shapes_have_the_channels_of_convolutions_first(data_format):
    shape = (1, 6, 5, 2) if data_format == "channels_last" else (1, 2, 6, 5)
    unit = MultiGatedUnit(layers.Conv2D(3, 3, data_format=data_format))
    assert explain(unit, [np.ones(shape, "float32")]).units[0].input_shape == (2, 6, 5)
    rank_three = MultiGatedUnit(layers.Dense(3))
    assert explain(rank_three, [np.ones((1, 6, 2), "float32")]).units[0].input_shape == (6, 2)


def test_the_model_is_as_before():
    model = network()
    before, own = model.get_weights(), [set(vars(layer)) for layer in model.layers]
    explain(model, batches(), lambda labels, outputs: keras.ops.sum(outputs, axis=1))
    assert all(np.array_equal(one, other) for one, other in zip(before, model.get_weights(), strict=True))
    assert [set(vars(layer)) for layer in model.layers] == own
    assert [layer.chain for layer in model.layers[:2]] == [FORMS["code"]] * 2


def test_the_loss_is_the_compiled_one_where_none_is_given():
    model, samples = network(), batches()
    model.compile("sgd", "mse")
    targets = [(x, np.eye(3, dtype="float32")[labels]) for x, labels in samples]
    (x, wanted) = whole(targets)
    expected = ((to_numpy(model(x)) - wanted) ** 2).mean()
    assert explain(model, targets).loss == pytest.approx(expected, rel=1e-5)
    assert explain(model, targets, "mae").loss == pytest.approx(np.abs(to_numpy(model(x)) - wanted).mean(), rel=1e-5)


def test_what_cannot_be_explained_is_named():
    x, labels = batches(count=1)[0]
    with pytest.raises(InputError, match="Sequential has no MultiGatedUnit"):
        explain(keras.Sequential([ChainBlock(layers.Dense(2), cell_chain("ln", False))]), [x])
    with pytest.raises(InputError, match="no batch was given"):
        explain(network(), [])
    with pytest.raises(InputError, match="a batch of 3 parts arrived"):
        explain(network(), [(x, labels, labels)])
    with pytest.raises(InputError, match="compile the model with one, or give it: loss="):
        explain(network(), [(x, labels)])
    with pytest.raises(InputError, match="'mean_of_all' is not one loss"):
        explain(network(), [(x, labels)], "mean_of_all")
    twice = [MultiGatedUnit(layers.Dense(2), name="same") for _ in range(2)]
    with pytest.raises(InputError, match="two units are named 'same'"):
        explain(Pair(twice), [x])


class Pair(keras.Model):
    def __init__(self, parts):
        super().__init__()
        self.parts = parts

    def call(self, x):
        return self.parts[0](x) + self.parts[1](x)
