"""What each default of the unit is worth: each choice on and off, over seeds, on three data sets.

    python experiments/ablation.py digits|mnist|cifar10 OUT_FOLDER [DATA_FOLDER] [SEEDS]

Trains the MGU network with the defaults, once for each other choice with that one choice changed, and the plain cells
of the same layout, all by the paper's recipe. Each run is a line of OUT_FOLDER/NAME.csv as soon as it is done; started
again, the runs that are there are left out. Printed, and written to OUT_FOLDER/NAME.md, is the table: means over the
seeds with their standard deviations, and the paired difference to the defaults.
"""

import csv
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any
from unittest import mock

from torch import nn

from mgu.data import DataSet, Split, load_data
from mgu.files import write_whole
from mgu.history import Epoch
from mgu.spaces import Architecture, Cell, load_space
from mgu.torch import MultiGatedUnit, build_network
from mgu.training import Recipe, fit, fitting

COLUMNS = ("arm", "seed", "status", "val_acc", "test_acc", "hardened_val_acc", "hardened_test_acc", "train_s", "epochs")
DEFAULTS = "MGU, the defaults"
TEST_IMAGES = 4000


@dataclass(frozen=True)
class Arm:
    """One choice: a plain cell or options of the unit, options of the recipe, what is done to the network once it is
    built, and to its units after an epoch, given the share of the epochs done."""

    cell: str = ""
    unit: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=lambda: {"harden_after": 0.0})
    built: Callable[[MultiGatedUnit], None] = lambda unit: None
    epoch_ended: Callable[[MultiGatedUnit, float], None] = lambda unit, share: None


def gate_rate(factor: float) -> Callable[[MultiGatedUnit], None]:
    """Gates that learn ``factor`` times as fast from the same start: logits = factor * (weights / factor)."""

    def built(unit: MultiGatedUnit) -> None:
        unit.sharpness = factor
        for weight in unit.gates.parameters():
            weight.data /= factor

    return built


def sharpened(unit: MultiGatedUnit, share: float) -> None:
    """g = sigmoid(k logits), k growing from 1 to 10 by the same factor each epoch."""
    unit.sharpness = 10.0**share


ARMS: Mapping[str, Arm] = {
    **{f"plain {cell}": Arm(cell=cell) for cell in ("bn_pre", "bn_post", "ln", "no_norm", "bn_post+residual")},
    DEFAULTS: Arm(recipe={}),
    "hardened after 0.2": Arm(recipe={"harden_after": 0.2}),
    "hardened after 0.5": Arm(recipe={"harden_after": 0.5}),
    "prior neutral (the paper's)": Arm(unit={"prior": "neutral"}),
    "prior to bn_pre": Arm(unit={"prior": [4, 4, 4, 4, -4]}),
    "prior to bn_post": Arm(unit={"prior": [-4, 4, 4, 4, -4]}),
    "prior weaker": Arm(unit={"prior": [0, 2, 2, 2, -2]}),
    "gates squeeze": Arm(unit={"gates": "squeeze"}),
    "gates depthwise": Arm(unit={"gates": "depthwise"}),
    "gates replica (the paper's)": Arm(unit={"gates": "replica"}),
    "bypass normed": Arm(unit={"bypass": "normed"}),
    "bypass replica (the paper's)": Arm(unit={"bypass": "replica"}),
    "form equations": Arm(unit={"form": "equations"}),
    "gates learn 3 x as fast": Arm(built=gate_rate(3.0)),
    "gates learn 0.3 x as fast": Arm(built=gate_rate(0.3)),
    "sharpened to 10": Arm(epoch_ended=sharpened),
    "as in the paper": Arm(unit={"prior": "neutral", "gates": "replica", "bypass": "replica"}),
}


def setting(name: str, folder: str) -> tuple[DataSet, Architecture, Recipe]:
    """The data, the MGU network's architecture, and the recipe."""
    if name == "digits":
        return load_data("digits"), _mgu(load_space("digits").models()), Recipe(epochs=60)
    data = load_data(folder, limit=4800)
    data = replace(data, test=Split(data.test.x[:TEST_IMAGES], data.test.y[:TEST_IMAGES]))
    space = load_space("mnist" if name == "mnist" else str(Path(__file__).with_name("cifar10-7-layers.toml")))
    return data, _mgu(space.models()), Recipe(epochs=10)


