"""What is printed of a model: what it learned, how good it is and what it took."""

from collections.abc import Iterator, Mapping
from typing import Any

from mgu.data.preprocessing import Preprocessing
from mgu.history import Answers, Errors, Flops
from mgu.metrics import metrics
from mgu.model.fitting import FittedModel
from mgu.report.units import energy, flops, quantity


def fitted_lines(model: FittedModel) -> Iterator[str]:
    """The data, the network, its learned architecture, the metrics on the test split, and the cost."""
    data, cost = model.data, model.card["cost"]
    sizes = ", ".join(
        f"{len(split.y):,} {role}" for role, split in zip(("training", "validation", "test"), data.splits, strict=True)
    )
    yield f"Data: {data.short_name}, {sizes}; {answers_words(model.preprocessing)}"
    plan = model.architecture.plan(data.input_shape)
    channels = ", ".join(str(layer.output_shape[0]) for layer in plan)
    yield f"Network: {len(plan)} layers of {channels} channels, {cost['weights']:,} weights; what its gates left:"
    for unit, text in model.card["architecture"]["words"].items():
        yield f"  {unit}: {text}"
    yield f"Test: {metrics_words(model.hardening.result.test_answers)}"
    yield f"Cost: {cost_words(cost)}"


def answers_words(wanted: Preprocessing) -> str:
    """What a model answers."""
    return f"{len(wanted.classes)} classes" if wanted.classes else "a quantity"


def metrics_words(answers: Answers | Errors | None) -> str:
    """How good answers are; errors in the target's unit."""
    if isinstance(answers, Answers):
        found = metrics(answers)
        return (
            f"accuracy {100 * found.accuracy:.2f} %, macro F1 {100 * found.macro.f1:.2f} %, log loss "
            f"{answers.log_loss:.4f}, of {found.macro.support:,} samples"
        )
    return (
        f"R² {answers.r2:.4f}, mean error {answers.mae:.4g}, root mean square {answers.rmse:.4g}" if answers else "none"
    )


def cost_words(cost: Mapping[str, Any]) -> str:
    """What the training took, the soft epochs included, and what the soft network's own training took beside."""
    operations = flops(Flops(**cost["operations"])) if cost["operations"] else "not counted"
    kinds = {"measured": cost.get("measured_kwh"), "estimated": cost.get("estimated_kwh")}
    known = [f"{energy(kwh)} {kind}" for kind, kwh in kinds.items() if kwh is not None]
    return (
        f"{quantity(cost['seconds'], 's')} for {cost['epochs']} epochs, hardened after epoch "
        f"{cost['hardened_after_epoch']}; {operations} (matrix products / all); "
        f"energy {', '.join(known) or 'not metered'}; the soft network, trained to its end beside, "
        f"{quantity(cost['soft_seconds'], 's')}"
    )
