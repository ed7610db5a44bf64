"""A study on a Ray cluster that loses a node, against the same study on this machine, trial by trial.

    python benchmarks/ray_cluster.py OUT_FOLDER [SEEDS]

The 25 trials of scikit-learn's digits, of SEEDS seeds (1 unless given), few epochs each: first one after the other, as
`mgu compare digits` does; then by `mgu compare digits --on ray` on a cluster of three nodes of one core, all on this
machine. Once a third of the trials have a result, a node whose trial has a checkpoint is killed, its processes with it.
Then it is asserted that

- each trial of the cluster has one result, and
- all that is no time, of every trial, is bit for bit that of the study on this machine.

What came of it is written to OUT_FOLDER/record.json, and printed.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # as many as a trial on the cluster has

import psutil
from ray.cluster_utils import Cluster
from timeless import timeless

from mgu.errors import InputError
from mgu.files import write_whole
from mgu.study.ledger import FILE, read_study

ARGUMENTS = ["digits", "--epochs", "20", "--rivals", "", "--quiet"]
NODE = {"num_cpus": 1, "object_store_memory": 100 * 2**20}


def start(study: Path, seeds: int, *options: str) -> subprocess.Popen:
    shutil.rmtree(study, ignore_errors=True)
    command = [sys.executable, "-m", "mgu", "compare", *ARGUMENTS, "--seeds", str(seeds), "--out", str(study), *options]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def results(study: Path) -> dict[tuple[str, int], dict]:
    """What is on record, by trial, times left out."""
    records = read_study(study).records
    return {(r.trial.model_name, r.trial.seed): timeless(asdict(r.result)) for r in records if r.result}


def ended(study: Path) -> int:
    try:
        return len(results(study)) if (study / FILE).is_file() else 0
    except InputError:  # it is about to be made
        return 0


def has_kept(node) -> bool:
    """Whether a trial that is trained on the node has a checkpoint there."""
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    folders = [path for child in raylet.children() for path in Path(tempfile.gettempdir()).glob(f"mgu-{child.pid}-*")]
    return any(list(folder.glob("checkpoints/checkpoint-*")) for folder in folders)


def on_cluster(study: Path, seeds: int) -> tuple[float, int]:
    """Run the study, kill a node in its midst; seconds, and how many trials had ended by then."""
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    try:
        others = [cluster.add_node(**NODE) for _ in range(2)]
        os.environ["RAY_ADDRESS"] = cluster.address
        begun = time.monotonic()
        driver = start(study, seeds, "--on", "ray")
        while (before := ended(study)) < 25 * seeds // 3:
            assert driver.poll() is None
            time.sleep(0.1)
        while not (busy := [node for node in others if has_kept(node)]):
            assert driver.poll() is None
            time.sleep(0.02)
        cluster.remove_node(busy[0], allow_graceful=False)
        assert driver.wait() == 0
        return time.monotonic() - begun, before
    finally:
        cluster.shutdown()


def main(out: Path, seeds: int = 1) -> None:
    alone, cluster = out / "alone", out / "cluster"
    begun = time.monotonic()
    assert start(alone, seeds).wait() == 0
    alone_s = time.monotonic() - begun
    cluster_s, before = on_cluster(cluster, seeds)
    records = read_study(cluster).records
    expected, found = results(alone), results(cluster)
    assert len(found) == len(records) == 25 * seeds
    assert {record.status for record in records} == {"finished"}
    again = {f"{r.trial.model_name}, seed {r.trial.seed}": r.attempts for r in records if r.attempts > 1}
    lost_s = {
        name: round(r.lost_s, 2) for r in records if (name := f"{r.trial.model_name}, seed {r.trial.seed}") in again
    }
    record = {
        "trials": len(records),
        "nodes": 3,
        "nodes killed": 1,
        "trials that had ended by then": before,
        "trials with a result": len(found),
        "attempts of trials that were begun again": again,
        "lost_s of these": lost_s,
        "same as on one machine, trial by trial, bit for bit": found == expected,
        "test accuracies": {
            f"{name}, seed {seed}": [round(100 * study[name, seed]["test_score"], 4) for study in (expected, found)]
            for name, seed in expected
        },
        "alone_s": round(alone_s, 1),
        "cluster_s": round(cluster_s, 1),
    }
    for study in (alone, cluster):
        shutil.rmtree(study)
    write_whole(out / "record.json", json.dumps(record, indent=1).encode() + b"\n")
    print(json.dumps(record, indent=1))
    assert found == expected, "the tables differ"
    assert again, "the killed node's trial had just ended"


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
