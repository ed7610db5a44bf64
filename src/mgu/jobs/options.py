"""What both jobs take: options of the data, of the recipe, and of the unit, by their names."""

from collections.abc import Mapping
from dataclasses import fields
from inspect import signature
from typing import Any, NamedTuple

from mgu.data import load_data
from mgu.errors import InputError
from mgu.recipe import Recipe
from mgu.wiring import OPTIONS

_DATA = [name for name in signature(load_data).parameters if name not in ("name", "seed")]
_RECIPE = [field.name for field in fields(Recipe)]


class Options(NamedTuple):
    """What is read of the data, how a network is trained, and MultiGatedUnit's options."""

    data: Mapping[str, Any]
    recipe: Recipe
    unit: Mapping[str, Any]

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "Options":
        """Those given, sorted by what they are of. Raises InputError for one that is none of them."""
        for name in given:
            if name not in (*_DATA, *_RECIPE, *OPTIONS):
                allowed = ", ".join((*_DATA, *_RECIPE, *OPTIONS))
                raise InputError(f"unknown option {name!r}; besides the function's own, allowed are {allowed}")
        data, recipe, unit = ({k: given[k] for k in names if k in given} for names in (_DATA, _RECIPE, OPTIONS))
        return cls(data, Recipe(**recipe), unit)
