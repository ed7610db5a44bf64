"""The tests of the Keras half, tests/keras and tests/parity, on each of its backends, each in a process of its own.

To run some of them by hand: KERAS_BACKEND=tensorflow pytest tests/keras.
"""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: Keras turns tensors into arrays in a way that NumPy 2 deprecates for torch's.
WARNINGS = ("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning",)

#: JAX compiles for every new shape: it is told not to take long over it.
SETTINGS = {"XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"}
SETTINGS |= {"TF_CPP_MIN_LOG_LEVEL": "2"}


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_the_keras_half_on(backend, tmp_path):
    for module in ("keras", backend):
        if find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    environment = os.environ | SETTINGS | {"KERAS_BACKEND": backend, "KERAS_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    filters = [part for warning in WARNINGS for part in ("-W", warning)]
    done = subprocess.run(
        [*command, *filters, "tests/keras", "tests/parity"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
