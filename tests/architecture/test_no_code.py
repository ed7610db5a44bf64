"""Nothing that is read is run: no file of the package can turn data into code."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "mgu"

#: Modules that build objects, or code, from what a file says.
MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "cloudpickle",
    "dill",
    "joblib",
    "marshal",
    "shelve",
    "yaml",
    "runpy",
    "code",
    "ctypes",
    "subprocess",
}
#: Functions that do so, by the names that they have in their modules.
CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "importlib.import_module",
    "torch.load",
    "torch.jit.load",
    "torch.hub.load",
    "numpy.load",
    "pandas.read_pickle",
    "os.system",
    "os.popen",
}
#: Modules by file: what a study's own processes say to each other on a cluster, the package's own kernel and its
#: compiler, and what tells of the machine.
ALLOWED_MODULES = {
    "study/on_ray.py": {"pickle"},
    "study/ray_node.py": {"pickle"},
    "torch/native.py": {"ctypes", "subprocess"},
    "torch/tail.py": {"ctypes"},
    "measure/environment.py": {"subprocess"},
}
#: By file, the calls that are none of these: arrays without objects, and modules that the package names itself.
ALLOWED_CALLS = {
    "data/cache.py": {"numpy.load"},
    "data/mapped.py": {"numpy.load"},
    "__init__.py": {"importlib.import_module"},
    "torch/onnx_file.py": {"importlib.import_module"},
    "training/frameworks.py": {"importlib.import_module"},
}


def imports(tree):
    """By the name that it has in a file, what that imports: "np" is "numpy", "load" may be "torch.load"."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]
                found[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return found


def used(tree):
    """The dotted names of what a file uses, with its modules by their own names."""
    known = imports(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
            first, dot, rest = ast.unparse(node).partition(".")
            yield known.get(first, first) + dot + rest


def called(node):
    """The dotted name of what a call calls; nothing for a method of something that has no name."""
    return ast.unparse(node.func) if isinstance(node.func, ast.Name | ast.Attribute) else ""


def forbidden(tree):
    """The modules and the functions of a file that can turn data into code."""
    modules = {name.split(".")[0] for name in imports(tree).values()} & MODULES
    return modules, set(used(tree)) & CALLS


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_data_becomes_code(path):
    name = path.relative_to(SOURCE).as_posix()
    modules, calls = forbidden(ast.parse(path.read_text(encoding="utf-8")))
    assert not modules - ALLOWED_MODULES.get(name, set())
    assert not calls - ALLOWED_CALLS.get(name, set())


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import ctypes.util",
        "from subprocess import run as start",
        "eval(text)",
        "import torch\ntorch.load(path)",
        "import torch as t\nt.jit.load(path)",
        "from torch import load\nload(path)",
        "from torch import load as read\nread(path)",
        "from torch.jit import load\nload(path)",
        "import numpy as np\nread = np.load",
        "import pandas\npandas.read_pickle(path)",
        "import importlib\nimportlib.import_module(name)",
        "from importlib import import_module\nimport_module(name)",
        "import os\nos.system(text)",
    ],
)
def test_what_becomes_code_is_seen(source):
    assert any(forbidden(ast.parse(source)))


@pytest.mark.parametrize("path", ["data/cache.py", "data/mapped.py"])
def test_arrays_are_read_without_objects(path):
    tree = ast.parse((SOURCE / path).read_text(encoding="utf-8"))
    loads = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and called(node) == "np.load"]
    assert loads
    for load in loads:
        assert "allow_pickle=False" in ast.unparse(load)
