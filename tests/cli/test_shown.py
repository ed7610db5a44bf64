"""What is printed and written of names that a stranger chose: no terminal obeys them, no spreadsheet works them out."""

import csv
import hashlib
import json
import shutil

import pytest

CLASSES = ["=1+1", "\x1b[2J\x07\ud800"]


@pytest.fixture
def folder(models, tmp_path):
    """The model of the shop, its classes renamed by someone who knows the format."""
    folder = shutil.copytree(models["shop"][0], tmp_path / "m")
    content = json.loads((folder / "model.json").read_text())
    del content["checksum"]
    content["card"]["preprocessing"]["classes"] = CLASSES
    content["checksum"] = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    (folder / "model.json").write_text(json.dumps(content))
    return folder


def test_answers_are_text_in_a_file(folder, run, data, tmp_path):
    assert run("predict", folder, data["shop"], "--out", tmp_path / "a.csv").exit_code == 0
    header, *rows = csv.reader((tmp_path / "a.csv").read_text().splitlines())
    assert header[2] == "p(=1+1)"
    assert {row[1] for row in rows} == {"'=1+1", "\x1b[2J\x07\\ud800"}


def test_answers_move_no_cursor(folder, run, data):
    done = run("predict", folder, data["shop"])
    assert done.exit_code == 0
    assert "\\x1b[2J\\x07\\ud800" in done.stdout
    assert not {"\x1b", "\x07"} & set(done.output)


def test_errors_move_no_cursor(run, data, tmp_path):
    (tmp_path / "a\x1b[2J" / "b").mkdir(parents=True)
    done = run("fit", data["shop"], "--out", tmp_path / "a\x1b[2J")
    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: {tmp_path}/a\\x1b[2J is there already")
