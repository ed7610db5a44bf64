"""Denormal numbers, which would make false speed-ups."""

import warnings

import torch


def flush_denormals() -> None:
    """Make the process take numbers below 1e-38 for 0: processors work on them many times slower, which hits
    networks without a norm (the grid's, not the unit's) and would pass for a speed-up.

    Threads keep the setting that they were started with: warns where torch's were started without it, which the first
    parallel operation before this call does.
    """
    torch.set_flush_denormal(True)
    tiny = torch.full((2**16 * torch.get_num_threads(),), 1e-38)
    if bool((tiny * 0.5).any()):
        warnings.warn(
            "torch's threads were started before denormal numbers were set to be taken for 0; timings of networks "
            "without a norm may be many times too long. Call mgu.training.flush_denormals() first in the process",
            stacklevel=3,
        )
