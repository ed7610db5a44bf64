"""Paths as people write them, and what is said when a command is stopped."""

import pytest

import mgu


def test_the_home_folder_is_meant_by_a_tilde(run, data, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    fitted = run("fit", data["shop"], "--epochs", 2, "--out=~/model")
    assert (fitted.exit_code, fitted.stdout.splitlines()[-1]) == (0, str(tmp_path / "model"))
    assert run("predict", "~/model", data["shop"], "--out=~/answers.csv").exit_code == 0
    assert (tmp_path / "answers.csv").is_file()
    assert mgu.fit(data["shop"], epochs=2, out="~/again", verbose=False).folder == tmp_path / "again"


@pytest.mark.parametrize(("command", "said"), [("fit", "stopped\n"), ("compare", "goes on from the last checkpoint")])
def test_being_stopped_says_what_is_kept(command, said, run, data, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(f"mgu.jobs.{command}", interrupted)
    done = run(command, data["shop"])
    assert done.exit_code == 130
    assert said in done.stderr


def test_what_is_imported_late_is_listed():
    assert {"fit", "compare", "MGUClassifier", "MGURegressor"} <= set(dir(mgu))
