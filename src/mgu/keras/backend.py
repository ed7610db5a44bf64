"""Keras with the backend that it is to have, or what to do where it cannot be imported."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from mgu.errors import InputError

#: The backends by name, and what pip installs to have Keras on each.
BACKENDS: Mapping[str, str] = {"tensorflow": '"mgu[keras]"', "jax": '"mgu[jax]"', "torch": "mgu keras"}
VARIABLE = "KERAS_BACKEND"


@contextmanager
def with_remedy() -> Iterator[None]:
    """Where Keras, which imports its backend, cannot be imported within, say what to do.

    Raises ModuleNotFoundError where Keras or the backend is not installed, with what to install, and InputError where
    the environment names a backend that Keras does not have.
    """
    backend = os.environ.get(VARIABLE) or "tensorflow"
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in ("keras", *BACKENDS):
            raise
        wanted = error.name if error.name in BACKENDS else backend
        install = BACKENDS.get(wanted, BACKENDS["tensorflow"])
        raise ModuleNotFoundError(f"mgu.keras needs {error.name}: pip install {install}", name=error.name) from None
    except ValueError:
        check_backend(backend)
        raise


def check_backend(name: str) -> None:
    """Raises InputError for a backend that the Keras half does not run on."""
    if name not in BACKENDS:
        raise InputError(f"Keras backend {name!r} is not supported; set {VARIABLE} to one of {', '.join(BACKENDS)}")
