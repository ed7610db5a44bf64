"""The state of a whole training, soft and hardened, as checkpoints have it."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mgu.history import Flops, Result
from mgu.recorded import read_epoch, read_result, read_usage
from mgu.training.checkpoints import Checkpoint, Keeper, Tensors
from mgu.training.learner import Weights
from mgu.training.run import Progress, Snapshot


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

    @property
    def soft(self) -> "RunKeeper":
        """Where the first run is kept."""
        return RunKeeper(self.keeper, _checkpoint)

    def plain(self, solved: Solved) -> "RunKeeper":
        """Where the plain network's run is kept. Its own clock has the first run's up to the snapshot alone."""
        beside_s = solved.result.tts_s - solved.snapshot.elapsed_s
        facts = {"result": asdict(solved.result), "snapshot": _facts(solved.snapshot)}
        tensors = {"solved": solved.weights, "solved.snapshot": solved.snapshot.weights or {}}

        def with_solved(progress: Progress) -> Checkpoint:
            own = _checkpoint(progress)
            spent_s = own.facts["elapsed_s"] + beside_s
            return Checkpoint({**own.facts, "elapsed_s": spent_s, "solved": facts}, {**own.tensors, **tensors})

        return RunKeeper(self.keeper, with_solved)


@dataclass(frozen=True)
class RunKeeper:
    """A run's place with a keeper, which is given what ``checkpoint`` makes of the run's progress. See ``Keeping``."""

    keeper: Keeper
    checkpoint: Callable[[Progress], Checkpoint]

    @property
    def due(self) -> bool:
        return self.keeper.due

    def keep(self, make: Callable[[], Progress]) -> None:
        self.keeper.keep(lambda: self.checkpoint(make()))


def _checkpoint(progress: Progress) -> Checkpoint:
    facts: dict[str, Any] = {"at": _facts(progress.at)}
    tensors = {"learner": progress.learner}
    if progress.best and progress.best_weights is not None:
        facts["best"] = progress.best.epoch
        tensors["best"] = progress.best_weights
    if progress.snapshot:
        facts["snapshot"] = _facts(progress.snapshot)
        tensors["snapshot"] = progress.snapshot.weights or {}
    return Checkpoint({"run": facts, "elapsed_s": progress.at.elapsed_s}, tensors)


def _progress(facts: Mapping[str, Any], tensors: Mapping[str, Tensors]) -> Progress:
    at = _snapshot(facts["at"])
    best = next((epoch for epoch in at.history if epoch.epoch == facts.get("best")), None)
    snapshot = _snapshot(facts["snapshot"], tensors["snapshot"]) if "snapshot" in facts else None
    return Progress(at, tensors["learner"], best, tensors.get("best"), snapshot)


def _facts(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "history": [asdict(epoch) for epoch in snapshot.history],
        "elapsed_s": snapshot.elapsed_s,
        "train_s": snapshot.train_s,
        "compile_s": snapshot.compile_s,
        "flops": asdict(snapshot.flops) if snapshot.flops else None,
        "usage": asdict(snapshot.usage) if snapshot.usage else None,
    }


def _snapshot(facts: Mapping[str, Any], weights: Weights | None = None) -> Snapshot:
    return Snapshot(
        weights,
        tuple(map(read_epoch, facts["history"])),
        facts["elapsed_s"],
        facts["train_s"],
        facts["compile_s"],
        Flops(**facts["flops"]) if facts["flops"] else None,
        read_usage(facts["usage"]) if facts["usage"] else None,
    )
