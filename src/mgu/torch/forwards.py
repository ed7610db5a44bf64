"""The forwards of a model that may call layers, and what is taken out of them."""

from typing import Any

from torch import fx, nn

from mgu.torch.follow import in_a_row, observed, traced
from mgu.torch.fused import hooked
from mgu.torch.running import run
from mgu.torch.unit import MultiGatedUnit


class Forward:
    """A module, what its forward does, and whether that graph may take the forward's place, or has to."""

    def __init__(self, owner: nn.Module, graph: fx.Graph, editable: bool) -> None:
        self.owner, self.graph, self.editable, self.edited = owner, graph, editable, False

    def has_own_place(self, node: fx.Node) -> bool:
        """Whether the step is the only one that calls its module."""
        return node.op == "call_module" and sum(other.target == node.target for other in self.graph.nodes) == 1

    def drop(self, node: fx.Node) -> None:
        """Take a norm or an activation out."""
        if self.has_own_place(node):
            self.owner.set_submodule(str(node.target), nn.Identity())
        else:
            node.replace_all_uses_with(node.args[0])  # type: ignore[arg-type]
            self.graph.erase_node(node)
            self.edited = True


def forwards(model: nn.Module, batch: Any) -> list[Forward]:
    """The forwards that may call layers: of Sequentials, and of classes that are not torch's."""
    found, unseen = [], []
    for module in outside_units(model):
        if isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
            found.append(Forward(module, in_a_row(module), False))
        elif not type(module).__module__.startswith("torch.nn."):
            graph = traced(module)
            if graph is not None:
                found.append(Forward(module, graph, not hooked(module)))
            else:
                unseen.append(module)
    for owner, graph in observed(model, unseen, lambda: run(model, batch)).items():
        found.append(Forward(owner, graph, False))
    return found


def outside_units(model: nn.Module) -> list[nn.Module]:
    """The modules that are no part of a unit."""
    inside = {part for unit in model.modules() if isinstance(unit, MultiGatedUnit) for part in unit.modules()}
    return [module for module in model.modules() if module not in inside]
