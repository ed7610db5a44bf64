"""A network as an ONNX file that was run and compared before it was written."""

import importlib
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mgu.errors import InputError
from mgu.files import write_whole
from mgu.torch.build import agree, as_shape, attempt, check_classes, dtype_of
from mgu.torch.trace import on_cpu

INPUT, OUTPUT = "x", "y"
#: The sizes of the batches that the file is compared on.
BATCHES = (1, 5)
#: A message of protobuf cannot be larger.
_LARGEST = 2**31 - 1


def to_onnx(
    model: nn.Module, path: str | Path, input_shape: Sequence[int], classes: Sequence[str | int] | None = None
) -> Path:
    """Write the model to one ONNX file, weights included, and return its path.

    The file's input ``x`` is (batch, *input_shape) and its output ``y`` what the model gives in evaluation mode, for
    any batch; class labels go to the file's metadata as JSON under "classes". Before it is written, whole or not at
    all, ONNX Runtime runs it on random inputs in batches of 1 and 5: a difference above 1e-5 of the largest output
    raises InputError. The model is as before afterwards.

    Raises InputError besides where onnx, onnxscript or onnxruntime is missing, for weights that are not float32 or
    take 2 GiB or more, for classes that are not one for each output, and for a model that torch.onnx cannot
    export.
    """
    onnxruntime, shape, path = _needed(), as_shape(input_shape), Path(path)
    plain = on_cpu(model)
    samples = [_sample(plain, batch, shape) for batch in BATCHES]
    answers = [attempt("the network does not run", plain, x) for x in samples]
    if classes is not None:
        check_classes(classes, answers[0])
    content = _exported(plain, _sample(plain, 2, shape), classes)
    session = attempt("ONNX Runtime", onnxruntime.InferenceSession, content, providers=["CPUExecutionProvider"])
    for x, expected in zip(samples, answers, strict=True):
        (answer,) = attempt("ONNX Runtime", session.run, [OUTPUT], {INPUT: x.numpy()})
        agree("the ONNX file", torch.from_numpy(answer), expected)
    write_whole(path, content)
    return path


def _needed() -> Any:
    """ONNX Runtime; what the exporter needs is there too. Raises InputError where one is missing."""
    try:
        for name in ("onnx", "onnxscript"):
            importlib.import_module(name)
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        raise InputError(f'ONNX files need {error.name}: pip install "mgu[onnx]"') from error


def _sample(model: nn.Module, batch: int, shape: tuple[int, ...]) -> Tensor:
    dtype = dtype_of(model.state_dict())
    if dtype != torch.float32:  # ONNX Runtime has no Selu, say, for the others
        raise InputError(f"ONNX files are written of float32 weights; these are {dtype}: give model.float()")
    return torch.randn(batch, *shape, dtype=dtype, generator=torch.Generator().manual_seed(batch))


def _exported(model: nn.Module, x: Tensor, classes: Sequence[str | int] | None) -> bytes:
    size = sum(weight.nbytes for weight in model.state_dict().values())
    if size > _LARGEST:
        raise InputError(f"the weights take {size} bytes; an ONNX file of one piece holds less than 2 GiB")
    with _quiet():
        program = attempt(
            "torch.onnx cannot export the network",
            torch.onnx.export,
            model,
            (x,),
            dynamo=True,
            verbose=False,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
        )
    description = program.model_proto
    if classes is not None:
        description.metadata_props.add(key="classes", value=json.dumps(list(classes)))
    return bytes(description.SerializeToString())


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter of torch 2.13 warns of its own use of pytrees, and logs that torchvision is not there."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".*LeafSpec", FutureWarning)
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)
