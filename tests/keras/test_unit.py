"""The unit as a Keras layer: Keras's own harness, files, number formats, shapes, training, and bad input."""

import inspect

import keras
import numpy as np
import pytest
from keras import layers
from keras.src.testing import TestCase

import keras_backend
from mgu.errors import InputError
from mgu.keras import GATES, OPERATIONS, ChainBlock, GatingUnit, MultiGatedUnit
from mgu.wiring import OPTIONS, PROCESSORS, Op, Processor, cell_chain

BACKEND = keras.backend.backend()


#: Keras's harness trains on a generator without saying so.
harness_warns = pytest.mark.filterwarnings("ignore:`shuffle=True` was passed:UserWarning")


@pytest.fixture
def harness():
    return TestCase()


@pytest.mark.parametrize(
    ("make", "shape", "options"),
    [
        (lambda: layers.Dense(4), (5, 3), {}),
        (lambda: layers.Dense(4), (5, 2, 3), {"gates": "replica", "bypass": "replica", "form": "equations"}),
        (lambda: layers.Conv1D(4, 3), (5, 7, 3), {"gates": "squeeze", "processors": ["squeeze_excite"]}),
        (lambda: layers.Conv2D(3, 3, padding="same"), (5, 4, 4, 3), {"gates": "depthwise", "prior": "neutral"}),
        (lambda: layers.SeparableConv2D(4, 3), (5, 4, 4, 3), {"bypass": "normed", "residual_gate": False}),
    ],
    ids=["dense", "dense-replica", "conv1d", "conv2d", "separable"],
)
@harness_warns
def test_kerass_own_checks_of_the_unit(harness, make, shape, options):
    harness.run_layer_test(
        MultiGatedUnit,
        {"layer": make(), **options},
        input_shape=shape,
        expected_output_shape=make().compute_output_shape(shape),
        supports_masking=False,
    )


@pytest.mark.parametrize("gates", ["replica", "squeeze"])
def test_kerass_own_checks_of_the_gating_unit(harness, gates):
    harness.run_layer_test(
        GatingUnit,
        {"layer": layers.Conv1D(4, 3), "gates": gates, "prior": 1.5},
        input_shape={"x_shape": (5, 7, 3), "opened_shape": (5, 5, 4), "closed_shape": (5, 5, 4)},
        expected_output_shape=(5, 5, 4),
        run_training_check=False,  # it calls a layer with one input
    )


@pytest.mark.parametrize("residual", [True, False])
@harness_warns
def test_kerass_own_checks_of_a_cell(harness, residual):
    harness.run_layer_test(
        ChainBlock,
        {"layer": layers.Conv1D(4, 3), "chain": cell_chain("bn_pre", residual), "activation": "relu"},
        input_shape=(5, 7, 3),
        expected_output_shape=(5, 5, 4),
    )


@pytest.mark.parametrize("gates", GATES)
def test_gating_unit_mixes_two_values_by_its_input(gates):
    gate = GatingUnit(layers.Conv2D(4, 3), gates, prior=1.5)
    opened, closed = np.random.default_rng(0).normal(size=(2, 2, 4, 4, 4)).astype("float32")
    found = keras_backend.to_numpy(gate(np.zeros((2, 6, 6, 3), "float32"), opened, closed))
    g = 1 / (1 + np.exp(-1.5))
    np.testing.assert_allclose(found, g * opened + (1 - g) * closed, rtol=1e-5, atol=1e-6)


def network(**options):
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            MultiGatedUnit(layers.Conv2D(4, 3, 2), name="first", **options),
            MultiGatedUnit(
                layers.Conv2D(4, 3, padding="same"), layers.PReLU(shared_axes=[1, 2]), name="second", **options
            ),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2),
        ]
    )


def data(count=16):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(count, 9, 9, 3)).astype("float32")
    return x, (x.mean(axis=(1, 2, 3)) > 0).astype("int32")


def loss():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@pytest.mark.parametrize("gates", GATES)
def test_a_file_without_code_and_back(gates, tmp_path):
    model, (x, _) = network(gates=gates, processors=("rms_norm",)), data()
    generator = np.random.default_rng(0)
    model.set_weights([generator.uniform(0.1, 0.9, weight.shape) for weight in model.get_weights()])
    model.get_layer("first").sharpness = 2.0
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert again.get_layer("first").sharpness == 2.0
    np.testing.assert_array_equal(keras_backend.output(again, x), keras_backend.output(model, x))


