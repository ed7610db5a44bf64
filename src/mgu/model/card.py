"""What a model's card says, as plain JSON data."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from mgu.data import DataSet
from mgu.data.preprocessing import Preprocessing
from mgu.diagnosis import Diagnosis
from mgu.history import Answers, Decision, Errors, Hardening, Result, Usage
from mgu.metrics import metrics
from mgu.report.architecture import chosen_chains, said
from mgu.report.gate_words import unit_name


def answers_card(wanted: Preprocessing) -> dict[str, Any]:
    """What the network's outputs mean: logits of classes, or the standardised target."""
    if wanted.classes:
        return {"classes": list(wanted.classes)}
    return {"target_mean": wanted.target_mean, "target_std": wanted.target_std}


def data_card(data: DataSet) -> dict[str, Any]:
    """What the network was trained on."""
    sizes = {role: len(split.y) for role, split in zip(("train", "validation", "test"), data.splits, strict=True)}
    classes = {"classes": len(data.classes)} if data.classes else {}
    note = {"note": data.note} if data.note else {}
    return {"name": data.short_name, "task": data.task, "checksum": data.checksum, **sizes, **classes, **note}


def metrics_card(answers: Answers | Errors | None, on: str) -> dict[str, Any]:
    """How good the answers on some data are: fractions, nats, and errors in the target's unit."""
    if isinstance(answers, Answers):
        found = metrics(answers)
        shares = {name: getattr(found.macro, name) for name in ("precision", "recall", "f1")}
        confusion = [list(row) for row in answers.confusion]
        totals = {"samples": found.macro.support, "accuracy": found.accuracy, "log_loss": answers.log_loss}
        return {
            "on": on,
            **totals,
            **{f"macro_{name}": value for name, value in shares.items()},
            "confusion": confusion,
        }
    return {"on": on, **(asdict(answers) if answers else {})}


def cost_card(soft: Result, hardening: Hardening) -> dict[str, Any]:
    """What the plain network took, its soft epochs included, and what it costs in use; and the soft one beside it."""
    result = hardening.result
    return {
        "seconds": result.tts_s,
        "epochs": len(result.history),
        "hardened_after_epoch": hardening.after_epoch,
        "operations": asdict(result.run_flops) if result.run_flops else None,
        **usage_card(result.usage),
        "weights": hardening.model_size,
        "latency_batch": hardening.latency_batch,
        "latency_seconds": hardening.latency_s,
        "soft_seconds": soft.tts_s,
        "soft_epochs": len(soft.history),
        "soft_latency_seconds": hardening.soft_latency_s,
    }


def usage_card(usage: Usage | None) -> dict[str, Any]:
    """Energy in kWh by how it is known, and carbon in kg CO2-equivalent; None where it is not known."""
    names = ("measured_kwh", "estimated_kwh", "measured_carbon_kg", "estimated_carbon_kg", "country")
    return {name: getattr(usage, name) for name in names} if usage else {}


def architecture_card(diagnosis: Diagnosis, decisions: Sequence[Decision]) -> dict[str, Any]:
    """What was decided, and what is left of each unit in words, from input to output."""
    return {"decisions": [asdict(decision) for decision in decisions], "words": words(diagnosis, decisions)}


def words(diagnosis: Diagnosis, decisions: Sequence[Decision]) -> Mapping[str, str]:
    """By unit, what the decisions left of it, from input to output."""
    return {unit_name(name): said(chain) for name, chain in chosen_chains(diagnosis, decisions).items()}
