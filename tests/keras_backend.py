"""One forward and backward pass of a Keras layer, on whichever backend this process has."""

from functools import lru_cache

import keras
import numpy as np


def to_numpy(tensor):
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def output(layer, x, training=False):
    """The output for x; JAX compiles the whole of it, which takes it less than each operation by itself."""
    if keras.backend.backend() != "jax":
        return to_numpy(layer(x, training=training))
    import jax

    def run(weights, x):
        with keras.StatelessScope(zip(layer.variables, weights, strict=True)) as scope:
            value = layer(x, training=training)
            return value, [scope.get_current_value(variable) for variable in layer.variables]

    value, state = jax.jit(run)([variable.value for variable in layer.variables], x)
    for variable, new in zip(layer.variables, state, strict=True):
        if new is not None:
            variable.assign(new)
    return to_numpy(value)


def gradients(layer, x, cotangent, training):
    """The output for x, and the gradients of sum(output * cotangent) by x and by the trainable variables, in their
    order. Running statistics move in training."""
    return _PASSES[keras.backend.backend()](layer, x, cotangent, training)


def _tensorflow(layer, x, cotangent, training):
    import tensorflow as tf

    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        output = layer(x, training=training)
        total = tf.reduce_sum(output * cotangent)
    variables = [variable.value for variable in layer.trainable_variables]
    found = tape.gradient(total, [x, *variables], unconnected_gradients="zero")
    return to_numpy(output), [np.asarray(tf.convert_to_tensor(value)) for value in found]


def _jax(layer, x, cotangent, training):
    import jax

    weights, state = (
        [one.value for one in kind] for kind in (layer.trainable_variables, layer.non_trainable_variables)
    )
    (of_x, of_weights), (output, state) = _jax_pass(layer, training)(jax.numpy.asarray(x), weights, state, cotangent)
    for variable, value in zip(layer.non_trainable_variables, state, strict=True):
        variable.assign(value)
    return to_numpy(output), [to_numpy(value) for value in (of_x, *of_weights)]


@lru_cache(maxsize=1)
def _jax_pass(layer, training):
    """The pass, compiled; kept for a layer that is run several times."""
    import jax

    def run(x, weights, state, cotangent):
        output, state = layer.stateless_call(weights, state, x, training=training)
        return (output * cotangent).sum(), (output, state)

    return jax.jit(jax.grad(run, argnums=(0, 1), has_aux=True))


def _torch(layer, x, cotangent, training):
    import torch

    x = torch.tensor(x, requires_grad=True)
    output = layer(x, training=training)
    weights = [variable.value for variable in layer.trainable_variables]
    found = torch.autograd.grad((output * torch.from_numpy(cotangent)).sum(), [x, *weights], materialize_grads=True)
    return output.detach().numpy(), [value.numpy() for value in found]


_PASSES = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