@pytest.mark.skipif(BACKEND == "torch", reason="Keras compiles for PyTorch by another compiler, which takes minutes")
def test_compiled_training_learns():
    keras.utils.set_random_seed(0)
    model, (x, y) = network(), data(64)
    model.compile(keras.optimizers.Adam(0.01), loss(), jit_compile=True)
    history = model.fit(x, y, epochs=8, batch_size=16, verbose=0).history["loss"]
    assert history[-1] < 0.8 * history[0]


@pytest.mark.skipif(BACKEND != "tensorflow", reason="tf.data is TensorFlow's")
def test_tf_data_with_a_shorter_last_batch():
    import tensorflow as tf

    model, other, (x, y) = network(), network(), data(9)
    other.set_weights(model.get_weights())
    for one in (model, other):
        one.compile("sgd", loss(), jit_compile=False)
    model.fit(tf.data.Dataset.from_tensor_slices((x, y)).batch(4), shuffle=False, verbose=0)
    other.fit(x, y, batch_size=4, shuffle=False, verbose=0)
    for found, expected in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("gates", ["depthwise", "squeeze"])
def test_positions_that_are_not_known_beforehand(gates):
    model = network(gates=gates)
    for positions in [(9, 9), (7, 12)]:
        fixed = keras.Sequential([keras.Input((*positions, 3)), *network(gates=gates).layers])
        fixed.set_weights(model.get_weights())
        x = np.random.default_rng(0).normal(size=(3, *positions, 3)).astype("float32")
        found = model.predict(x, verbose=0)
        np.testing.assert_allclose(found, keras_backend.output(fixed, x), rtol=1e-5, atol=1e-6)


