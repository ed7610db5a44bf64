"""A study in MLflow, read back by MLflow's client."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient

from mgu.cli import main
from mgu.errors import InputError
from mgu.history import Result
from mgu.study.ledger import Ledger, read_study
from mgu.tracking.mlflow import KEY, Exported, export_study
from samples import RESULT, SETTINGS, TRIALS

#: What MLflow asks of SQLAlchemy, and SQLAlchemy means to take away.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies") / "digits"
    arguments = ("--limit", "200", "--epochs", "3", "--only", "DIG_007,*MGU*", "--out", str(folder), "--quiet")
    done = CliRunner().invoke(main, ["compare", "digits", *arguments])
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    """One database, which takes seconds to make, for an experiment a test."""
    folder = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)  # where MLflow keeps the artifacts of a database in a file
        yield f"sqlite:///{folder / 'm.db'}"


def runs(uri, experiment):
    client = MlflowClient(uri)
    found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    return {run.info.run_name: run for run in found}


def test_each_trial_is_a_run_and_a_second_time_adds_nothing(study, uri, tmp_path):
    done = CliRunner().invoke(main, ["mlflow", str(study), "--uri", uri])
    assert (done.exit_code, done.stdout) == (0, f"3 runs written to {uri}, 0 were there\n"), done.output
    found, records = runs(uri, "digits"), read_study(study).records
    assert found.keys() == {"DIG_007-seed0", "DIG_MGU_001-seed0", "DIG_MGU_001 hardened-seed0"}
    client = MlflowClient(uri)
    for record in (*records, *(r.hardened for r in records if r.hardened)):
        run, result = found[f"{record.trial.model_name}-seed0"], record.result
        assert run.info.status == "FINISHED"
        assert run.info.end_time - run.info.start_time == int(1000 * result.tts_s)
        params = run.data.params
        assert (params["layout"], params["norm"]) == (record.trial.layout, record.trial.norm)
        assert (params["epochs"], params["lr"], params["batch_size"], params["seed"]) == ("3", "0.01", "64", "0")
        assert params.get("unit.gates") == ("channel" if record.trial.is_mgu else None)
        for name, field in {"loss/train": "train_loss", "acc/validation": "val_score"}.items():
            told = [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, name)]
            assert told == [(e.epoch, getattr(e, field)) for e in result.history]
        assert run.data.metrics["acc/test"] == result.test_score
        assert run.data.metrics["seconds/all"] == result.tts_s
        assert run.data.metrics["operations/all"] == result.run_flops.every
        assert run.data.metrics["kwh/estimated"] == pytest.approx(result.usage.estimated_kwh)
        tags = run.data.tags
        assert (tags["model_name"], tags["seed"], tags["status"]) == (record.trial.model_name, "0", "finished")
        assert (tags["framework"], tags["data_checksum"]) == ("torch", read_study(study).settings["data"]["checksum"])
    soft, hard = found["DIG_MGU_001-seed0"], found["DIG_MGU_001 hardened-seed0"]
    assert hard.data.tags["mlflow.parentRunId"] == soft.info.run_id
    gates = client.get_metric_history(soft.info.run_id, "gates/layer_1.norm")
    assert [m.value for m in gates] == [e.gates["layer_1"]["norm"] for e in records[-1].result.history]
    saved = {p.name for p in (study / "trials" / "DIG_MGU_001-seed0").iterdir()}
    kept = {artifact.path for artifact in client.list_artifacts(soft.info.run_id)}
    assert kept == {name for name in saved if name.startswith("diagnosis") or name.endswith(".svg")}
    assert len(kept) == 7
    again = export_study(study, uri)
    assert again == Exported(0, 3)
    assert runs(uri, "digits").keys() == found.keys()
    assert export_study(study, uri, "other") == Exported(3, 0)


def write(folder, results, settings=SETTINGS):
    with Ledger.open(folder, settings) as ledger:
        keys = ledger.add(TRIALS, settings)
        for key, result in zip(keys, results, strict=False):
            ledger.begin(key, {})
            ledger.end(key, result)
    return keys


def test_what_is_new_is_added_and_what_was_tried_again_is_replaced(uri, tmp_path):
    failed = Result("failed", 1.0, message="MemoryError: no room")
    keys = write(tmp_path / "new", [failed])
    assert export_study(tmp_path / "new", uri) == Exported(1, 0)
    (run,) = runs(uri, "new").values()
    assert (run.info.status, run.data.tags["status"]) == ("FAILED", "failed")
    assert run.data.tags["message"] == "MemoryError: no room"
    assert "acc/test" not in run.data.metrics
    infinite = replace(RESULT, history=(replace(RESULT.history[0], val_loss=float("nan")),))
    write(tmp_path / "new", [RESULT, infinite])
    assert export_study(tmp_path / "new", uri) == Exported(2, 0)
    found = runs(uri, "new")
    assert {name: run.data.tags[KEY] for name, run in found.items()} == {
        "A_001-seed0": keys[0],
        "A_MGU_001-seed0": keys[1],
    }
    assert found["A_001-seed0"].data.metrics["acc/test"] == RESULT.test_score
    assert export_study(tmp_path / "new", uri) == Exported(0, 2)


def test_a_run_that_was_not_written_to_its_end_is_written_again(uri, tmp_path):
    write(tmp_path / "unfinished", [RESULT, RESULT])
    export_study(tmp_path / "unfinished", uri)
    client, found = MlflowClient(uri), runs(uri, "unfinished")
    client.update_run(found["A_001-seed0"].info.run_id, "RUNNING")
    assert export_study(tmp_path / "unfinished", uri) == Exported(1, 1)
    assert runs(uri, "unfinished").keys() == found.keys()


def test_a_link_out_of_the_study_is_not_followed(uri, tmp_path):
    write(tmp_path / "linked", [RESULT])
    (tmp_path / "secret").write_text("mine")
    folder = tmp_path / "linked" / "trials" / "A_001-seed0"
    folder.mkdir(parents=True)
    (folder / "diagnosis.txt").symlink_to(tmp_path / "secret")
    (folder / "diagnosis.json").write_text("{}")
    export_study(tmp_path / "linked", uri)
    (run,) = runs(uri, "linked").values()
    assert [a.path for a in MlflowClient(uri).list_artifacts(run.info.run_id)] == ["diagnosis.json"]


def test_nothing_is_sent_to_anyone(study, tmp_path):
    script = (
        "import socket, sys\n"
        "asked = []\n"
        "def ask(*arguments, **options):\n"
        "    asked.append(arguments)\n"
        "    raise OSError('no network')\n"
        "socket.getaddrinfo = socket.socket.connect = socket.socket.connect_ex = ask\n"
        "from mgu.cli import main\n"
        "main(['mlflow', sys.argv[1]], standalone_mode=False)\n"
        "from mlflow.telemetry.client import get_telemetry_client\n"
        "print(asked, get_telemetry_client())\n"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("CI", "PYTEST_CURRENT_TEST", "PYTEST_VERSION")}
    done = subprocess.run(
        [sys.executable, "-c", script, str(study)], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    told = "3 runs written to sqlite:///mlflow.db, 0 were there\n[] None\n"
    assert (done.stdout, done.returncode) == (told, 0), done.stderr
    assert (tmp_path / "mlflow.db").is_file()


def test_without_mlflow_it_says_what_to_install(study):
    script = "import sys; sys.modules['mlflow'] = None; from mgu.cli import main; main(['mlflow', sys.argv[1]])"
    done = subprocess.run([sys.executable, "-c", script, str(study)], capture_output=True, text=True)
    assert done.returncode == 2
    assert 'pip install "mgu[mlflow]"' in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_mlflow_refuses_is_a_clear_error(study, tmp_path):
    with pytest.raises(InputError, match=r"MLflow at .*runs.*maintenance mode"):
        export_study(study, f"file://{tmp_path}/runs")
    with pytest.raises(InputError, match="no study here"):
        export_study(tmp_path, f"sqlite:///{tmp_path}/m.db")
    assert json.dumps(sorted(p.name for p in tmp_path.iterdir())) == "[]"
