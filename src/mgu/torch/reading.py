"""What is checked of a folder before its network is read: whoever wrote it."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from mgu.errors import InputError
from mgu.files import is_own
from mgu.spaces import Architecture
from mgu.torch.network import model_size

#: No description of a network takes more bytes.
MOST_DESCRIBED = 64 * 2**20


def inside(folder: Path, name: str) -> Path:
    """A regular file of the folder. Raises InputError for one that is missing, or a link out of it, or no file."""
    path = folder / name
    try:
        if is_own(path, folder.resolve(), sys.maxsize):
            return path
    except (OSError, ValueError, RuntimeError):
        raise InputError(f"{path} is missing; a model folder has it") from None
    raise InputError(f"{path} is no file of its own in the folder; it is not read")


def read_inside(folder: Path, name: str, most: int) -> bytes:
    """What a regular file of the folder holds. Raises InputError as ``inside`` does, and for more than ``most`` bytes
    and more than memory has."""
    path = inside(folder, name)
    try:
        if (size := path.stat().st_size) > most:
            raise InputError(f"{path} has {size:,} bytes; a model's has at most {most:,} here: it is not read")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; a saved network has it") from error
    except MemoryError:
        raise InputError(f"{path} has {size:,} bytes, for which there is no memory") from None


def check_finite(weights: Mapping[str, Tensor], path: Path) -> None:
    """Raise InputError, naming the first, where a tensor of a file has NaN or an infinity."""
    for name, weight in weights.items():
        if weight.is_floating_point() and not weight.isfinite().all():
            raise InputError(f"{path}: {name} has numbers that are not finite; train the network anew")


def check_fits(
    architecture: Architecture, input_shape: tuple[int, ...], outputs: int, unit: Mapping[str, Any], size: int
) -> None:
    """Raise InputError, before memory is taken, for a network of more weights than a file of ``size`` bytes holds, and
    for a file that is larger than its weights and what is written of them."""
    # The layers' own weights first: to build a thousand units takes long, even without memory for their weights.
    _check_size(_layer_weights(architecture, input_shape), size)
    weights = model_size(architecture, input_shape, outputs, **unit)
    _check_size(weights, size)
    if size > 4 * weights + MOST_DESCRIBED:
        raise InputError(f"{size:,} bytes are more than {weights:,} weights and their names take")


def _layer_weights(architecture: Architecture, input_shape: tuple[int, ...]) -> int:
    kernel = architecture.kernel_size ** (len(input_shape) - 1)
    return sum(plan.input_shape[0] * plan.output_shape[0] * kernel for plan in architecture.plan(input_shape))


def _check_size(weights: int, size: int) -> None:
    if 4 * weights > size:
        raise InputError(f"{weights:,} weights do not fit into {size:,} bytes")
