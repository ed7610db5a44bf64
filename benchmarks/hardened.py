"""How fast the hardened networks of a study are: against the network as a person would write it, and the soft one.

    python benchmarks/hardened.py STUDY [ROUNDS]

For each hardened network of the study, as `load` gives it: median ms a batch of 1 and of 64 in evaluation mode, and the
ratios to the class in the source file beside it, which is torch's layers one after the other, and of the soft network
to it. Two are called in turn at a time: what is called after a third finds its caches otherwise. The source files of
the study are run: let the study be one of your own.
"""

import importlib.util
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

from mgu.study.ledger import read_study
from mgu.study.runner import trial_folder
from mgu.torch import build_network, compare_latency, load, read_card
from mgu.training import flush_denormals


def generated(folder):
    """The network of the generated source."""
    spec = importlib.util.spec_from_file_location("generated", folder / "model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.load()


def networks(study, record, settings):
    """The input shape, and the three networks by name."""
    folder = trial_folder(Path(study), record.trial)
    card = read_card(folder / "hardened")
    soft = build_network(record.trial.architecture, card.input_shape, len(card.card["classes"]), **settings["unit"])
    soft.load_state_dict(load_file(folder / "weights.safetensors"))
    return card.input_shape, {
        "hardened": load(folder / "hardened"),
        "by hand": generated(folder / "hardened"),
        "soft": soft,
    }


def main(study, rounds="200"):
    flush_denormals()
    view = read_study(Path(study))
    print(f"{'':28}{'batch':>6}{'hardened, ms':>14}{'/ by hand':>11}{'soft /':>9}")
    for record in view.records:
        if not record.hardened or record.hardened.status != "finished":
            continue
        shape, models = networks(study, record, view.settings)
        for batch in (1, 64):
            x = torch.randn(batch, *shape)

            def pair(other, x=x, models=models):
                found = compare_latency({name: models[name] for name in ("hardened", other)}, x, int(rounds))
                return found["hardened"], found[other]

            (hardened, by_hand), (again, soft) = pair("by hand"), pair("soft")
            name = f"{record.trial.model_name} seed {record.trial.seed}"
            print(f"{name:28}{batch:>6}{1000 * hardened:>14.3f}{hardened / by_hand:>11.3f}{soft / again:>9.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
