"""What the documentation says is so: its code runs and prints what it says, its commands, files and names are there."""

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


def name_of(page):
    return page.stem


@pytest.mark.parametrize("page", filter(has_code, PAGES), ids=name_of)
def test_its_code_runs_and_prints_what_it_says(page, tmp_path):
    environment = dict(os.environ)
    for module in re.findall(r"pip install .?mgu\[(\w+)\]", text_of(page)):
        package = {"energy": "codecarbon"}.get(module, module)
        if package in ("keras", "onnx") and find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    if page.stem == "keras":
        environment |= {"KERAS_BACKEND": "tensorflow", "KERAS_HOME": str(tmp_path / "keras")}
        if find_spec("tensorflow") is None:
            pytest.skip("tensorflow is not installed")
    command = [sys.executable, str(ROOT / "tests" / "page.py"), str(page)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def commands(page):
    """The mgu commands of a page, as lists of words."""
    for block in blocks(text_of(page)):
        if block.language in ("console", ""):
            for line in block.text.splitlines():
                words = shlex.split(line.removeprefix("$ "), comments=True)
                words = words[next((i for i, word in enumerate(words) if "=" not in word), 0) :]
                if words[:1] == ["mgu"]:
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


def equation(gate, values):
    """A gate's line of the page: what it mixes, in the words of the page."""
    return f"*g* · {values[gate.open]} + (1 − *g*) · {values[gate.closed]}"
