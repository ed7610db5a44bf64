"""The forwards of a model that may call layers, and what is put and taken out there."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeGuard

from torch import fx, nn

from mgu.errors import InputError
from mgu.torch.besides import Seen, constants
from mgu.torch.follow import as_module, in_a_row, observed, traced
from mgu.torch.fused import hooked
from mgu.torch.graph import keep, put
from mgu.torch.groups import Group
from mgu.torch.running import in_training, run, run_as_is
from mgu.torch.unit import MultiGatedUnit


class Forward:
    """A module, what its forward does, and whether that graph may take the forward's place, or has to.

    ``seen`` is what the model's modules do with one another, ``read`` what others read of this one; None where its
    graph may not take its place. ``otherwise`` is what the forward did in calls that were unlike the graph.
    """

    def __init__(
        self,
        model: nn.Module,
        seen: Seen,
        owner: nn.Module,
        graph: fx.Graph,
        read: Mapping[str, Any] | None = None,
        otherwise: Sequence[fx.Graph] = (),
    ) -> None:
        self.model, self.seen, self.owner, self.graph, self.read = model, seen, owner, graph, read
        self.otherwise, self.edited = otherwise, False
        self.calls: Mapping[nn.Module, int] = {}  # the steps that call a module, in all forwards

    def module(self, node: fx.Node) -> nn.Module:
        """What a step calls."""
        return self.owner.get_submodule(str(node.target))

    def most_calls(self) -> Counter[nn.Module]:
        """How often each module is called in one run of the forward, at most."""
        most = Counter[nn.Module]()
        for graph in (self.graph, *self.otherwise):
            most |= Counter(self.module(node) for node in graph.find_nodes(op="call_module"))
        return most

    def always(self, group: Group, rank: int) -> bool:
        """Whether each call that was seen has the group wholly, or nothing of it."""
        return all(group.is_in(graph, self.owner, rank) for graph in self.otherwise)

    def may_drop(self, node: fx.Node) -> bool:
        """Whether a norm or an activation can be taken out: one that nobody reads of, in a place of its own or a graph
        that may be rewritten."""
        if node.op == "call_module" and self.seen.reads[self.module(node)]:
            return False
        return self.read is not None or self.has_own_place(node)

    def has_own_place(self, node: fx.Node) -> bool:
        """Whether another module can be put where the step finds its own, for this step alone."""
        return node.op == "call_module" and (self._by_place or self.calls[self.module(node)] == 1)

    def put(self, node: fx.Node, module: nn.Module) -> None:
        """Put a module where the step finds its own."""
        if self._by_place:
            self.owner.set_submodule(str(node.target), module)
        else:
            put(self.model, self.module(node), module)

    def drop(self, node: fx.Node) -> None:
        """Take a norm or an activation out."""
        if self.has_own_place(node):
            self.put(node, nn.Identity())
        else:
            node.replace_all_uses_with(node.args[0])  # type: ignore[arg-type]
            self.graph.erase_node(node)
            self.edited = True

    def rewritten(self) -> nn.Module:
        """The module with the graph for its forward."""
        module = as_module(self.owner, self.graph)
        keep(module, self.read or {})
        return module

    @property
    def _by_place(self) -> bool:
        """Whether the forward runs what is in its places; another knows a module by any of its names."""
        return _is_row(self.owner)


def forwards(model: nn.Module, batch: Any, seen: Seen) -> list[Forward]:
    """The forwards that ran and may call layers: of Sequentials, and of classes that are not torch's."""
    found, unseen = [], []
    for module in outside_units(model):
        if module not in seen.called and "forward" not in seen.reads[module]:
            continue
        if _is_row(module):
            found.append(Forward(model, seen, module, in_a_row(module)))
        elif not type(module).__module__.startswith("torch.nn."):
            graph = traced(module)
            if graph is not None:
                found.append(Forward(model, seen, module, graph, _readable(module, seen)))
            else:
                unseen.append(module)
    for owner, (graph, *otherwise) in _observed(model, unseen, batch).items():
        found.append(Forward(model, seen, owner, graph, otherwise=otherwise))
    calls = sum((forward.most_calls() for forward in found), Counter[nn.Module]())
    for forward in found:
        forward.calls = calls
    return found


def _observed(model: nn.Module, owners: Iterable[nn.Module], batch: Any) -> dict[nn.Module, list[fx.Graph]]:
    """The graphs of each owner's calls, those in evaluation first, then what else it does in training."""
    wanted = set(owners)
    if not wanted:
        return {}
    graphs = observed(model, wanted, lambda: run(model, batch))
    twin = in_training(model)
    own = {twin.get_submodule(name): module for name, module in model.named_modules() if module in wanted}
    for owner, found in observed(twin, own, lambda: run_as_is(twin, batch)).items():
        graphs.setdefault(own[owner], []).extend(found)
    return graphs


def outside_units(model: nn.Module) -> list[nn.Module]:
    """The modules that are no part of a unit."""
    inside = {part for unit in model.modules() if isinstance(unit, MultiGatedUnit) for part in unit.modules()}
    return [module for module in model.modules() if module not in inside]


def _is_row(module: nn.Module) -> TypeGuard[nn.Sequential]:
    return isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward


def _readable(module: nn.Module, seen: Seen) -> Mapping[str, Any] | None:
    """What others read of the module; None where a graph in its place would lack that, or hooks would go unheard."""
    try:
        return None if hooked(module) else constants(module, seen.reads[module])
    except InputError:
        return None
