"""A training that goes on from any of its checkpoints ends bit for bit as one that was never stopped."""

import pytest
import torch

from mgu.training import fit
from resuming import MGU, PLAIN, RECIPE, Stopped, Stopping, outcome, same, small_data, stopped_after_steps


def arrays(network):
    return [tensor.numpy() for tensor in network.state_dict().values()]


def forget():
    torch.manual_seed(99)


@pytest.mark.parametrize("architecture", [PLAIN, MGU], ids=["plain", "mgu"])
def test_going_on_from_any_step_gives_the_same_bits(architecture, tmp_path):
    """Of five steps an epoch each is one that it is stopped after."""
    stopped_after_steps(architecture, tmp_path, arrays, forget, lambda steps: range(1, steps + 1, 7))


def test_a_training_stopped_again_and_again_ends_the_same(tmp_path):
    expected = outcome(fit(MGU, small_data(), RECIPE, seed=3), arrays)
    for _ in range(30):
        try:
            fitted = fit(MGU, small_data(), RECIPE, seed=3, keeper=Stopping(tmp_path, 4))
        except Stopped:
            continue
        break
    same(outcome(fitted, arrays), expected)


def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_gives_the_same_bits(tmp_path):
    expected = outcome(fit(PLAIN, small_data(), RECIPE, seed=3), arrays)
    with pytest.raises(Stopped):
        fit(PLAIN, small_data(), RECIPE, seed=3, keeper=Stopping(tmp_path, 4))
    last = max(tmp_path.glob("checkpoint-*"))
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1
    last.write_bytes(content)
    going_on = Stopping(tmp_path)
    same(outcome(fit(PLAIN, small_data(), RECIPE, seed=3, keeper=going_on), arrays), expected)
    assert going_on.written == 6 * 5 - 3  # from after the third step on
    assert last.with_name(f"unusable-{last.name}").exists()


def test_what_is_kept_was_spent_in_the_soft_and_in_the_plain_network(tmp_path):
    """The seconds of a checkpoint are those of the whole trial: they never go back, and none is there twice."""

    class Recording(Stopping):
        def write(self, checkpoint):
            seconds.append((checkpoint.facts["elapsed_s"], "solved" in checkpoint.facts))
            super().write(checkpoint)

    seconds = []
    result = fit(MGU, small_data(), RECIPE, keeper=Recording(tmp_path)).result
    kept = [elapsed_s for elapsed_s, _ in seconds]
    assert kept == sorted(kept)
    soft_s = max(elapsed_s for elapsed_s, solved in seconds if not solved)
    hardened = result.hardening
    beside_s = hardened.result.tts_s - hardened.result.history[hardened.after_epoch - 1].elapsed_s
    assert soft_s <= result.tts_s <= next(elapsed_s for elapsed_s, solved in seconds if solved)
    assert kept[-1] <= result.tts_s + beside_s


def test_its_clocks_go_on(tmp_path):
    with pytest.raises(Stopped):
        fit(PLAIN, small_data(), RECIPE, keeper=Stopping(tmp_path, 4 * 5 + 2))
    kept = Stopping(tmp_path).newest().facts["run"]["at"]
    result = fit(PLAIN, small_data(), RECIPE, keeper=Stopping(tmp_path)).result
    assert [epoch.elapsed_s for epoch in result.history[:4]] == [epoch["elapsed_s"] for epoch in kept["history"]]
    assert result.history[4].elapsed_s > kept["elapsed_s"] > kept["history"][3]["elapsed_s"]
    assert result.tts_s > result.train_s > kept["train_s"]
