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
}
CALLS = {"eval", "exec", "compile", "__import__", "torch.load", "np.load", "numpy.load", "pd.read_pickle", "os.system"}
#: Modules by file: what a study's own processes say to each other on a cluster.
BETWEEN_PROCESSES = {"study/on_ray.py": {"pickle"}, "study/ray_node.py": {"pickle"}}
#: By file, the calls that are none of these: nested functions of that name, and arrays without objects.
ALLOWED = {"data/cache.py": {"np.load"}, "data/mapped.py": {"np.load"}}


def called(node):
    """The dotted name of what a call calls; nothing for a method of something that has no name."""
    return ast.unparse(node.func) if isinstance(node.func, ast.Name | ast.Attribute) else ""


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_data_becomes_code(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert not imported & MODULES - BETWEEN_PROCESSES.get(path.relative_to(SOURCE).as_posix(), set())
    calls = {called(node) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not calls & CALLS - ALLOWED.get(path.relative_to(SOURCE).as_posix(), set())


@pytest.mark.parametrize("path", ["data/cache.py", "data/mapped.py"])
def test_arrays_are_read_without_objects(path):
    tree = ast.parse((SOURCE / path).read_text(encoding="utf-8"))
    loads = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and called(node) == "np.load"]
    assert loads
    for load in loads:
        assert "allow_pickle=False" in ast.unparse(load)
