"""What is checked of a folder before its network is read: whoever wrote it."""

from collections.abc import Mapping
from pathlib import Path
from stat import S_ISREG
from typing import Any

from mgu.errors import InputError
from mgu.spaces import Architecture
from mgu.torch.network import model_size

#: No description of a network takes more bytes.
MOST_DESCRIBED = 64 * 2**20


def inside(folder: Path, name: str) -> Path:
    """A regular file of the folder. Raises InputError for one that is missing, or a link out of it, or no file."""
    path = folder / name
    try:
        found = path.resolve(strict=True)
        if found.is_relative_to(folder.resolve()) and S_ISREG(found.stat().st_mode):
            return path
    except (OSError, RuntimeError):
        raise InputError(f"{path} is missing; a model folder has it") from None
    raise InputError(f"{path} is no file of its own in the folder; it is not read")


def check_fits(
    architecture: Architecture, input_shape: tuple[int, ...], outputs: int, unit: Mapping[str, Any], size: int
) -> None:
    """Raise InputError, before memory is taken, for a network of more weights than a file of ``size`` bytes holds."""
    # The layers' own weights first: to build a thousand units takes long, even without memory for their weights.
    _check_size(_layer_weights(architecture, input_shape), size)
    _check_size(model_size(architecture, input_shape, outputs, **unit), size)


def _layer_weights(architecture: Architecture, input_shape: tuple[int, ...]) -> int:
    kernel = architecture.kernel_size ** (len(input_shape) - 1)
    return sum(plan.input_shape[0] * plan.output_shape[0] * kernel for plan in architecture.plan(input_shape))


def _check_size(weights: int, size: int) -> None:
    if 4 * weights > size:
        raise InputError(f"{weights:,} weights do not fit into {size:,} bytes")
