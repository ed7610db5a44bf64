"""How long ``import mgu`` takes, in a fresh process, beside those of what it needs: the median of 11, in seconds.

python benchmarks/imports.py
"""

import subprocess
import sys
from statistics import median

ROUNDS = 11
TIMED = "import time; begun = time.perf_counter(); import {}; print(time.perf_counter() - begun)"


def seconds(module: str) -> float:
    run = [sys.executable, "-c", TIMED.format(module)]
    return median(float(subprocess.run(run, capture_output=True, text=True, check=True).stdout) for _ in range(ROUNDS))


if __name__ == "__main__":
    for module in ("mgu", "mgu.cli", "numpy", "torch"):
        print(f"import {module:<8} {seconds(module):.3f} s")
