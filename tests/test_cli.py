"""The command line as people type it: what it prints, where, and how it ends."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from rich.table import Table

from cervigrams import write_cases
from mgu.cli import main
from mgu.study.ledger import read_study


def mgu(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_space_as_csv_and_json_and_table():
    done = mgu("space", "mnist", "--format", "csv")
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert done.exit_code == 0
    assert list(rows[0]) == ["model_name", "layout", "norm", "residual", "model_size"]
    assert len(rows) == 25
    assert rows[0] == {
        "model_name": "MNI_001",
        "layout": "[4, 2, 2, inf, 2]",
        "norm": "ln",
        "residual": "0",
        "model_size": "98922",
    }
    assert (rows[-1]["model_name"], rows[-1]["norm"], rows[-1]["residual"]) == ("MNI_MGU_001", "N/A", "N/A")
    as_json = json.loads(mgu("space", "mnist", "--format", "json").stdout)
    assert [{name: str(value) for name, value in row.items()} for row in as_json] == rows
    table = mgu("space", "mnist").stdout
    assert all(row["model_name"] in table for row in rows)
    replica = mgu(
        "space", "mnist", "--gates", "replica", "--bypass", "replica", "--no-residual-gate", "--format", "csv"
    ).stdout
    assert replica.splitlines()[-1].endswith(",586602")


def test_compare_prints_a_line_a_trial_the_table_and_the_files(tmp_path):
    arguments = ["compare", "digits", "--limit", 200, "--epochs", 1, "--only", "DIG_007,*MGU*", "--out", tmp_path / "s"]
    done = mgu(*arguments)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].startswith("  1/2 DIG_007 seed 0  validation ")
    assert "left about" in lines[0]
    assert lines[-3:] == [str(tmp_path / "s" / name) for name in ("results.csv", "report.md", "report.html")]
    assert "◀ MGU" in done.stdout
    quiet = mgu(*arguments, "--quiet")
    assert quiet.stdout.splitlines() == lines[-3:]


def test_status_and_report_of_a_study(tmp_path):
    folder = tmp_path / "s"
    mgu("compare", "digits", "--limit", 200, "--epochs", 1, "--only", "DIG_007,*MGU*", "--out", folder, "--quiet")
    assert mgu("status", folder).stdout.startswith("2 of 2 trials have ended (2 finished)\n")
    written = {path.name: path.read_bytes() for path in folder.glob("re*")}
    for name in written:
        (folder / name).unlink()
    again = mgu("report", folder)
    assert [line for line in again.stdout.splitlines() if not (tmp_path / line).is_file()] == []
    assert {path.name: path.read_bytes() for path in folder.glob("re*")} == written
    for command in ("status", "report"):
        done = mgu(command, tmp_path)
        assert (done.exit_code, done.stdout) == (2, "")
        assert "no study here (ledger.sqlite is missing)" in done.stderr


def test_dry_run_trains_nothing_and_writes_nothing(tmp_path):
    done = mgu("compare", "digits", "--dry-run", "--seeds", 2, "--out", tmp_path / "s")
    assert done.exit_code == 0
    assert "50 trials" in done.stdout
    assert done.stdout.count("pending") == 50
    assert not (tmp_path / "s").exists()


def write_images(folder, names=("cat", "dog"), count=30):
    rng = np.random.default_rng(0)
    for label in names:
        (folder / label).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(rng.integers(0, 255, (8, 8), dtype=np.uint8)).save(folder / label / f"{i}.png")
    return folder


def unreadable_image(path):
    write_images(path / "pets")
    (path / "pets" / "cat" / "3.png").write_bytes(b"\x89PNG but no more")
    return [path / "pets"], "3.png"


def one_class(path):
    return [write_images(path / "pets", ["cat"])], "one folder a class, two or more"


def infinity_in_a_table(path):
    rows = [f"{i},{i % 7},{'ab'[i % 2]}" for i in range(60)]
    rows[4] = "4,inf,a"
    (path / "t.csv").write_text("\n".join(["u,v,target", *rows]))
    return [path / "t.csv"], "row 6"


def wrong_column(path):
    (path / "t.csv").write_text("\n".join(["u,v,kind", *(f"{i},{i % 7},{'ab'[i % 2]}" for i in range(60))]))
    return [path / "t.csv", "--target", "sort"], "kind"


def layout_that_does_not_fit(path):
    return ["digits", "--space", "mnist"], "does not fit inputs of shape (1, 8, 8)"


def unwritable_folder(path):
    (path / "file").write_text("in the way")
    return ["digits", "--out", path / "file" / "study"], "cannot be written"


def other_settings(path):
    assert mgu("compare", "digits", "--epochs", 1, "--only", "DIG_024", "--out", path / "s").exit_code == 0
    return ["digits", "--epochs", 2, "--out", path / "s"], "training.epochs was 1, now 2"


def other_settings_dry(path):
    assert mgu("compare", "digits", "--epochs", 1, "--only", "DIG_024", "--out", path / "s").exit_code == 0
    return ["digits", "--epochs", 2, "--out", path / "s", "--dry-run"], "training.epochs was 1, now 2"


BAD = {
    "unknown data": lambda path: (["digist"], "digits"),
    "missing folder": lambda path: ([path / "nowhere"], "nowhere"),
    "wrong column": wrong_column,
    "unreadable image": unreadable_image,
    "one class": one_class,
    "infinity in a table": infinity_in_a_table,
    "layout that does not fit": layout_that_does_not_fit,
    "unwritable folder": unwritable_folder,
    "other settings": other_settings,
    "other settings, dry run": other_settings_dry,
    "short prior": lambda path: (["digits", "--prior", "2,2"], "prior has 2 numbers; it needs 5"),
    "unknown space": lambda path: (["digits", "--space", "digist"], "unknown space"),
    "unknown gates": lambda path: (["digits", "--gates", "soft"], "unknown gates 'soft'"),
    "unknown device": lambda path: (["digits", "--device", "tpu"], "device 'tpu' is not here"),
    "unknown processor": lambda path: (["digits", "--processors", "rms"], "unknown processor 'rms'; allowed: rms_norm"),
    "a norm over positions that are not there": lambda path: (
        ["iris", "--processors", "rms_norm,instance_norm"],
        "InstanceNorm: values of shape",
    ),
    "a prior without the processors": lambda path: (
        ["digits", "--processors", "squeeze_excite", "--prior", "2,2,2,2,-2"],
        "it needs 6, one for each of bn_order, bn_ln, norm, with_squeeze_excite, residual, skip",
    ),
    "no such model": lambda path: (["digits", "--only", "MNI_001"], "no model matches 'MNI_001'"),
    "no such rival": lambda path: (
        ["digits", "--rivals", "grid,gird"],
        "unknown rival 'gird'; allowed: all, grid, parallel",
    ),
    "no budget": lambda path: (["digits", "--time-budget", "0"], "a budget of time must be above 0; 0.0 was given"),
    "no such place, dry run": lambda path: (["digits", "--gpus-per-trial", "0.5", "--dry-run"], "are for --on ray"),
    "no such country": lambda path: (["digits", "--country", "DE"], "DE"),
    "no epochs": lambda path: (["digits", "--epochs", "0"], "epochs must be at least 1"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_plain_message_and_exit_code_2(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MGU_CACHE", str(tmp_path / "cache"))
    arguments, message = BAD[case](tmp_path)
    done = mgu("compare", *arguments)
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert "Traceback" not in done.output
    assert "validation" not in done.stdout  # nothing was trained


def test_rivals_are_no_part_of_what_a_study_is(tmp_path):
    space = tmp_path / "two.toml"
    space.write_text(
        'prefix = "TWO"\ninput_shape = [1, 8, 8]\nclasses = 10\nlayouts = [[2, 1, 2, 2, 2]]\n'
        'mgu_layouts = [[2, 1, 2, 2, 2]]\ncells = ["ln", "no_norm"]\nstart_filters = 4\n'
    )
    arguments = ["compare", "digits", "--limit", 200, "--epochs", 2, "--space", space, "--out", tmp_path / "s"]
    first = mgu(*arguments, "--rivals", "grid,halving")
    assert first.exit_code == 0, first.output
    costs = (tmp_path / "s" / "search_costs.csv").read_text()
    assert [line.split(",")[0] for line in costs.splitlines()[-2:]] == ["grid", "halving"]
    assert "Search costs, halving: " in first.stdout
    assert "Against successive halving: " in first.stdout
    again = mgu(*arguments, "--rivals", "")
    assert again.exit_code == 0, again.output
    assert "1/3" not in again.stdout  # nothing was trained again
    assert "Search costs" not in (tmp_path / "s" / "report.md").read_text()


def test_trained_rivals_alone_leave_all_searches_in(tmp_path):
    only = ["--only", "DIG_007, DIG_015", "--out", tmp_path / "s", "--limit", 200, "--epochs", 1]
    done = mgu("compare", "digits", *only, "--rivals", "switchable")
    assert done.exit_code == 0, done.output
    names = ["DIG_007", "DIG_015"]
    assert [record.trial.model_name for record in read_study(tmp_path / "s").records] == names
    for arguments, searched in ((["switchable"], True), ([""], False), (["switchable,grid"], True)):
        assert mgu("report", tmp_path / "s", "--rivals", *arguments).exit_code == 0
        assert ("Search costs" in (tmp_path / "s" / "report.md").read_text()) == searched
        assert (tmp_path / "s" / "search_costs.csv").exists() == searched
    costs = (tmp_path / "s" / "search_costs.csv").read_text()
    assert [line.split(",")[0] for line in costs.splitlines()[1:]] == ["grid"]


def test_only_mgu_is_bold(tmp_path, monkeypatch):
    shown = {}
    monkeypatch.setattr(Table, "add_row", lambda self, *cells, style="": shown.update({cells[0]: style}))
    models = ["--only", "TAB_MLP_001,TAB_001,*MGU*", "--rivals", "mlp"]
    done = mgu("compare", "iris", *models, "--dry-run", "--out", tmp_path)
    assert done.exit_code == 0, done.output
    assert {name for name, style in shown.items() if style == "bold"} == {n for n in shown if "MGU" in n}
    assert "TAB_MLP_001" in shown


def test_cases_are_kept_together_and_the_report_says_so(tmp_path):
    cases = write_cases(tmp_path / "cases", 24, 16)
    arguments = ["compare", cases, "--group", "case_id", "--keep", "stage=acetic_acid", "--keep", "stage=iodine"]
    arguments += ["--space", "digits", "--only", "*MGU*", "--epochs", 1, "--batch-size", 8, "--note", "Drawn."]
    done = mgu(*arguments, "--image-size", "16,18", "--out", tmp_path / "s", "--quiet")
    assert done.exit_code == 0, done.output
    view = read_study(tmp_path / "s")
    data = view.settings["data"]
    assert data["note"] == (
        "Drawn. Only rows with stage acetic_acid or iodine. Images resized to 16 x 18 (height x width). "
        "Split by case_id: each is in one split alone."
    )
    assert data["input_shape"] == [3, 16, 18]
    assert (data["train"], data["validation"], data["test"]) == (15 * 6, 4 * 6, 5 * 6)
    assert sum(map(sum, view.records[0].result.test_case_answers.confusion)) == 5
    assert data["note"] in (tmp_path / "s" / "report.md").read_text()
    other = mgu(*arguments[:4], *arguments[6:], "--image-size", "16,18", "--out", tmp_path / "s", "--quiet")
    assert other.exit_code == 2
    assert "data.checksum was" in other.stderr
    for wrong, message in (("--keep", "is not COLUMN=VALUE"), ("--image-size", "is not HEIGHT,WIDTH")):
        done = mgu("compare", cases, wrong, "acetic_acid")
        assert (done.exit_code, message in done.stderr) == (2, True)


def test_a_spent_budget_stops_the_study_and_says_how_to_go_on(tmp_path):
    only = ["--only", "DIG_007,DIG_015", "--out", tmp_path / "s", "--rivals", ""]
    arguments = ["compare", "digits", "--limit", 200, "--epochs", 1, *only]
    done = mgu(*arguments, "--time-budget", "1e-6")
    assert done.exit_code == 0, done.output
    assert "stopped: the budget of 1e-06 h is spent" in done.stdout
    assert "the same command with a larger budget goes on" in done.stdout
    assert [record.status for record in read_study(tmp_path / "s").records] == ["finished", "pending"]
    assert mgu(*arguments, "--time-budget", "1").exit_code == 0
    assert [record.status for record in read_study(tmp_path / "s").records] == ["finished", "finished"]


def test_a_budget_of_energy_needs_a_meter(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "codecarbon", None)
    done = mgu("compare", "digits", "--energy-budget", "1", "--out", tmp_path / "s")
    assert done.exit_code == 2
    assert "there is no meter for a budget of energy" in done.stderr


def test_nothing_finished_is_exit_code_1(tmp_path):
    done = mgu("compare", "digits", "--limit", 200, "--lr", 1e30, "--only", "DIG_024", "--out", tmp_path / "s")
    assert done.exit_code == 1
    assert "no trial has finished" in done.stderr


def test_a_prior_as_numbers(tmp_path):
    arguments = ["compare", "digits", "--limit", 200, "--epochs", 1, "--only", "*MGU*", "--prior", "1,1,1,1,-1"]
    assert mgu(*arguments, "--out", tmp_path / "s").exit_code == 0
    assert "[1.0, 1.0, 1.0, 1.0, -1.0]" in (tmp_path / "s" / "report.md").read_text().replace("\\", "")


def test_processors_by_name_are_trained_and_recorded(tmp_path):
    processors = ("--processors", "rms_norm, squeeze_excite")
    arguments = ["compare", "digits", "--limit", 200, "--epochs", 1, "--only", "*MGU*", *processors]
    done = mgu(*arguments, "--out", tmp_path / "s")
    assert done.exit_code == 0, done.output
    assert "rms_norm" in (tmp_path / "s" / "report.md").read_text().replace("\\", "")
    assert read_study(tmp_path / "s").settings["unit"]["processors"] == ["rms_norm", "squeeze_excite"]
    again = mgu(*arguments, "--out", tmp_path / "s")
    assert again.exit_code == 0, again.output


def test_a_space_is_larger_by_the_weights_of_the_processors():
    """Digits' MGU network has 16, 32, 64 and 128 channels; channel gates have a weight a channel."""
    sizes = {}
    for names in ("", "rms_norm", "group_norm", "squeeze_excite"):
        done = mgu("space", "digits", "--gates", "channel", "--processors", names, "--format", "json")
        sizes[names] = json.loads(done.stdout)[-1]["model_size"]
    channels = (16, 32, 64, 128)
    assert sizes["rms_norm"] - sizes[""] == sum(2 * c for c in channels)
    assert sizes["group_norm"] - sizes[""] == sum(3 * c for c in channels)
    widths = (4, 4, 4, 8)
    excite = sum(2 * c * w + c + w + c for c, w in zip(channels, widths, strict=True))
    assert sizes["squeeze_excite"] - sizes[""] == excite


def test_as_a_module():
    done = subprocess.run([sys.executable, "-m", "mgu", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("mgu, version 0.")
