"""What everybody gets who imports or installs the package."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import mgu

ROOT = Path(__file__).parents[1]


def run(*arguments):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True).stdout


def test_importing_it_imports_nothing_but_the_standard_library():
    code = (
        "import sys; before = set(sys.modules); import mgu; "
        "print(sorted({name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names))"
    )
    assert run("-c", code).strip() == "['mgu']"


def test_there_is_one_version():
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert mgu.__version__ == version("mgu") == cited[1]
    assert run("-m", "mgu", "--version").split()[-1] == mgu.__version__


def test_every_extra_for_users_is_in_all():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (everything,) = extras["all"]
    assert set(everything.removeprefix("mgu[").removesuffix("]").split(",")) == extras.keys() - {"all", "dev", "docs"}


def test_its_types_are_for_others_too():
    assert Path(mgu.__file__).with_name("py.typed").is_file()
