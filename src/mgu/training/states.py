"""The state of a whole training, soft and hardened, as checkpoints have it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mgu.history import Flops, Result
from mgu.recorded import read_epoch, read_result, read_usage
from mgu.training.checkpoints import Checkpoint, Keeper, Tensors
from mgu.training.learner import Weights
from mgu.training.run import Progress, Run, Snapshot


@dataclass(frozen=True)
class Solved:
    """What a run that has ended leaves for the hardened one: its result, its snapshot, and its best weights."""

    result: Result
    snapshot: Snapshot
    weights: Weights


@dataclass(frozen=True)
class Found:
    """Where a training goes on: in its first run, or with that ``solved``, in that of the plain network."""

    soft: Progress | None = None
    solved: Solved | None = None
    plain: Progress | None = None


class States:
    """Keeps the state of a training, and finds it."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper

    def newest(self) -> Found | None:
        """Where to go on, None where nothing was kept."""
        checkpoint = self.keeper.newest()
        if checkpoint is None:
            return None
        facts, tensors = checkpoint.facts, checkpoint.tensors
        progress = _progress(facts["run"], tensors)
        if "solved" not in facts:
            return Found(soft=progress)
        snapshot = _snapshot(facts["solved"]["snapshot"], tensors["solved.snapshot"])
        solved = Solved(read_result(facts["solved"]["result"]), snapshot, tensors["solved"])
        return Found(solved=solved, plain=progress)

    def keep_soft(self, run: Run) -> None:
        """The state of the first run."""
        self.keeper.keep(lambda: _checkpoint(run.progress()))

    def keep_plain(self, solved: Solved, run: Run) -> None:
        """The state of the plain network's run."""
        facts = {"result": asdict(solved.result), "snapshot": _facts(solved.snapshot)}
        tensors = {"solved": solved.weights, "solved.snapshot": solved.snapshot.weights or {}}

        def make() -> Checkpoint:
            own = _checkpoint(run.progress())
            return Checkpoint({**own.facts, "solved": facts}, {**own.tensors, **tensors})

        self.keeper.keep(make)


def _checkpoint(progress: Progress) -> Checkpoint:
    facts: dict[str, Any] = {"at": _facts(progress.at), "best": progress.best.epoch}
    tensors = {"learner": progress.learner, "best": progress.best_weights}
    if progress.snapshot:
        facts["snapshot"] = _facts(progress.snapshot)
        tensors["snapshot"] = progress.snapshot.weights or {}
    return Checkpoint({"run": facts, "elapsed_s": progress.at.elapsed_s}, tensors)


def _progress(facts: Mapping[str, Any], tensors: Mapping[str, Tensors]) -> Progress:
    at = _snapshot(facts["at"])
    best = next(epoch for epoch in at.history if epoch.epoch == facts["best"])
    snapshot = _snapshot(facts["snapshot"], tensors["snapshot"]) if "snapshot" in facts else None
    return Progress(at, tensors["learner"], best, tensors["best"], snapshot)


def _facts(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "history": [asdict(epoch) for epoch in snapshot.history],
        "train_s": snapshot.train_s,
        "compile_s": snapshot.compile_s,
        "flops": asdict(snapshot.flops) if snapshot.flops else None,
        "usage": asdict(snapshot.usage) if snapshot.usage else None,
    }


def _snapshot(facts: Mapping[str, Any], weights: Weights | None = None) -> Snapshot:
    return Snapshot(
        weights,
        tuple(map(read_epoch, facts["history"])),
        facts["train_s"],
        facts["compile_s"],
        Flops(**facts["flops"]) if facts["flops"] else None,
        read_usage(facts["usage"]) if facts["usage"] else None,
    )
