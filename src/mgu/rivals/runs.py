"""A recorded training run, to be walked again epoch by epoch."""

from dataclasses import dataclass
from math import inf, isnan

from mgu.history import Epoch
from mgu.study.trial import Record

#: A score that is below the target by less is at it: the order of a sum may change as much.
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Run:
    """A run that ended. Its stages count from 0 (not begun) over 1 (after the first epoch) to ``end`` (ended, and
    tested).

    ``lost_s`` is what attempts before it lost, which is paid when it begins; ``total_s`` is all that it cost. The
    scores, in 0..1, are None unless it ``finished``: one that diverged or failed never meets a target, and is never
    picked, but it costs. The first ``after_epoch`` epochs are on its clock but not its own: they are those of the soft
    network that it was hardened from, and meet no target for it.
    """

    name: str
    layout: str
    norm: str
    residual: str
    epochs: tuple[Epoch, ...]
    lost_s: float
    total_s: float
    finished: bool
    val_score: float | None
    test_score: float | None
    after_epoch: int = 0

    @classmethod
    def of(cls, record: Record) -> "Run | None":
        """The run of a record; None where it has not ended."""
        trial, result = record.trial, record.result
        if not result:
            return None
        finished = record.status == "finished"
        return cls(
            name=trial.model_name,
            layout=trial.layout,
            norm=trial.norm,
            residual=trial.residual,
            epochs=result.history,
            lost_s=record.lost_s,
            total_s=record.lost_s + result.tts_s,
            finished=finished,
            val_score=result.val_score if finished else None,
            test_score=result.test_score if finished else None,
            after_epoch=record.after_epoch,
        )

    @property
    def end(self) -> int:
        return len(self.epochs) + 1

    def spent_s(self, stage: int) -> float:
        """Seconds from its beginning to a stage."""
        if stage >= self.end:
            return self.total_s
        return self.lost_s + self.epochs[stage - 1].elapsed_s if stage else 0.0

    def reached(self, target: float) -> int | None:
        """The stage at which it first was at or above a target; None where it never was."""
        if not self.finished:
            return None
        own = enumerate(self.epochs[self.after_epoch :], self.after_epoch + 1)
        return next((stage for stage, epoch in own if epoch.val_score >= target - TOLERANCE), None)

    def reached_s(self, target: float) -> float:
        """Seconds from its beginning to ``reached``; infinite where it never was."""
        stage = self.reached(target)
        return inf if stage is None else self.spent_s(stage)

    def merit(self, stage: int) -> tuple[float, float]:
        """Sorts runs by what is known of them at a stage, best last: the validation score of the best epoch so far; of
        equals, the lower validation loss. One that is known to have diverged or failed stands below all others."""
        if stage >= self.end and not self.finished:
            return (-inf, -inf)
        seen = ((epoch.val_score, -inf if isnan(epoch.val_loss) else -epoch.val_loss) for epoch in self.epochs[:stage])
        return max(seen, default=(-1.0, -inf))
