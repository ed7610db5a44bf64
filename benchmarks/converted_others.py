"""What converting does to models that nobody here wrote: those of transformers, with random weights.

    python benchmarks/converted_others.py [ROUNDS] [NAME ...]

Each is converted, a copy trained for a few steps, and the converted one hardened with each gate on its own side, after
which it is the model's function again. Printed are the groups that became units, why layers stay, the largest output
differences from the model, the loss before and after the steps, and median ms of an evaluation pass of the model with
the ratio of the hardened one to it, the two called in turn; that of a mere copy says how much the clock is worth.
"""

import copy
import importlib.util
import sys
from collections import Counter
from pathlib import Path

import torch
import transformers

from mgu.torch import MultiGatedUnit, compare_latency, convert
from mgu.torch.harden import decide

STEPS, BATCHES, SIDE = 10, (1, 8), 64

#: Where the models of the tests are too small to be timed.
SIZES = {
    "ResNet": {"embedding_size": 64, "hidden_sizes": [64, 128, 256, 512], "depths": [2, 2, 2, 2]},  # ResNet-18
    "RegNet": {"embedding_size": 32, "hidden_sizes": [24, 56, 152, 368], "depths": [1, 1, 4, 7], "groups_width": 8},
    "ConvNext": {"hidden_sizes": [40, 80, 160, 320], "depths": [2, 2, 6, 2], "num_stages": 4},  # ConvNeXt-Atto
    "ConvNextV2": {"hidden_sizes": [40, 80, 160, 320], "depths": [2, 2, 6, 2], "num_stages": 4},
    "ViT": {"hidden_size": 192, "num_attention_heads": 3, "intermediate_size": 768, "image_size": 64, "patch_size": 8},
    "Bert": {"hidden_size": 128, "intermediate_size": 512},
}


def others():
    """The models that the tests have."""
    path = Path(__file__).parents[1] / "tests" / "others.py"
    spec = importlib.util.spec_from_file_location("others", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def trained(model, batch):
    """The loss of a copy before and after a few steps of Adam."""
    model, labels = copy.deepcopy(model).train(), torch.arange(max(BATCHES)) % 5
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=1e-4), []
    for _ in range(STEPS + 1):
        optimizer.zero_grad()
        loss = model(**batch, labels=labels).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses[0], losses[-1]


def hardened(model, x):
    """The plain model with each gate on the side that it is more open for."""
    gates = {gate for unit in model.modules() if isinstance(unit, MultiGatedUnit) for gate in unit.gate_names}
    samples = [(x[:1], torch.zeros(1, dtype=torch.long))]
    plain, _ = decide(model, samples, lambda output, labels: output.logits.sum() * 0, as_opened=gates)
    assert not any(isinstance(module, MultiGatedUnit) for module in plain.modules())
    return plain


def show(name, model, batch, rounds):
    (x,) = batch.values()
    converted = convert(model, batch)
    groups = ", ".join(f"{count} {group}" for group, count in Counter(converted.converted.values()).items())
    print(f"{name}: {len(converted.converted)} units ({groups}), {len(converted.left)} layers left")
    for reason, count in Counter(converted.left.values()).items():
        print(f"  {count} left: {reason}")
    print(
        f"  differences: in evaluation {converted.largest_difference:.2g}, training {converted.training_difference:.2g}"
    )
    print("  loss before and after {} steps: {:.3f}, {:.3f}".format(STEPS, *trained(converted.model, batch)))
    plain = hardened(converted.model, x)
    with torch.no_grad():
        answers, found = model(x).logits, plain(x).logits
    print(f"  hardened: difference {(found - answers).abs().max():.2g}, outputs up to {answers.abs().max():.2g}")
    for size in BATCHES:
        models = {"original": model, "copy": copy.deepcopy(model), "hardened": plain}
        s = compare_latency(models, x[:size], rounds)
        print(
            f"  batch {size}: {1000 * s['original']:.2f} ms, copy / original {s['copy'] / s['original']:.3f}, "
            f"hardened / original {s['hardened'] / s['original']:.3f}",
            flush=True,
        )


def main(rounds="30", *names):
    models = others()
    print(f"transformers {transformers.__version__}, torch {torch.__version__}, {torch.get_num_threads()} thread")
    for name in names or models.TRANSFORMERS:
        torch.manual_seed(0)
        model, batch = models.of_transformers(transformers, name, max(BATCHES), SIDE, **SIZES.get(name, {}))
        show(name, model, batch, int(rounds))


if __name__ == "__main__":
    main(*sys.argv[1:])
