"""What one training run leaves behind, as numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

#: A run counts as alone on its machine up to so many cores of other processes' work.
ALONE_CORES = 0.1


@dataclass(frozen=True)
class Epoch:
    """One epoch of a training history. A score is the accuracy as a fraction, or R² in regression; the training figures
    are running means over the epoch, dropout on. ``elapsed_s`` is wall time since the run began. ``gates`` has, by unit
    and gate, the gate's mean in 0..1 at the end of the epoch, in evaluation mode; it is empty for a network without
    units, and in a history that was written before gates were recorded."""

    epoch: int
    train_loss: float
    train_score: float
    val_loss: float
    val_score: float
    elapsed_s: float
    gates: Mapping[str, Mapping[str, float]] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Decision:
    """What one gate of a unit was decided to pass on. ``certainty`` is mean |2g - 1| of the gate's values;
    ``loss_change`` what this decision alone added to the mean loss, those made before it being in force."""

    unit: str
    gate: str
    side: str
    certainty: float
    loss_change: float


@dataclass(frozen=True)
class Answers:
    """How the answers on a split compare with the truth: ``confusion[i][j]`` counts the samples of class i that were
    taken for class j; ``log_loss`` is the mean cross-entropy, in nats."""

    confusion: tuple[tuple[int, ...], ...]
    log_loss: float


@dataclass(frozen=True)
class Errors:
    """How predicted quantities compare with the true ones: R² = 1 - the squared errors' share of the variance, and the
    mean absolute error and the root of the mean squared error, in the target's unit."""

    r2: float
    mae: float
    rmse: float


@dataclass(frozen=True)
class Flops:
    """Floating-point operations: ``matrix`` those of matrix products and convolutions (a multiplication and an addition
    are two), ``every`` with those of norms, gates, activations and all other element-wise work."""

    matrix: int
    every: int

    def __add__(self, other: "Flops") -> "Flops":
        return Flops(self.matrix + other.matrix, self.every + other.every)

    def __mul__(self, times: int) -> "Flops":
        return Flops(times * self.matrix, times * self.every)


@dataclass(frozen=True)
class Energy:
    """The electricity that a part of the machine ("cpu", "gpu", "ram") took. ``source`` is "measured" (a counter in the
    hardware), "estimated" (worked out from time and load) or "absent", where ``kwh`` is None; ``meter`` names what
    gave the figure, or says why there is none."""

    part: str
    kwh: float | None
    source: str
    meter: str


@dataclass(frozen=True)
class Usage:
    """What a run took of the machine in ``duration_s`` seconds. Loads are means and peaks over the run, None where they
    cannot be read: ``device`` of the GPU as a share in 0..1, ``cpu`` of this process in cores, ``others`` of all other
    processes in cores. Memory is the peak in MB (10^6 bytes), of the process and of the GPU. ``carbon_intensity`` is in
    g CO2-equivalent per kWh, of ``country`` (an ISO 3166 code of three letters); both are None where none was given."""

    energy: tuple[Energy, ...]
    device_load_mean: float | None
    device_load_peak: float | None
    cpu_load_mean: float | None
    cpu_load_peak: float | None
    others_load_mean: float | None
    memory_peak_mb: float | None
    device_memory_peak_mb: float | None
    carbon_intensity: float | None
    country: str | None
    duration_s: float

    @property
    def whole_energy(self) -> tuple[Energy, ...]:
        """The entries of the parts that one source told of throughout: of a part that was absent for a stretch, or
        measured in one and estimated in another, no figure is of the whole run."""
        sources: dict[str, set[str]] = {}
        for entry in self.energy:
            sources.setdefault(entry.part, set()).add(entry.source)
        return tuple(e for e in self.energy if e.kwh is not None and len(sources[e.part]) == 1)

    @property
    def measured_kwh(self) -> float | None:
        """The electricity by counters in the hardware, of all parts that have one throughout; None where none has."""
        return self._kwh("measured")

    @property
    def estimated_kwh(self) -> float | None:
        """The electricity that was worked out, of all parts of which it was throughout; None where of none."""
        return self._kwh("estimated")

    @property
    def told_kwh(self) -> float:
        """All electricity that any meter told of, measured or estimated: at least so much was taken."""
        return sum(entry.kwh or 0.0 for entry in self.energy)

    @property
    def measured_carbon_kg(self) -> float | None:
        """Carbon intensity x ``measured_kwh``, in kg CO2-equivalent; None where either is."""
        return self._carbon_kg(self.measured_kwh)

    @property
    def estimated_carbon_kg(self) -> float | None:
        """Carbon intensity x ``estimated_kwh``, in kg CO2-equivalent; None where either is."""
        return self._carbon_kg(self.estimated_kwh)

    @property
    def disturbed(self) -> bool:
        """Whether other processes worked beside the run, so that its times are not its own: more than ``ALONE_CORES``
        on average."""
        return self.others_load_mean is not None and self.others_load_mean > ALONE_CORES

    def _kwh(self, source: str) -> float | None:
        figures = [entry.kwh or 0.0 for entry in self.whole_energy if entry.source == source]
        return sum(figures) if figures else None

    def _carbon_kg(self, kwh: float | None) -> float | None:
        return None if kwh is None or self.carbon_intensity is None else kwh * self.carbon_intensity / 1000


