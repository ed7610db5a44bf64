"""A study whose driver and processes are killed at random, again and again, beside one that was left alone.

    python benchmarks/chaos.py OUT_FOLDER [KILLS] [MOST_SECONDS]

The study is a few cells of scikit-learn's digits, with their MGU network, for a few epochs. SIGKILL goes, at a random
time of its start or of its work, to the driver or to a process below it; where the driver is gone, the same command is
given again. A study that ends meanwhile is begun anew. After KILLS (300 unless given) it is let end. What is counted
then is written to OUT_FOLDER/record.json, and printed:

- the results that were on record and were lost, or changed, ever after,
- the commands that ended by themselves and not well, where a person would have had to look,
- the trials of the undisturbed study, which runs first, whose results in the end differ from those of the disturbed
  one in anything that is no time, bit for bit, or that have not exactly one.

The exit code is 1 where one of these is not 0, or where time was over before all kills were. The kills are those of the
seed 0.
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
from timeless import timeless

from mgu.errors import InputError
from mgu.files import write_whole
from mgu.study.ledger import FILE, read_study

ARGUMENTS = ["digits", "--epochs", "12", "--only", "DIG_00[1-4],DIG_MGU_001", "--rivals", "", "--quiet"]
#: Seconds to the next kill, at most: from the start of a driver, and while trials are trained.
START_S, WORK_S = 5.0, 4.0
#: How often a driver is killed while it starts, and how often a process rather than the driver while it works.
STARTING, BELOW = 0.1, 0.75
#: Processes below a driver that works: a trial's, the tracker of what they share, and what trials are forked from.
AT_WORK = 3 if sys.platform == "linux" else 2
#: To end the study, once nothing is killed any more: one is enough but where a trial was killed three times in a row.
MOST_COMMANDS = 3
#: What must not be.
HARM = ("results lost", "results changed", "trials that differ from the undisturbed", "commands that ended in an error")
COUNTED = (
    *("kills of the driver", "kills of a process", "commands", "studies", "trials", "attempts", "seconds of work lost"),
    *HARM,
)


def start(study: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "mgu", "compare", *ARGUMENTS, "--out", str(study)]
    with said_by(study).open("wb") as said:
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)


def said_by(study: Path) -> Path:
    """What the last driver of the study said of errors."""
    return study.with_name(f"{study.name}.txt")


def results(study: Path) -> dict[str, dict]:
    """What is on record, by trial, times left out."""
    if not (study / FILE).exists():  # there is none yet
        return {}
    return {name(r): timeless(asdict(r.result)) for r in read(study) if r.status == "finished"}


def name(record) -> str:
    return f"{record.trial.model_name}, seed {record.trial.seed}"


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
    while driver.poll() is None and len(below(driver)) < AT_WORK:
        time.sleep(0.05)
    time.sleep(chance.uniform(0, WORK_S))


def below(driver: subprocess.Popen) -> list[psutil.Process]:
    """The living processes that the driver has started."""
    with suppress(psutil.NoSuchProcess):
        found = psutil.Process(driver.pid).children(recursive=True)
        return [process for process in found if is_alive(process)]
    return []


def is_alive(process: psutil.Process) -> bool:
    """Whether it is there, and not only for its parent to see that it ended."""
    with suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def kill(driver: subprocess.Popen, chance: random.Random) -> str | None:
    """Kill the driver or a process below it, and return what it was: none where it has ended by itself."""
    processes = below(driver)
    if processes and chance.random() < BELOW:
        process = chance.choice(processes)
        with suppress(psutil.NoSuchProcess):
            process.kill()
            return "a process"
    if driver.poll() is not None:
        return None
    driver.kill()
    driver.wait()
    return "the driver"


def torment(study: Path, kills: int, most_s: float, expected: dict[str, dict]) -> Counter:
    """Kill until it is enough, and let end: what came of it, by name."""
    chance, driver, seen = random.Random(0), None, {}
    count, until = Counter(), time.monotonic() + most_s
    while count["kills of the driver"] + count["kills of a process"] < kills and time.monotonic() < until:
        is_new = driver is None or driver.poll() is not None
        if is_new:
            if driver is not None and has_ended(driver, study):  # from the start again, as another study
                count += seen_again(seen, results(study)) + ended(study, expected)
                shutil.rmtree(study)
                seen = {}
            driver = begin(study, driver, count)
        wait(driver, chance, is_new)
        if killed := kill(driver, chance):
            count[f"kills of {killed}"] += 1
        now = results(study)
        count += seen_again(seen, now)
        seen = now
    driver.wait()
    for _ in range(MOST_COMMANDS):
        if has_ended(driver, study):
            break
        driver = begin(study, driver, count)
        driver.wait()
    return count + seen_again(seen, results(study)) + ended(study, expected)


def has_ended(driver: subprocess.Popen, study: Path) -> bool:
    """Whether its command came to its end and nothing is left: a trial that was killed three times in a row at one
    place has failed, and the same command tries it again."""
    return driver.returncode == 0 and all(record.status == "finished" for record in read(study))


def begin(study: Path, last: subprocess.Popen | None, count: Counter) -> subprocess.Popen:
    """Give the command, again where there was a ``last`` one, which may have ended in an error."""
    if last is not None and last.returncode not in (0, -signal.SIGKILL):
        print(said_by(study).read_text(), file=sys.stderr)
        count["commands that ended in an error"] += 1
    count["commands"] += 1
    return start(study)


def seen_again(before: dict[str, dict], now: dict[str, dict]) -> Counter:
    """How many of the results are no longer there, and how many are others."""
    lost = [trial for trial in before if trial not in now]
    changed = [trial for trial, result in before.items() if now.get(trial, result) != result]
    return Counter({"results lost": len(lost), "results changed": len(changed)})


def ended(study: Path, expected: dict[str, dict]) -> Counter:
    """Of a study that has ended: its trials, and how many have not the one result of the undisturbed study."""
    records, found = read_study(study).records, results(study)
    one_each = Counter(name(record) for record in records)
    differ = [trial for trial in expected | found if found.get(trial) != expected.get(trial) or one_each[trial] != 1]
    return Counter(
        {
            "studies": 1,
            "trials": len(records),
            "attempts": sum(record.attempts for record in records),
            "seconds of work lost": sum(record.lost_s for record in records),
            "trials that differ from the undisturbed": len(differ),
        }
    )


def main(out: Path, kills: int = 300, most_s: float = 3600.0) -> bool:
    """Whether all kills were done and none did harm."""
    out.mkdir(parents=True, exist_ok=True)
    alone, disturbed = out / "alone", out / "disturbed"
    for study in (alone, disturbed):
        shutil.rmtree(study, ignore_errors=True)
    begun = time.monotonic()
    assert start(alone).wait() == 0
    alone_s = time.monotonic() - begun
    count = torment(disturbed, kills, most_s, results(alone))
    seconds = {"seconds of the undisturbed study": alone_s, "seconds of all others": time.monotonic() - begun - alone_s}
    counted = {label: count[label] for label in COUNTED}
    record = {label: round(value, 1) for label, value in {**counted, **seconds}.items()}
    for study in (alone, disturbed):
        shutil.rmtree(study)
        said_by(study).unlink()
    write_whole(out / "record.json", json.dumps(record, indent=1).encode() + b"\n")
    print(json.dumps(record, indent=1))
    return count["kills of the driver"] + count["kills of a process"] >= kills and not any(count[bad] for bad in HARM)


if __name__ == "__main__":
    sys.exit(not main(Path(sys.argv[1]), *map(float, sys.argv[2:])))
