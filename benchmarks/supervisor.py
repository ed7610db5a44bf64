"""What a study costs beside the training of its trials: seconds of trials in processes of their own, recorded and kept
in checkpoints, and of the same trials in one process that does nothing of it, in turn.

    python benchmarks/supervisor.py [EPOCHS] [ROUNDS]

Both train DIG_012 and DIG_MGU_001 on scikit-learn's digits, and write their files. What a study takes that has nothing
left to train (its report, above all) is taken off, and printed. What a user waits is by the wall clock; seconds on the
cores, of all processes together, leave out what else the machine does.

The difference of two trainings is as uncertain as the machine's speed, by which they differ more than by what a study
does. So what it does is timed by itself too: until the trial's process works, the checkpoints, telling of epochs, and
from the trial's end until the next one starts. That leaves out what is slower in a process that is new, such as its
first allocations.
"""

import json
import shutil
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import psutil
import torch
from accounted import FILE, Accounted

from mgu.comparison import Comparison, drop_weights
from mgu.data import load_data
from mgu.measure import Meter
from mgu.progress import Silent
from mgu.saving import save_trial
from mgu.spaces import load_space
from mgu.study.ledger import Ledger
from mgu.study.processes import Processes
from mgu.study.runner import run, trial_folder
from mgu.training import Recipe, fit
from mgu.trial_job import Common, TrialJob


def cores_s():
    """Of this process, those below it, and what these have waited for."""
    process = psutil.Process()
    return sum(sum(each.cpu_times()[:4]) for each in [process, *process.children(recursive=True)])


CLOCKS = {"wall": time.perf_counter, "cores": cores_s}


def seconds(work):
    begun = {name: clock() for name, clock in CLOCKS.items()}
    work()
    return {name: clock() - begun[name] for name, clock in CLOCKS.items()}


def alone(comparison, trials, folder):
    """The trials in this process."""
    for trial in trials:
        with Meter(torch.device("cpu")) as meter:
            fitted = fit(trial.architecture, comparison.data, comparison.recipe, seed=trial.seed, meter=meter)
        target = folder / trial.model_name
        target.mkdir(parents=True)
        save_trial(fitted, comparison.data, target)


class Starting(Processes):
    """Notes when each job was handed in."""

    def start(self, key, job, folder):
        self.times = [*getattr(self, "times", []), time.monotonic()]
        super().start(key, job, folder)


#: What takes a trial's time beside its training.
PARTS = ("starting", "checkpoints", "telling", "ending")


def account(comparison, trials, folder):
    """Train the trials as a study does, and give the seconds of each, as a whole and by ``PARTS``."""
    settings, dropped = comparison.settings(), set()
    common = Common(comparison.data, comparison.recipe, comparison.unit, comparison.device, None, "torch")
    with Starting(common, 1, 3600.0) as workers, Ledger.open(folder, settings) as ledger:

        def job_of(trial):
            drop_weights(folder, ledger.records(), dropped)
            return Accounted(TrialJob(trial, trial.key(settings)))

        run(ledger, ledger.add(trials, settings), job_of, workers, Silent())
        times = [*workers.times, time.monotonic()]
    found = []
    for trial, start, end in zip(trials, times[:-1], times[1:], strict=True):
        told = json.loads((trial_folder(folder, trial) / FILE).read_text())
        parts = (told["begun"] - start, told["keeping"], told["telling"], end - told["ended"])
        found.append({"whole": end - start, **dict(zip(PARTS, parts, strict=True))})
    return found


def main(epochs="100", rounds="4"):
    comparison = Comparison(load_data("digits"), load_space("digits"), Recipe(epochs=int(epochs), patience=10**6))
    trials = comparison.trials([0], ["DIG_012", "*MGU*"])
    with TemporaryDirectory() as name:
        study, plain = Path(name) / "study", Path(name) / "plain"
        ways = {
            "in one process": lambda: alone(comparison, trials, plain),
            "as a study": lambda: comparison.run(study, trials, Silent()),
            "nothing left": lambda: comparison.run(study, trials, Silent()),
        }
        for work in ways.values():  # the first of each loads what all later ones find loaded
            work()
        taken = []
        for _ in range(int(rounds)):
            for folder in (study, plain):
                shutil.rmtree(folder, ignore_errors=True)
            taken.append({way: seconds(work) for way, work in ways.items()})
        rounds_of = [account(comparison, trials, Path(name) / f"accounted {i}") for i in range(int(rounds))]
    print(f"{len(trials)} trials of {epochs} epochs, medians of {rounds} rounds, seconds a trial")
    print(f"{'clock':8}{'in one process':>16}{'as a study':>12}{'nothing left':>14}{'supervisor, s':>15}{'%':>8}")
    for clock in CLOCKS:
        rows = [[each[way][clock] / len(trials) for way in ways] for each in taken]
        shares = [(study - nothing - plain, 100 * ((study - nothing) / plain - 1)) for plain, study, nothing in rows]
        middle = [median(column) for column in zip(*rows, strict=True)]
        more = [median(column) for column in zip(*shares, strict=True)]
        print(f"{clock:8}{middle[0]:>16.2f}{middle[1]:>12.2f}{middle[2]:>14.2f}{more[0]:>15.2f}{more[1]:>8.2f}")
    print(f"\n{'timed by itself':16}{'trial, s':>10}{''.join(f'{part:>13}' for part in PARTS)}{'all, s':>9}{'%':>7}")
    for i, trial in enumerate(trials):
        of_trial = {key: median(each[i][key] for each in rounds_of) for key in rounds_of[0][i]}
        spent = sum(of_trial[part] for part in PARTS)
        parts = "".join(f"{of_trial[part]:>13.3f}" for part in PARTS)
        share = 100 * spent / (of_trial["whole"] - spent)
        print(f"{trial.model_name:16}{of_trial['whole']:>10.2f}{parts}{spent:>9.2f}{share:>7.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
