"""The main jobs as functions: what ``mgu fit`` and ``mgu compare`` do, asked from Python."""

import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

import mgu
from mgu.cli import main
from mgu.errors import InputError
from mgu.model import read_model
from mgu.study.ledger import read_study


def test_fit_gives_the_model_that_the_command_line_gives(tmp_path, capsys):
    model = mgu.fit("wine", epochs=4, gates="squeeze", seed=3, out=tmp_path / "a", command="mgu fit wine")
    arguments = ["fit", "wine", "--epochs", "4", "--gates", "squeeze", "--seed", "3", "--out", str(tmp_path / "b")]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    printed = capsys.readouterr().out
    other = read_model(tmp_path / "b")
    assert model.card["metrics"] == other.card["metrics"]
    assert model.card["training"] == other.card["training"]
    assert model.card["soft"]["unit"]["gates"] == other.card["soft"]["unit"]["gates"] == "squeeze"
    assert model.card["command"] == "mgu fit wine"
    for name, value in model.network.state_dict().items():
        assert np.array_equal(value, other.network.state_dict()[name])
    assert printed.startswith("Data: wine, ")
    assert model.folder == tmp_path / "a"


def test_compare_gives_the_study_and_goes_on_with_it(tmp_path, capsys):
    options = {"limit": 60, "epochs": 2, "only": ["TAB_00[12]", "*MGU*"], "verbose": False}
    study = mgu.compare("wine", out=tmp_path / "s", **options)
    assert capsys.readouterr().out == ""
    assert repr(study) == f"<Study {tmp_path / 's'}: 3 of 3 trials have ended (3 finished)>"
    assert (tmp_path / "s" / "report.html").is_file()
    assert [r.result for r in read_study(study.folder).records] == [r.result for r in study.view.records]
    again = mgu.compare("wine", out=tmp_path / "s", **options)
    assert [r.result for r in again.view.records] == [r.result for r in study.view.records]
    told = mgu.compare("wine", out=tmp_path / "s", **{**options, "verbose": True})
    assert "TAB_MGU_001" in capsys.readouterr().out
    assert len(told.view.records) == 3


@pytest.mark.parametrize("job", [mgu.fit, mgu.compare])
def test_an_unknown_option_is_refused_with_those_there_are(job, tmp_path):
    with pytest.raises(InputError, match=r"unknown option 'epoch'; .*target, .*epochs, .*gates"):
        job("wine", epoch=3, out=tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_they_are_imported_once_they_are_asked_for():
    script = "import sys, mgu; assert 'torch' not in sys.modules; mgu.fit, mgu.compare; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr
    with pytest.raises(AttributeError, match="no attribute 'train'"):
        _ = mgu.train
