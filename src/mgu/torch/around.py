"""The unit that a group of a model's own layer, norm and activation becomes."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from mgu.errors import InputError
from mgu.torch.explain import evaluating
from mgu.torch.gates import ReplicaGates
from mgu.torch.groups import Group
from mgu.torch.norms import BatchNorm
from mgu.torch.unit import MultiGatedUnit
from mgu.wiring import FORMS, PRIORS, cell_decision, gates, harden
from mgu.wiring import Op as Operation

#: The logit at which gates start, and at which they pass on the one side wholly: as far as the prior "plain" is.
REACH = PRIORS["plain"]


def unit_around(layer: nn.Module, group: Group, kind: str, bypass: str) -> MultiGatedUnit:
    """A unit that is what the group is, with gates of a ``kind`` and a bypass: the layer, the norm and the activation
    are the group's own.

    Gates start at a logit of REACH on the group's side, which with the unit's ``reach`` is that side alone; those that
    the group says nothing of start at one half. Where there is no activation, batch norm has no order with it: that
    gate is left out. Raises InputError for a layer that the gates or the bypass do not take.
    """
    form = "equations" if group.order == "ln" and group.norm_first else "code"
    start = cell_decision(group.order, residual=False)
    prior = [
        0.0 if gate.name not in start else REACH if start[gate.name] == gate.open else -REACH
        for gate in gates(FORMS[form])
    ]
    unit = MultiGatedUnit(layer, group.activation, gates=kind, prior=prior, form=form, bypass=bypass)
    unit.reach = REACH
    if isinstance(group.activation, nn.Identity):
        _decide(unit, {"bn_order": "bn_pre"})
    unit.train(layer.training)
    _take_norm(unit, group, form)  # in its own mode: frozen statistics stay so
    if isinstance(unit.gates, ReplicaGates):
        for replica in unit.gates.replicas:
            nn.init.zeros_(replica.weight)  # type: ignore[arg-type]
    return unit


def check_shapes(unit: MultiGatedUnit, taken: torch.Size, given: torch.Size) -> None:
    """Raises InputError where the unit does not give the layer's shape for an input such as the layer had."""
    with evaluating(unit), torch.no_grad():
        weight = unit.operations["linear"].weight
        x = torch.zeros(1, *taken[1:], device=weight.device, dtype=weight.dtype)  # type: ignore[arg-type]
        try:
            found = unit(x).shape[1:]
        except RuntimeError as error:
            raise InputError(f"a unit around it does not run: {error}") from error
    if found != given[1:]:
        raise InputError(f"a unit around it gives {tuple(found)} a sample, the layer {tuple(given[1:])}")


def check_apart(unit: MultiGatedUnit, read: Mapping[str, Any]) -> None:
    """Raises InputError where the unit has something else under a name that others read of the layer."""
    for name, value in read.items():
        if getattr(unit, name, value) != value:
            raise InputError(f"its {name} is read besides, and a unit has another")


def _decide(unit: MultiGatedUnit, decision: dict[str, str]) -> None:
    unit.chain = harden(unit.chain, decision)
    kept = [node.name for node in unit.chain if isinstance(node, Operation)]
    unit.operations = nn.ModuleDict({name: unit.operations[name] for name in kept})


def _take_norm(unit: MultiGatedUnit, group: Group, form: str) -> None:
    """Put the group's norm in its place; further batch norms get its settings."""
    places = {"bn_pre": "bn", "bn_post": "bn_post", "ln": "ln" if form == "code" else "ln_linear"}
    if group.norm is None:
        return
    unit.operations[places[group.order]] = group.norm
    for operation in unit.operations.values():
        if isinstance(operation, BatchNorm) and isinstance(group.norm, BatchNorm):
            operation.eps, operation.momentum = group.norm.eps, group.norm.momentum