@dataclass(frozen=True, repr=False)
class Result:
    """How a training run ended. Scores, accuracies in 0..1 or R², are of the epoch with the best one on validation.

    ``status`` is "finished", "diverged" (a loss that is not finite) or "failed" (an error, told in ``message``).
    ``tts_s`` is wall time from the first touch of the data to the end of the test evaluation; ``train_s`` is the part
    spent in training steps; ``compile_s`` is the time of compilation and of a first step of each batch size, which is
    in neither. ``latency_s`` is of a batch of the recipe's size in evaluation mode. ``hardening`` is of MGU networks
    that were also hardened. ``test_answers`` are those of the best epoch's weights, ``test_case_answers`` the same
    with one answer a case, where the data has groups; ``step_flops`` are of a training
    step, ``run_flops`` of all steps and evaluations. What was not measured is None.
    """

    status: str
    tts_s: float
    train_s: float = 0.0
    compile_s: float = 0.0
    train_score: float | None = None
    val_score: float | None = None
    test_score: float | None = None
    best_epoch: int | None = None
    history: tuple[Epoch, ...] = ()
    message: str = ""
    latency_s: float | None = None
    hardening: "Hardening | None" = None
    test_answers: Answers | Errors | None = None
    test_case_answers: Answers | None = None
    step_flops: Flops | None = None
    run_flops: Flops | None = None
    usage: Usage | None = None

    def __repr__(self) -> str:
        scores = {"validation": self.val_score, "test": self.test_score}
        told = "".join(f", {split} {score:.4f}" for split, score in scores.items() if score is not None)
        hardened = ", hardened" if self.hardening else ""
        return f"<Result {self.status}: {len(self.history)} epochs in {self.tts_s:.1f} s{told}{hardened}>"


@dataclass(frozen=True, repr=False)
class Hardening:
    """The plain network that an MGU network became after ``after_epoch`` epochs, and how its training went from there.

    ``largest_difference`` is the largest absolute difference of the two networks' outputs when the gates were decided.
    Latencies are seconds a batch of ``latency_batch`` in evaluation mode, the soft network's and this one's in turn.
    ``warning`` is what ``Hardened.warning`` said. ``result`` has the soft epochs in its history, and they and the
    deciding in its times and in its usage. ``soft_usage`` is of the soft epochs alone; it is None where no meter
    ran, and where it was not written down.
    """

    after_epoch: int
    model_size: int
    decisions: tuple[Decision, ...]
    largest_difference: float
    latency_batch: int
    soft_latency_s: float
    latency_s: float
    warning: str
    result: Result
    soft_usage: Usage | None = None

    def __repr__(self) -> str:
        return f"<Hardening after epoch {self.after_epoch} by {len(self.decisions)} decisions: {self.result!r}>"
