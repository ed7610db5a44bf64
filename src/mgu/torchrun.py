"""What torchrun tells the processes that it starts, by environment variables."""

import os


def processes() -> int:
    """How many there are, on all machines; 1 where torchrun has not started this one."""
    return int(os.environ["WORLD_SIZE"]) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def rank() -> int:
    """Which of them this one is, from 0."""
    return int(os.environ["RANK"]) if processes() > 1 else 0


def local_rank() -> int:
    """Which of those on its machine this one is, from 0."""
    return int(os.environ["LOCAL_RANK"]) if processes() > 1 else 0
