"""What a number was measured on."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import torch

import mgu


def environment(device: torch.device) -> dict[str, str]:
    """The versions, the hardware and the commit that a measurement was made with, as text by name."""
    return {
        "mgu": mgu.__version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": _cores(),
        "torch threads": str(torch.get_num_threads()),
        "device": _device(device),
    }


def _device(device: torch.device) -> str:
    """Its name, where torch sees it: it may be another framework's."""
    seen = device.type == "cuda" and torch.cuda.is_available()
    return torch.cuda.get_device_name(device) if seen else str(device)


def _commit() -> str:
    """The commit of the source tree that runs, with a + where it has changes; "release" outside a checkout."""
    source = Path(mgu.__file__).parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(source), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        tracked = git("ls-files", "--error-unmatch", Path(mgu.__file__).name)
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".")
        return git("rev-parse", "--short=12", "HEAD") + "+" * bool(changed) if tracked else "release"
    except (OSError, subprocess.SubprocessError):
        return "release"


def _cores() -> str:
    """The cores that this process may use, of those that the machine has."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{usable} of {os.cpu_count()}"


def _processor() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
