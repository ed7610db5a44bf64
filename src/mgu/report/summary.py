"""What is known of a study in numbers. Scores and margins are as the study's ``Score`` shows them: accuracies in per
cent and points, R² as plain numbers."""

from dataclasses import dataclass
from math import isnan

from mgu.report.figures import MeanSd
from mgu.report.score import Score


@dataclass(frozen=True)
class Row:
    """One model over its seeds. Scores are over its ``seeds`` finished trials of ``trials``; ``tts_s`` is the mean
    over those that ended, however they ended. ``rank`` is None where none finished. ``status`` is the one its trials
    share, or how many have which ("2 finished, 1 diverged"). ``missed`` of its trials diverged or failed. ``val_loss``
    is the mean validation loss of the best epochs, ``latency_s`` the mean seconds of a batch in evaluation mode. The
    row of what an MGU network was hardened to is MGU's too. ``kind`` is "plain", "mgu" or "rival"."""

    rank: int | None
    model_name: str
    layout: str
    norm: str
    residual: str
    model_size: int
    seeds: int
    missed: int
    trials: int
    tts_s: float | None
    train_score: MeanSd | None
    val_score: MeanSd | None
    val_loss: float | None
    test_score: MeanSd | None
    latency_s: float | None
    status: str
    kind: str
    is_hardened: bool

    @property
    def is_mgu(self) -> bool:
        return self.kind == "mgu"


@dataclass(frozen=True)
class Cost:
    """What models cost together: the sum for one seed, averaged over ``seeds``, those for which all of them ended.

    ``total_s`` = tts_s + lost_s, of failed and diverged trials too. ``compile_s`` is not part of it.
    """

    total_s: float
    compile_s: float
    models: int
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Margin:
    """Score of one model minus that of another at each seed that both finished."""

    by_seed: tuple[tuple[int, float], ...]

    @property
    def mean(self) -> float | None:
        """The mean over the seeds; None where there are none, and where infinite ones have no mean."""
        mean = sum(difference for _, difference in self.by_seed) / len(self.by_seed) if self.by_seed else None
        return None if mean is None or isnan(mean) else mean


@dataclass(frozen=True)
class Hardened:
    """The plain network that the best MGU model was hardened to: its row, what it cost with the soft epochs before it,
    its margins over the best plain model (``case_margin`` of the accuracy on the test split's cases) and its change
    from the soft one, after which epochs it was hardened, how many times its latency the soft network's is, and, at the
    seeds where it ended below the soft one, what was said when its gates were decided."""

    row: Row
    cost: Cost | None
    val_margin: Margin
    test_margin: Margin
    case_margin: Margin
    val_change: Margin
    test_change: Margin
    after_epochs: tuple[int, ...]
    latency_ratio: float
    warnings: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class RivalResult:
    """A trained rival: its title, the row of its best model, what all of its models cost together, since picking one of
    several is a search, and the grid's cost over the same seeds."""

    title: str
    best: Row | None
    cost: Cost | None
    grid_cost: Cost | None


@dataclass(frozen=True)
class Summary:
    """A study in numbers, its scores as ``score`` shows them. ``rows`` are best first by mean validation score, of
    equals the one with the lower validation loss; then the models that missed a seed (diverged or failed), those none
    of whose trials finished, and those none of whose trials ended. Costs and the speed-up are over the seeds that both
    sides have. The best plain model is chosen among the ``candidates``, those with the most seeds; ``ties`` of them are
    as good as it, itself counted. ``best_mgu``, which may have no rank where what it was hardened to has one, and
    ``best_plain`` are the two compared, by ``val_margin`` and ``test_margin``, and by ``case_margin`` of the accuracy
    on the test split's ``cases``, None where the data has none; ``all_mgu_cost`` is of all MGU models together, since
    picking one of several is a search too. ``hardened`` is what the best MGU model was hardened to, a row of its own.
    ``trained_rivals`` have rows too, and are neither plain models of the grid nor MGU."""

    score: Score
    rows: tuple[Row, ...]
    best_mgu: Row | None
    best_plain: Row | None
    grid_cost: Cost | None
    mgu_cost: Cost | None
    all_mgu_cost: Cost | None
    val_margin: Margin
    test_margin: Margin
    case_margin: Margin
    hardened: "Hardened | None"
    trained_rivals: tuple[RivalResult, ...]
    ended: int
    total: int
    plain_models: int
    grid_size: int
    candidates: int
    ties: int
    validation_size: int | None
    test_size: int | None
    cases: int | None

    @property
    def compared(self) -> tuple[Row, ...]:
        """What the best MGU model was hardened to, that model and the best plain one, as far as they have finished."""
        rows = (self.hardened.row if self.hardened else None, self.best_mgu, self.best_plain)
        return tuple(row for row in rows if row and row.rank)

    @property
    def is_uneven(self) -> bool:
        """Whether the models have different numbers of seeds."""
        return len({row.trials for row in self.rows}) > 1

    @property
    def complete(self) -> bool:
        """Whether every trial has ended and none of the space's plain models (``grid_size``) was left out."""
        return self.ended == self.total > 0 and self.plain_models >= self.grid_size

    @property
    def grid_total_s(self) -> float | None:
        """Seconds for all plain models, one after the other; None where no seed has ended on every one of them."""
        return self.grid_cost.total_s if self.grid_cost else None

    @property
    def mgu_tts_s(self) -> float | None:
        """Seconds for the best MGU model, with what its earlier attempts lost; None where no MGU model finished."""
        return self.mgu_cost.total_s if self.mgu_cost else None

    @property
    def speed_up(self) -> float | None:
        """``grid_total_s / mgu_tts_s``; None unless the study is complete: a partial grid claims no speed-up, and a
        network that did not finish has none."""
        return self._speed_up(self.mgu_cost) if self.best_mgu and self.best_mgu.rank else None

    @property
    def speed_up_all_mgu(self) -> float | None:
        """The speed-up with the cost of every MGU model counted; None for a partial study, and without
        an MGU model."""
        return self._speed_up(self.all_mgu_cost) if self.mgu_cost else None

    @property
    def speed_up_hardened(self) -> float | None:
        """The speed-up of the hardened network, hardening and the soft epochs counted; None for a partial study."""
        return self._speed_up(self.hardened.cost) if self.hardened else None

    @property
    def margin(self) -> float | None:
        """The mean of ``val_margin``; None where no seed was finished by both."""
        return self.val_margin.mean

    @property
    def margin_test(self) -> float | None:
        """The mean of ``test_margin``; None where no seed was finished by both."""
        return self.test_margin.mean

    def speed_up_rival(self, rival: RivalResult) -> float | None:
        """How many times a rival's cost the grid's is, over the same seeds; None unless the study is complete."""
        return self._ratio(rival.grid_cost, rival.cost)

    def _speed_up(self, cost: Cost | None) -> float | None:
        return self._ratio(self.grid_cost, cost)

    def _ratio(self, grid: Cost | None, cost: Cost | None) -> float | None:
        if not self.complete or not grid or not cost or not cost.total_s or grid.seeds != cost.seeds:
            return None
        return grid.total_s / cost.total_s
