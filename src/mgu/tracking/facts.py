"""What a tracking tool is told of a training run, by name: its settings, its epochs, and how it ended."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mgu.history import Answers, Epoch, Errors, Result
from mgu.metrics import metrics
from mgu.report.score import Score
from mgu.study.runner import trial_folder
from mgu.study.trial import Trial

_UNITS = ("kwh", "carbon_kg")

#: A setting as tracking tools take it.
Plain = str | int | float | bool


def run_name(trial: Trial) -> str:
    """What a trial's run is called: as its folder in the study."""
    return trial_folder(Path(), trial).name


def trial_params(trial: Trial, settings: Mapping[str, Any]) -> dict[str, Plain]:
    """A trial's own settings, the recipe's, and the unit's where it is an MGU network."""
    unit = settings.get("unit", {}) if trial.is_mgu else {}
    named = ("kind", "layout", "norm", "residual", "model_size", "seed")
    return {**{name: getattr(trial, name) for name in named}, **run_params(settings.get("training", {}), unit)}


def run_params(training: Mapping[str, Any], unit: Mapping[str, Any]) -> dict[str, Plain]:
    """The recipe's settings by their names, and the unit's options as "unit.gates", "unit.prior", ..."""
    return {name: _plain(value) for name, value in {**training, **{f"unit.{k}": v for k, v in unit.items()}}.items()}


def epoch_metrics(epoch: Epoch, score: Score) -> dict[str, float]:
    """Loss and score of both splits, such as "loss/train" and "acc/validation", and the mean of each gate of each unit,
    "gates/unit.gate". Scores are as on record: fractions, or R²."""
    return {
        "loss/train": epoch.train_loss,
        "loss/validation": epoch.val_loss,
        f"{score.short}/train": epoch.train_score,
        f"{score.short}/validation": epoch.val_score,
        **{f"gates/{gate_name(unit, gate)}": mean for unit, of in epoch.gates.items() for gate, mean in of.items()},
    }


def test_metric(result: Result, score: Score) -> dict[str, float]:
    """The score on the test split, "acc/test" or "r2/test"; nothing where the run did not come to its end."""
    return {} if result.test_score is None else {f"{score.short}/test": result.test_score}


def final_metrics(result: Result, score: Score) -> dict[str, float]:
    """How a run ended: the best epoch's validation score and the test score, what the test's answers are worth, times
    in seconds, operations, energy in kWh and carbon in kg by how they are known. What was not measured is left out."""
    answers, usage = result.test_answers, result.usage
    found: dict[str, float | None] = {
        f"{score.short}/best_validation": result.val_score,
        **test_metric(result, score),
        **({"mae/test": answers.mae, "rmse/test": answers.rmse} if isinstance(answers, Errors) else {}),
        **(
            {"log_loss/test": answers.log_loss, "f1/test": metrics(answers).macro.f1}
            if isinstance(answers, Answers)
            else {}
        ),
        "seconds/all": result.tts_s,
        "seconds/training": result.train_s,
        "seconds/compilation": result.compile_s,
        "seconds/latency": result.latency_s,
        "operations/matrix": result.run_flops.matrix if result.run_flops else None,
        "operations/all": result.run_flops.every if result.run_flops else None,
        **{
            f"{unit}/{kind}": getattr(usage, f"{kind}_{unit}", None)
            for unit in _UNITS
            for kind in ("measured", "estimated")
        },
    }
    return {name: float(value) for name, value in found.items() if value is not None}


def gate_name(unit: str, gate: str) -> str:
    """unit.gate; the gate alone where the network is itself one unit."""
    return ".".join(filter(None, (unit, gate)))


def _plain(value: Any) -> Plain:
    if isinstance(value, str | int | float):
        return value
    return ",".join(map(str, value)) if isinstance(value, Iterable) else str(value)
