"""The import floors: a file imports only from its own floor or a lower one, the lowest only the standard library."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "mgu"

FLOORS = {
    "__init__": 0,
    "errors": 0,
    "files": 0,
    "plain_json": 0,
    "spreadsheet": 0,
    "typed": 0,
    "wiring": 0,
    "layouts": 0,
    "spaces": 0,
    "torchrun": 0,
    "sizing": 1,
    "diagnosis": 1,
    "hardening": 1,
    "history": 1,
    "recipe": 1,
    "recorded": 1,
    "summary": 1,
    "bars": 3,
    "data": 2,
    "keras": 2,
    "measure": 2,
    "metrics": 2,
    "portable": 2,
    "torch": 2,
    "training": 3,
    "study": 3,
    "rivals": 3,
    "report": 3,
    "progress": 4,
    "saving": 4,
    "trial_job": 5,
    "workplaces": 4,
    "sklearn": 4,
    "comparison": 5,
    "model": 5,
    "tracking": 5,
    "jobs": 6,
    "cli": 7,
    "__main__": 7,
}
#: On one floor, who may import whom.
NEIGHBOURS = {
    ("layouts", "errors"),
    ("wiring", "errors"),
    ("hardening", "diagnosis"),
    ("recorded", "history"),
    ("hardening", "history"),
    ("summary", "diagnosis"),
    ("spaces", "errors"),
    ("spaces", "layouts"),
    ("spaces", "wiring"),
}
NEIGHBOURS |= {
    ("comparison", "trial_job"),
    ("__init__", "jobs"),  # once they are asked for
    ("__init__", "sklearn"),
    ("report", "study"),
    ("rivals", "study"),
    ("report", "rivals"),
    ("torch", "measure"),
    ("keras", "portable"),
    ("torch", "portable"),
    ("__main__", "cli"),
}


def room(path):
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path):
    """Every module that a file imports, at the top or in a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module


FILES = sorted(SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_run_downward(path):
    here = room(path)
    for module in imports(path):
        if module.split(".")[0] != "mgu":
            continue
        there = [*module.split("."), "__init__"][1]
        lower = FLOORS[there] < FLOORS[here]
        assert lower or there == here or (here, there) in NEIGHBOURS, f"{path} imports {module}"


@pytest.mark.parametrize("path", [p for p in FILES if FLOORS[room(p)] <= 1], ids=lambda p: str(p.relative_to(SOURCE)))
def test_the_lowest_floors_import_only_the_standard_library(path):
    for module in imports(path):
        assert module.split(".")[0] in {*sys.stdlib_module_names, "mgu"}, f"{path} imports {module}"


@pytest.mark.parametrize("package", ["study", "rivals", "report", "data"])
def test_what_knows_no_framework(package):
    for path in (SOURCE / package).rglob("*.py"):
        for module in imports(path):
            assert module.split(".")[0] not in {"torch", "keras", "tensorflow", "jax"}, f"{path} imports {module}"
            assert not module.startswith(("mgu.torch", "mgu.keras", "mgu.training")), f"{path} imports {module}"


@pytest.mark.parametrize(("half", "other"), [("keras", "torch"), ("torch", "keras")])
def test_no_half_imports_the_other(half, other):
    for path in (SOURCE / half).rglob("*.py"):
        for module in imports(path):
            assert module.split(".")[0] != other, f"{path} imports {module}"
            assert module.split(".")[:2] != ["mgu", other], f"{path} imports {module}"


def test_importing_mgu_imports_no_framework():
    heavy = "{'torch', 'keras', 'tensorflow', 'jax', 'numpy', 'datasets', 'sklearn', 'pandas', 'matplotlib', 'rich'}"
    script = f"import sys, mgu; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