def _mgu(models: Mapping[str, Architecture]) -> Architecture:
    return next(architecture for architecture in models.values() if architecture.cell is None)


def train(arm: Arm, data: DataSet, mgu: Architecture, recipe: Recipe, seed: int) -> dict[str, Any]:
    """One run, as a row under ``COLUMNS``."""
    units: list[MultiGatedUnit] = []

    def build(*arguments: Any, **options: Any) -> nn.Module:
        network = build_network(*arguments, **options)
        units.extend(module for module in network.modules() if isinstance(module, MultiGatedUnit))
        for unit in units:
            arm.built(unit)
        return network

    def on_epoch(epoch: Epoch) -> None:
        for unit in units:
            arm.epoch_ended(unit, epoch.epoch / recipe.epochs)

    architecture = replace(mgu, cell=Cell.of(arm.cell)) if arm.cell else mgu
    with mock.patch.object(fitting, "build_network", build):
        result = fit(
            architecture, data, replace(recipe, **arm.recipe), seed=seed, unit=arm.unit, on_epoch=on_epoch
        ).result
    hard = result.hardening.result if result.hardening else None
    return {
        "status": result.status,
        "val_acc": _percent(result.val_score),
        "test_acc": _percent(result.test_score),
        "hardened_val_acc": _percent(hard.val_score if hard else None),
        "hardened_test_acc": _percent(hard.test_score if hard else None),
        "train_s": f"{result.train_s:.1f}",
        "epochs": len(result.history),
    }


def _percent(fraction: float | None) -> str:
    return "" if fraction is None else f"{100 * fraction:.3f}"


def table(rows: list[dict[str, str]]) -> Iterator[str]:
    """The runs in Markdown, an arm a line."""
    yield "| choice | validation, % | test, % | less the defaults | hardened, validation | hardened, test | diverged |"
    yield "|---|---|---|---|---|---|---|"
    base = {row["seed"]: row for row in rows if row["arm"] == DEFAULTS}
    for arm in dict.fromkeys(row["arm"] for row in rows):
        own = [row for row in rows if row["arm"] == arm]
        paired = [(row, base[row["seed"]]) for row in own if row["seed"] in base]
        gaps = [float(a["val_acc"]) - float(b["val_acc"]) for a, b in paired if a["val_acc"] and b["val_acc"]]
        figures = (_spread([row[name] for row in own]) for name in ("val_acc", "test_acc"))
        hard = (_spread([row[name] for row in own]) for name in ("hardened_val_acc", "hardened_test_acc"))
        missed = sum(row["status"] != "finished" for row in own)
        gap = f"{fmean(gaps):+.2f} ({', '.join(f'{gap:+.2f}' for gap in gaps)})" if gaps and arm != DEFAULTS else ""
        yield "| " + " | ".join([arm, *figures, gap, *hard, f"{missed} of {len(own)}"]) + " |"


def _spread(figures: list[str]) -> str:
    known = [float(figure) for figure in figures if figure]
    return f"{fmean(known):.2f} ± {stdev(known):.2f}" if len(known) > 1 else "".join(f"{k:.2f}" for k in known)


def main(name: str, out: str, folder: str = "", seeds: str = "3") -> None:
    path = Path(out) / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = list(csv.DictReader(path.read_text().splitlines())) if path.is_file() else []
    data, mgu, recipe = setting(name, folder)
    for seed in range(int(seeds)):
        for label, arm in ARMS.items():
            if any((row["arm"], row["seed"]) == (label, str(seed)) for row in rows):
                continue
            done = {"arm": label, "seed": str(seed), **train(arm, data, mgu, recipe, seed)}
            rows.append({column: str(done[column]) for column in COLUMNS})
            lines = [",".join(COLUMNS), *(",".join(f'"{row[column]}"' for column in COLUMNS) for row in rows)]
            write_whole(path, ("\n".join(lines) + "\n").encode())
            print(*rows[-1].values(), flush=True)
    text = "\n".join(table(rows)) + "\n"
    write_whole(path.with_suffix(".md"), text.encode())
    print(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
