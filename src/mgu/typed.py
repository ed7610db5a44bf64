"""Whether a dataclass that was made of somebody's JSON holds what its annotations say."""

import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")


def checked(found: T) -> T:
    """``found``, a dataclass, itself.

    Raises TypeError, naming the field, where a value is of another type than annotated. A whole number will do for a
    float, but must be one that a float holds; true and false are no numbers.
    """
    for name, annotation in _hints(cast(Any, type(found))).items():
        check(getattr(found, name), annotation, name)
    return found


@cache
def _hints(kind: Any) -> Mapping[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def check(value: Any, annotation: Any, name: str) -> None:
    """The same for one value, called ``name``, of an annotation."""
    if not _fits(value, annotation, name):
        raise TypeError(f"{name} is {str(value)[:40]!r}, no {getattr(annotation, '__name__', annotation)}")


def _fits(value: Any, annotation: Any, name: str) -> bool:
    if annotation is Any:
        return True
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return any(_fits(value, part, name) for part in parts if isinstance(value, _class(part)))
    if not isinstance(value, _class(annotation)):
        return False
    if origin in (tuple, list):
        wanted = parts if origin is tuple and parts[1:] != (...,) else parts[:1] * len(value)
        return len(wanted) == len(value) and all(map(_fits, value, wanted, [name] * len(value)))
    if origin is not None and issubclass(origin, Mapping):
        return all(_fits(key, parts[0], name) and _fits(inner, parts[1], name) for key, inner in value.items())
    if is_dataclass(annotation):
        checked(value)
    is_number = annotation in (int, float)
    return not is_number or (not isinstance(value, bool) and (isinstance(value, float) or _is_held(value)))


def _class(annotation: Any) -> Any:
    if annotation is None:
        return NoneType
    return (int, float) if annotation is float else get_origin(annotation) or annotation


def _is_held(number: int) -> bool:
    return abs(number) <= sys.float_info.max
