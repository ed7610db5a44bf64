"""What the documentation says is so: its code runs and prints what it says, its commands, files and names are there."""

import ast
import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from mgu.cli import main
from mgu.wiring import FORMS, Gate
from page import blocks

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def text_of(page):
    return page.read_text(encoding="utf-8")


def has_code(page):
    return any(block.language == "python" for block in blocks(text_of(page)))


def needed(page):
    """What the code of a page imports, and what that needs."""
    code = "\n".join(block.text for block in blocks(text_of(page)) if block.language == "python")
    names = set(re.findall(r"^(?:from|import) (\w+)", code, re.MULTILINE))
    return names | {"keras": {"tensorflow"}, "hardening": {"onnxruntime", "onnxscript"}}.get(page.stem, set())


def name_of(page):
    return page.stem


@pytest.mark.parametrize("page", [page for page in PAGES if has_code(page)], ids=name_of)
def test_its_code_runs_and_prints_what_it_says(page, tmp_path):
    environment = dict(os.environ)
    if page.stem == "keras":
        environment |= {"KERAS_BACKEND": "tensorflow", "KERAS_HOME": str(tmp_path / "keras")}
    for package in needed(page):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    flags = ["--commands"] if page.stem == "quickstart" else []
    command = [sys.executable, str(ROOT / "tests" / "page.py"), *flags, str(page)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def commands(page):
    """The mgu commands of a page, as lists of words."""
    for block in blocks(text_of(page)):
        if block.language in ("console", ""):
            for line in block.text.splitlines():
                words = shlex.split(line.removeprefix("$ "), comments=True)
                words = words[next((i for i, word in enumerate(words) if "=" not in word), 0) :]
                if words[:1] == ["mgu"] and words[1:2] != ["|"]:
                    yield words[1:]


@pytest.mark.parametrize("page", [page for page in PAGES if any(commands(page))], ids=name_of)
def test_its_commands_have_these_options(page):
    for name, *words in commands(page):
        assert name in main.commands, f"mgu {name}"
        options = {option for parameter in main.commands[name].params for option in parameter.opts}
        for word in words:
            assert not word.startswith("--") or word in {*options, "--help"}, f"mgu {name} {word}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_it_links_to_is_there(page):
    for target in re.findall(r"\]\(([^)#\s]+)", text_of(page)):
        assert "://" in target or (page.parent / target).exists(), target


SYMBOLS = {"activation": "A", "batch_norm": "BN", "layer_norm": "LN"}
GIVEN = {"x": "x", "linear": "L", "bypass": "t"}


def equations(form):
    """By gate, the line that the chain of a form has for it."""
    values, lines = dict(GIVEN), {}
    for node in FORMS[form]:
        if isinstance(node, Gate):
            number = len(lines) + 1
            left = f"y{chr(0x2080 + number)}" if number < 5 else "y"
            lines[node.name] = f"{left} = *g* · {values[node.open]} + (1 \u2212 *g*) · {values[node.closed]}"
            values[node.name] = left
        elif node.kind == "add":
            values[node.name] = f"({' + '.join(values[name] for name in node.inputs)})"
        elif node.name not in GIVEN:
            values[node.name] = f"{SYMBOLS[node.kind]}({values[node.inputs[0]]})"
    return lines


def test_the_equations_are_those_of_the_chain():
    page = text_of(ROOT / "docs" / "unit.md")
    code, other = equations("code"), equations("equations")
    assert list(code) == ["bn_order", "bn_ln", "norm", "residual", "skip"]
    for gate in code:
        assert f"| `{gate}` | {code[gate]} | {other[gate]} |" in page


@pytest.mark.parametrize("package", ["", "torch", "keras", "sklearn"])
def test_all_that_is_public_is_in_the_api(package):
    tree = ast.parse(text_of(ROOT / "src" / "mgu" / package / "__init__.py"))
    (names,) = (node.value for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == "__all__")
    page = text_of(ROOT / "docs" / "api.md")
    missing = [name for name in ast.literal_eval(names) if not re.search(rf"\b{name}\b", page)]
    assert missing in ([], ["__version__"])
