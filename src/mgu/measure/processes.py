"""What the processes of this machine take of its cores and its memory."""

import time

import psutil

#: Guest time is within user and nice; idle, waiting for disks, and time given to other virtual machines are no work.
_WORK = ("user", "nice", "system", "irq", "softirq")
_THIS = psutil.Process()


def process_s() -> float:
    """Seconds that cores have worked for this process, its threads together."""
    return time.process_time()


def machine_s() -> float:
    """Seconds that cores have worked for any process since the machine began."""
    times = psutil.cpu_times()
    return sum(getattr(times, kind, 0.0) for kind in _WORK)


def memory_mb() -> float:
    """This process's resident memory, in MB (10^6 bytes)."""
    return float(_THIS.memory_info().rss / 1e6)
