"""What is said where Keras or its backend is not installed, or the backend is not one: each in a process of its own."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

#: Makes the module that is its first argument impossible to import, as if it were not installed.
BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
"""
COMPARE = (
    BLOCKED + "from mgu.cli import main; main(['compare', 'digits', '--framework', 'keras', '--out', sys.argv[2]])"
)

pytestmark = pytest.mark.skipif(find_spec("keras") is None, reason="keras is not installed")


def run(script, backend, folder, missing=""):
    environment = os.environ | {"KERAS_BACKEND": backend, "KERAS_HOME": str(folder)}
    command = [sys.executable, "-c", script, missing, str(folder / "study")]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("missing", "backend", "install"),
    [
        ("keras", "", '"mgu[keras]"'),
        ("keras", "jax", '"mgu[jax]"'),
        ("keras", "torch", "mgu keras"),
        ("tensorflow", "tensorflow", '"mgu[keras]"'),
        ("jax", "jax", '"mgu[jax]"'),
        ("torch", "torch", "mgu keras"),
    ],
)
def test_what_is_missing_is_named_with_what_to_install(missing, backend, install, tmp_path):
    done = run(BLOCKED + "import mgu.keras", backend, tmp_path, missing)
    assert done.stderr.splitlines()[-1] == f"ModuleNotFoundError: mgu.keras needs {missing}: pip install {install}"
    assert "During handling" not in done.stderr


def test_another_missing_module_is_named_as_it_is(tmp_path):
    done = run(BLOCKED + "import mgu.keras", "tensorflow", tmp_path, "numpy")
    assert done.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'numpy'"


def test_the_command_line_says_what_to_install(tmp_path):
    done = run(COMPARE, "jax", tmp_path, "jax")
    assert done.returncode == 2
    assert done.stderr == 'error: --framework keras: mgu.keras needs jax: pip install "mgu[jax]"\n'


@pytest.mark.parametrize("backend", ["foo", "numpy"])
def test_a_backend_that_is_none_is_refused_with_those_that_are(backend, tmp_path):
    """Keras has NumPy as a backend, which trains nothing."""
    done = run(COMPARE, backend, tmp_path)
    assert done.returncode == 2
    allowed = "set KERAS_BACKEND to one of tensorflow, jax, torch"
    assert done.stderr == f"error: Keras backend {backend!r} is not supported; {allowed}\n"
