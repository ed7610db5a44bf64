"""A Keras training that goes on from a checkpoint ends bit for bit as one that was never stopped."""

import keras
import pytest

from resuming import MGU, stopped_after_steps


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="it compiles each of five trainings anew, for a minute")
def test_going_on_in_the_soft_and_in_the_plain_network_gives_the_same_bits(tmp_path):
    stopped_after_steps(
        MGU,
        tmp_path,
        lambda network: network.get_weights(),
        lambda: keras.utils.set_random_seed(99),  # the state of random numbers is the checkpoint's
        lambda steps: (1, 7, steps),
        framework="keras",
    )
