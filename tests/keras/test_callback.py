"""``GateHistory``: the means of the gates after each epoch, in its own history and in the logs, and alarms."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers

from mgu.errors import InputError
from mgu.keras import GateHistory, GateWarning, MultiGatedUnit
from mgu.keras.explain import gate_means

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def network(prior="plain", learning_rate=0.01, **compiled):
    units = [MultiGatedUnit(layers.Dense(4), gates="squeeze", prior=prior, name=name) for name in ("first", "second")]
    model = keras.Sequential([keras.Input((3,)), *units, layers.Dense(2, name="readout")])
    model.compile(keras.optimizers.Adam(learning_rate), LOSS, **compiled)
    return model


def data(count=24):
    x = np.random.default_rng(0).normal(size=(count, 3)).astype("float32")
    return x, (x.sum(axis=1) > 0).astype("int32")


class Behind(keras.callbacks.Callback):
    """What a callback behind the history finds in the logs, and the means as the network then has them."""

    def __init__(self, x):
        super().__init__()
        self.x, self.logs, self.means = x, [], []

    def on_epoch_end(self, epoch, logs=None):
        self.logs.append(dict(logs))
        self.means.append(gate_means(self.model, self.x))


def test_the_means_after_each_epoch_are_in_its_history_and_in_the_logs():
    model, (x, y) = network(), data()
    history, behind = GateHistory(x), Behind(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GateWarning)
        returned = model.fit(x, y, epochs=2, verbose=0, callbacks=[history, behind]).history
        model.fit(x, y, verbose=0, callbacks=[history])
    assert len(history.history) == 3
    assert history.history[:2] == behind.means
    assert history.history[0] != history.history[1]
    for unit in ("first", "second"):
        for gate in ("bn_order", "bn_ln", "norm", "residual", "skip"):
            means = [epoch[unit][gate] for epoch in history.history[:2]]
            assert returned[f"gates/{unit}.{gate}"] == means
            assert [logs[f"gates/{unit}.{gate}"] for logs in behind.logs] == means
    assert "loss" in returned
    assert history.diagnosis.loss is None


@pytest.mark.parametrize(
    ("prior", "kinds"),
    [
        ([9, 9, 9, 9, 9], ["all-skip", "saturated"]),  # the skip gate's open side is the bypass
        ("neutral", ["undecided"]),
        ([3, 3, 3, 3, -3], []),
    ],
)
def test_alarms_are_warnings_at_the_end_of_training(prior, kinds):
    model, (x, y) = network(prior, learning_rate=0.0, run_eagerly=True), data()
    history = GateHistory(x)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(x, y, verbose=0, callbacks=[history])
    found = [str(one.message) for one in caught if one.category is GateWarning]
    alarms = history.diagnosis.alarms()
    assert found == [f"{alarm.kind}: {alarm.message}. {alarm.advice}." for alarm in alarms]
    assert [alarm.kind for alarm in alarms] == kinds


def test_with_labels_the_diagnosis_has_losses():
    model, (x, y) = network([3, 3, 3, 3, -3], run_eagerly=True), data()
    history = GateHistory(x, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GateWarning)
        model.fit(x, y, verbose=0, callbacks=[history])
    assert history.diagnosis.loss == pytest.approx(model.evaluate(x, y, verbose=0), abs=1e-5)
    assert all(gate.loss_open is not None for unit in history.diagnosis.units for gate in unit.gates)


@pytest.mark.parametrize("labelled", [True, False])
def test_a_network_of_two_inputs(labelled):
    inputs = [keras.Input((3,), name="a"), keras.Input((3,), name="b")]
    value = MultiGatedUnit(layers.Dense(4), name="unit")(layers.Concatenate()(inputs))
    model, (x, y) = keras.Model(inputs, layers.Dense(2)(value)), data()
    model.compile("sgd", LOSS, run_eagerly=True)
    history = GateHistory([x, -x], y if labelled else None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GateWarning)
        model.fit([x, -x], y, verbose=0, callbacks=[history])
    assert history.history[0].keys() == {"unit"}
    assert history.diagnosis.units[0].input_shape == (6,)
    assert (history.diagnosis.loss is not None) is labelled


class Batches(keras.utils.PyDataset):
    """A data set of one batch."""

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return data()


@pytest.mark.parametrize("make", [Batches, lambda: iter([data()]), lambda: [data()[0], "b"]])
def test_a_sample_that_is_no_array_is_named_before_training(make):
    model = network(run_eagerly=True)
    before = model.get_weights()
    with pytest.raises(InputError, match=r"must be an array, .* was given. Of a data set take a batch"):
        model.fit(*data(), verbose=0, callbacks=[GateHistory(make())])
    assert all(np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True))


def test_what_has_no_history_is_named_before_training():
    x, y = data()
    plain = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    plain.compile("sgd", LOSS)
    with pytest.raises(InputError, match="Sequential has no MultiGatedUnit whose gates have a history"):
        plain.fit(x, y, verbose=0, callbacks=[GateHistory(x)])
    inputs = keras.Input((3,))
    value = MultiGatedUnit(layers.Dense(2))(inputs)
    model = keras.Model(inputs, {name: layers.Dense(2, name=name)(value) for name in ("one", "two")})
    model.compile("sgd", {"one": LOSS, "two": LOSS})
    with pytest.raises(InputError, match="is not one loss"):
        model.fit(x, {"one": y, "two": y}, verbose=0, callbacks=[GateHistory(x, y)])