def test_functional_models_with_a_unit_at_two_places():
    unit = MultiGatedUnit(layers.Dense(4))
    inputs = keras.Input((4,))
    model = keras.Model(inputs, unit(unit(inputs)))
    x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    np.testing.assert_allclose(model.predict(x, verbose=0), keras_backend.to_numpy(unit(unit(x))), rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(BACKEND == "torch", reason="Keras itself checks no mixed precision with PyTorch on the CPU")
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("gates", GATES)
def test_mixed_precision_is_close_to_float32(gates, policy):
    keras.utils.set_random_seed(0)
    options = {"gates": gates, "bypass": "normed", "processors": tuple(PROCESSORS)}
    whole = MultiGatedUnit(layers.Conv2D(4, 3), **options)
    half = MultiGatedUnit(layers.Conv2D(4, 3, dtype=policy), **options)
    x, _ = data()
    whole.build(x.shape)
    half.build(x.shape)
    half.set_weights(whole.get_weights())
    expected, found = keras_backend.output(whole, x), keras_backend.output(half, x)
    assert keras.backend.standardize_dtype(found.dtype) == half.compute_dtype == policy.removeprefix("mixed_")
    assert {keras.backend.standardize_dtype(weight.dtype) for weight in half.weights} == {"float32"}
    np.testing.assert_allclose(found.astype("float32"), expected, rtol=0.1, atol=0.1)


def test_a_batch_with_one_value_a_channel_leaves_the_running_statistics():
    unit = MultiGatedUnit(layers.Dense(4))
    x = np.ones((1, 3), "float32")
    unit.build(x.shape)
    before = [weight.copy() for weight in unit.get_weights()]
    output = unit(x, training=True)
    np.testing.assert_array_equal(keras_backend.to_numpy(output), keras_backend.to_numpy(unit(x, training=False)))
    for old, new in zip(before, unit.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_seed_of_the_layer_is_not_taken_over_by_its_replicas():
    layer = layers.Dense(4, kernel_initializer=keras.initializers.GlorotUniform(seed=7))
    unit = MultiGatedUnit(layer, gates="replica", bypass="replica")
    unit.build((None, 3))
    kernels = [layer, unit.operations["bypass"], *unit.gates.replicas]
    kernels = [keras_backend.to_numpy(one.kernel.value) for one in kernels]
    assert len({kernel.tobytes() for kernel in kernels}) == 7
    assert max(np.abs(kernel).max() for kernel in kernels) <= np.sqrt(6 / (3 + 4))


def test_a_processor_and_a_layer_of_ones_own(monkeypatch):
    monkeypatch.setitem(PROCESSORS, "halved", Processor(reads="no_norm", beside="bn_ln"))
    monkeypatch.setitem(OPERATIONS, "halved", lambda wrapped, activation: layers.Rescaling(0.5))
    layer = keras.Sequential([layers.Dense(6), layers.Dense(4)])
    unit = MultiGatedUnit(layer, "linear", gates="replica", bypass="replica", processors=("halved",))
    x = np.random.default_rng(0).normal(size=(3, 5)).astype("float32")
    unit.build(x.shape)
    assert unit.gate_names == ("bn_order", "bn_ln", "with_halved", "norm", "residual", "skip")
    decided = dict(zip(unit.gate_names, (1, 1, -1, 1, 1, -1), strict=True))
    for replica in unit.gates.replicas:
        replica.layers[-1].kernel.assign(np.zeros((6, 4)))
    unit.gates.offset.assign(np.repeat([[40.0 * sign] for sign in decided.values()], 4, axis=1))
    np.testing.assert_allclose(
        keras_backend.to_numpy(unit(x)), 0.5 * keras_backend.to_numpy(layer(x)), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gates": "fancy"}, "unknown gates 'fancy'; allowed: replica, depthwise, squeeze, channel"),
        ({"prior": "best"}, "unknown prior 'best'; allowed: plain, neutral"),
        ({"prior": [0.0, 1.0]}, "prior has 2 numbers; it needs 5, one for each of bn_order"),
        ({"form": "text"}, "unknown form 'text'; allowed: code, equations"),
        ({"bypass": "none"}, "unknown bypass 'none'; allowed: replica, normed, shortcut"),
        ({"activation": "selux"}, "unknown activation 'selux'; allowed: selu, relu"),
        ({"processors": ["sn"]}, "unknown processor 'sn'; allowed: rms_norm"),
        ({"channel_axis": 2}, "channel_axis must be 1 or -1; 2 was given"),
        ({"layer": "conv"}, "a layer must be a keras.layers.Layer"),
        ({"layer": layers.Dense(3, "relu", name="own")}, "own has the activation relu of its own"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(InputError, match=message):
        MultiGatedUnit(**{"layer": layers.Conv2D(4, 3), **options})


@pytest.mark.parametrize(
    ("layer", "options", "shape", "message"),
    [
        (lambda: layers.Conv2D(4, 3), {}, (6, 6, 3), r"\(batch, positions, positions, channels\) is needed"),
        (lambda: layers.Dense(4), {}, (3,), "it needs a batch axis and a channel axis"),
        (lambda: layers.Conv2D(4, 3), {}, (None, 6, 6, None), "its channels, axis -1, must be known"),
        (lambda: layers.Dense(4), {"processors": ["instance_norm"]}, (None, 3), "it needs more positions"),
        (
            lambda: keras.Sequential([layers.Dense(4)]),
            {"gates": "depthwise", "bypass": "normed"},
            (None, 3),
            "depthwise gates need a Dense",
        ),
        (lambda: keras.Sequential([layers.Dense(4)]), {}, (None, 3), "a shortcut bypass needs a Dense or Conv layer"),
        (lambda: layers.Conv1D(4, 3, 2, "causal"), {}, (None, 9, 3), "cannot pool by the causal window"),
        (
            lambda: layers.Conv1D(4, 3, 2, "same"),
            {"gates": "depthwise"},
            (None, None, 3),
            "portable weights need the number of positions",
        ),
    ],
)
def test_what_cannot_be_built_is_named(layer, options, shape, message):
    with pytest.raises(InputError, match=message):
        MultiGatedUnit(layer(), **options).build(shape)


def test_inputs_of_another_shape_are_named():
    unit = MultiGatedUnit(layers.Conv2D(4, 3))
    unit(np.zeros((2, 6, 6, 3), "float32"))
    with pytest.raises(InputError, match="3 channels are needed on axis -1"):
        unit(np.zeros((2, 6, 6, 5), "float32"))
    with pytest.raises(InputError, match="channels\\) is needed, the batch axis included"):
        unit(np.zeros((6, 6, 3), "float32"))


def test_a_chain_with_gates_is_no_cell_and_an_unknown_operation_is_named():
    x = np.zeros((2, 3), "float32")
    with pytest.raises(InputError, match="gate 'bn_order' is not decided"):
        ChainBlock(layers.Dense(4), MultiGatedUnit(layers.Dense(4)).chain)(x)
    with pytest.raises(InputError, match="operation 'odd' has no layer"):
        ChainBlock(layers.Dense(4), (Op("one", "odd", ("x",)),)).build((None, 3))


def test_a_unit_tells_its_layer_its_gates_and_what_is_not_the_default():
    unit = MultiGatedUnit(layers.Dense(2, name="dense"), name="first")
    assert repr(unit) == "<MultiGatedUnit name=first, layer=dense, gates='channel', built=False>"
    other = MultiGatedUnit(layers.Dense(2), gates="squeeze", prior="neutral", processors=["rms_norm"])
    assert "gates='squeeze', prior='neutral', processors=('rms_norm',), built" in repr(other)
    named = inspect.signature(MultiGatedUnit).parameters
    assert {name: named[name].default for name in OPTIONS} == OPTIONS
