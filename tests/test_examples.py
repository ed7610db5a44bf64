"""Each example runs, in a process and a folder of its own, and prints what its docstring says."""

import ast
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent

import pytest

from printed import prints

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
LONGEST = 60


def said(script):
    """What a script says that it prints: all that is indented in its docstring."""
    tree = ast.parse(script.read_text(encoding="utf-8"))
    lines = (ast.get_docstring(tree, clean=False) or "").splitlines()
    return dedent("\n".join(line for line in lines if line.startswith("    ")))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_prints_what_it_says(script, tmp_path):
    environment, strict = dict(os.environ), ["-W", "error"]
    if script.stem.startswith("keras"):
        for module in ("keras", "tensorflow"):
            if find_spec(module) is None:
                pytest.skip(f"{module} is not installed")
        # TensorFlow's own warnings are not the example's.
        environment |= {"KERAS_BACKEND": "tensorflow", "KERAS_HOME": str(tmp_path / "keras")}
        strict = []
    command = [sys.executable, *strict, str(script)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert said(script), "its docstring does not say what it prints"
    assert prints(done.stdout, said(script)), done.stdout
    assert not list(tmp_path.glob("*.*")), "it leaves files behind"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_is_short_and_listed(script):
    code = script.read_text(encoding="utf-8").split('"""', 2)[2].splitlines()
    assert sum(bool(line.strip()) for line in code) < LONGEST
    assert f"({script.name})" in (EXAMPLES / "README.md").read_text(encoding="utf-8")
