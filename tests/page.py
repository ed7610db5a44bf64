"""Run the code of a page of the documentation, in order, as one program: ``python tests/page.py PAGE``.

Where a block of text stands right behind a block of Python, it is what that prints. With ``--commands`` the mgu
commands of ``SHORT`` on the page's consoles are run too, and print what is below them.
"""

import contextlib
import io
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from printed import prints

#: The commands that take seconds on small data.
SHORT = ("fit", "predict", "explain", "harden", "export")
_FENCED = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the line of the page where the text begins."""

    language: str
    text: str
    line: int
    follows: bool  # nothing but blank lines is between it and the block before


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a page of Markdown."""
    end = 0
    for found in _FENCED.finditer(page):
        line = page.count("\n", 0, found.start(2)) + 1
        yield Block(found[1], found[2], line, not page[end : found.start()].strip())
        end = found.end()


def commands(block: Block) -> Iterator[tuple[list[str], str]]:
    """The commands of a console, as words, each with what is below it."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield shlex.split(command, comments=True), output


def run(page: Path, with_commands: bool = False) -> None:
    """Run a page. Raises what its blocks raise, and AssertionError where one prints other words than the page has."""
    names: dict[str, object] = {"__name__": "__main__"}
    printed, python = "", False
    for block in blocks(page.read_text(encoding="utf-8")):
        place = f"{page}, line {block.line}"
        if block.language == "python":
            out = io.StringIO()
            code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
            with contextlib.redirect_stdout(out):
                exec(code, names)
            printed = out.getvalue()
        elif block.language == "text" and block.follows and python:
            assert prints(printed, block.text), f"{place}: what is printed is\n{printed}"
        elif block.language == "console" and with_commands:
            for words, output in commands(block):
                if words[0] == "mgu" and words[1] in SHORT:
                    found = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, check=True)
                    assert prints(found.stdout, output), f"{place}: {shlex.join(words)} prints\n{found.stdout}"
        python = block.language == "python"


if __name__ == "__main__":
    run(Path(sys.argv[-1]), "--commands" in sys.argv)
