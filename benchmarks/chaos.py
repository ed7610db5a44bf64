"""A study whose driver and processes are killed at random, again and again, beside one that was left alone.

    python benchmarks/chaos.py OUT_FOLDER [KILLS] [MOST_SECONDS]

The study is a few cells of scikit-learn's digits, with their MGU network, for a few epochs. SIGKILL goes, at a random
time of its start or of its work, to the driver or to a process below it; where the driver is gone, the same command is
given again. A study that ends meanwhile is begun anew. After KILLS (300 unless given) it is let end. Then it is
asserted that

- no result that was on record was ever lost or changed,
- each trial has one result, and
- all that is no time, of every trial, is bit for bit that of the undisturbed study, which runs first.

What came of it is written to OUT_FOLDER/record.json, and printed. The kills are those of the seed 0.
"""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import psutil

from mgu.errors import InputError
from mgu.files import write_whole
from mgu.study.ledger import FILE, read_study

ARGUMENTS = ["digits", "--epochs", "12", "--only", "DIG_00[1-4],DIG_MGU_001", "--rivals", "", "--quiet"]
#: Seconds to the next kill, at most: from the start of a driver, and while trials are trained.
START_S, WORK_S = 5.0, 4.0
#: How often a driver is killed while it starts, and how often a process rather than the driver while it works.
STARTING, BELOW = 0.1, 0.75
#: To end the study, once nothing is killed any more: one is enough but where a trial was killed three times in a row.
MOST_COMMANDS = 3
TIMES = ("tts_s", "train_s", "compile_s", "latency_s", "soft_latency_s", "usage", "soft_usage", "elapsed_s")


def start(study: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "mgu", "compare", *ARGUMENTS, "--out", str(study)]
    with said_by(study).open("wb") as said:
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)


def said_by(study: Path) -> Path:
    """What the last driver of the study said of errors."""
    return study.with_name(f"{study.name}.txt")


def timeless(value):
    """The value without anything that is a time."""
    if isinstance(value, dict):
        return {name: timeless(entry) for name, entry in value.items() if name not in TIMES}
    if isinstance(value, list | tuple):
        return [timeless(entry) for entry in value]
    return value


def results(study: Path) -> dict[str, dict]:
    """What is on record, by trial, times left out."""
    if not (study / FILE).exists():  # there is none yet
        return {}
    records = read(study)
    ended = [record for record in records if record.status == "finished"]
    return {f"{r.trial.model_name}, seed {r.trial.seed}": timeless(asdict(r.result)) for r in ended}


def read(study: Path):
    """The records, once a driver that is about to end lets go of the ledger."""
    for _ in range(50):
        try:
            return read_study(study).records
        except InputError as error:
            told = error
            time.sleep(0.1)
    raise told


def wait(driver: subprocess.Popen, chance: random.Random, is_new: bool) -> None:
    """For a random time, which begins when the driver does, or once it has begun to work."""
    if is_new and chance.random() < STARTING:
        time.sleep(chance.uniform(0, START_S))
        return
    while driver.poll() is None and not below(driver):
        time.sleep(0.05)
    time.sleep(chance.uniform(0, WORK_S))


def below(driver: subprocess.Popen) -> list[psutil.Process]:
    """The processes that the driver has started."""
    try:
        return psutil.Process(driver.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def kill(driver: subprocess.Popen, chance: random.Random) -> str | None:
    """Kill the driver or a process below it, and return what it was: none where it has ended by itself."""
    processes = below(driver)
    if processes and chance.random() < BELOW:
        process = chance.choice(processes)
        with suppress(psutil.NoSuchProcess):
            process.kill()
            return "process"
    if driver.poll() is not None:
        return None
    driver.kill()
    driver.wait()
    return "driver"


def torment(study: Path, kills: int, most_s: float) -> Counter:
    """Kill until it is enough; how many of each, how often the command was given, and how many studies ended."""
    chance, seen, driver = random.Random(0), {}, None
    count, until = Counter(), time.monotonic() + most_s
    while count["driver"] + count["process"] < kills and time.monotonic() < until:
        is_new = driver is None or driver.poll() is not None
        if is_new:
            assert driver is None or driver.returncode in (0, -signal.SIGKILL), said_by(study).read_text()
            if driver is not None and driver.returncode == 0:  # it has ended: from the start again, as another study
                check(seen, results(study))
                shutil.rmtree(study)
                seen = {}
                count["studies that ended meanwhile"] += 1
            driver = start(study)
            count["commands"] += 1
        wait(driver, chance, is_new)
        if killed := kill(driver, chance):
            count[killed] += 1
        now = results(study)
        check(seen, now)
        seen = now
    driver.wait()
    for _ in range(MOST_COMMANDS):
        if driver.returncode == 0 and all(record.status == "finished" for record in read(study)):
            break
        driver = start(study)
        count["commands"] += 1
        driver.wait()
    check(seen, results(study))
    return count


def check(before: dict[str, dict], now: dict[str, dict]) -> None:
    """No result is lost, none is changed."""
    for trial, result in before.items():
        assert trial in now, f"{trial} had a result and has none"
        assert now[trial] == result, f"{trial} has another result"


def main(out: Path, kills: int = 300, most_s: float = 3600.0) -> None:
    out.mkdir(parents=True, exist_ok=True)
    alone, disturbed = out / "alone", out / "disturbed"
    for study in (alone, disturbed):
        shutil.rmtree(study, ignore_errors=True)
    begun = time.monotonic()
    assert start(alone).wait() == 0
    alone_s = time.monotonic() - begun
    expected = results(alone)
    count = torment(disturbed, kills, most_s)
    found = results(disturbed)
    assert found == expected, "the tables differ"
    records = read_study(disturbed).records
    record = {
        "kills": {name: count[name] for name in ("driver", "process")},
        "commands": count["commands"],
        "studies that ended meanwhile": count["studies that ended meanwhile"],
        "trials": len(records),
        "results lost or changed": 0,
        "attempts": {record.trial.model_name: record.attempts for record in records},
        "lost_s": round(sum(record.lost_s for record in records), 1),
        "alone_s": round(alone_s, 1),
        "disturbed_s": round(time.monotonic() - begun - alone_s, 1),
        "same as undisturbed": found == expected,
    }
    for study in (alone, disturbed):
        shutil.rmtree(study)
        said_by(study).unlink()
    write_whole(out / "record.json", json.dumps(record, indent=1).encode() + b"\n")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(float, sys.argv[2:]))
