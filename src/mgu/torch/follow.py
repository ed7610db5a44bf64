"""What a module's forward does with its children, as a graph: read off, traced, or seen in one run."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any

from torch import Tensor, fx, nn
from torch.overrides import TorchFunctionMode

from mgu.torch.graph import PlainModule


class _OwnerTracer(fx.Tracer):
    """Looks into one forward alone: its children are single steps."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True


def in_a_row(module: nn.Sequential) -> fx.Graph:
    """The graph of a Sequential. Each place is a step of its own, whichever module is in it."""
    graph = fx.Graph()
    value = graph.placeholder("input")
    for name in module._modules:
        value = graph.call_module(name, (value,))
    graph.output(value)
    return graph


def traced(module: nn.Module) -> fx.Graph | None:
    """The graph of a forward that takes one value and does the same whatever arrives, in training and evaluation.

    None where torch.fx cannot say so: where it cannot follow the forward, where there are further arguments, whose
    absence a forward may ask for, and where the two modes differ.
    """
    graphs = []
    mode = module.training
    try:
        for module.training in (True, False):
            graphs.append(_OwnerTracer().trace(module))
    except Exception:  # torch's own and whatever a forward of one's own raises for a stand-in
        return None
    finally:
        module.training = mode
    training, evaluation = graphs
    takes = [node for node in training.nodes if node.op == "placeholder"]
    same = training.python_code("self").src == evaluation.python_code("self").src
    return training if same and len(takes) == 1 and not str(takes[0].target).startswith("*") else None


def as_module(module: nn.Module, graph: fx.Graph) -> nn.Module:
    """The module with the graph for its forward: its own children and weights, under their names, each in its mode."""
    made = PlainModule(module, graph, class_name=type(module).__name__)
    for name, part in made.named_modules():
        part.training = module.get_submodule(name).training
    return made


def observed(model: nn.Module, owners: Iterable[nn.Module], run: Callable[[], object]) -> dict[nn.Module, fx.Graph]:
    """The graph of each owner's first call in ``run()``, which runs the model: the modules called in its forward, by
    their names in it, and torch's functions.

    It says who read whose output then, and is no module's forward: what is no tensor is kept where it is plain, and
    a tensor that comes from elsewhere is None. Owners that are not called are not in the answer.
    """
    recorder = _Recorder(owners)
    with ExitStack() as hooks:
        for module in model.modules():
            hooks.callback(module.register_forward_pre_hook(recorder.enter, with_kwargs=True).remove)
            hooks.callback(module.register_forward_hook(recorder.leave, with_kwargs=True).remove)
        hooks.enter_context(recorder)
        run()
    return recorder.graphs


class _Recorder(TorchFunctionMode):
    """Records who reads which tensor in the forwards of the owners, each while it runs for the first time."""

    def __init__(self, owners: Iterable[nn.Module]) -> None:
        super().__init__()
        self.names = {owner: {module: name for name, module in owner.named_modules()} for owner in owners}
        self.graphs: dict[nn.Module, fx.Graph] = {}
        self.values: dict[nn.Module, dict[int, fx.Node]] = {}
        self.running: list[nn.Module] = []
        self.alive: list[object] = []  # while tensors live, no other has their identity

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.running.append(module)
        if module in self.names and module not in self.graphs:
            graph = self.graphs[module] = fx.Graph()
            self.values[module] = {}
            for i, tensor in enumerate(tensors((args, kwargs))):
                self._came(module, tensor, graph.placeholder(f"input_{i}"))

    def leave(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        self.running.pop()
        if module in self.values:
            self.graphs[module].output(self._nodes(module, output))
            del self.values[module]
        if self.running and (owner := self.running[-1]) in self.values:
            name = self.names[owner].get(module)
            reads = (self._nodes(owner, args), self._nodes(owner, kwargs))
            graph = self.graphs[owner]
            node = graph.call_module(name, *reads) if name is not None else graph.call_function(type(module), *reads)
            self._came(owner, output, node)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if self.running and (owner := self.running[-1]) in self.values and func.__name__ != "__get__":
            reads = (self._nodes(owner, args), self._nodes(owner, kwargs or {}))
            self._came(owner, result, self.graphs[owner].call_function(func, *reads))
        return result

    def _came(self, owner: nn.Module, result: object, node: fx.Node) -> None:
        for tensor in tensors(result):
            self.values[owner][id(tensor)] = node
            self.alive.append(tensor)

    def _nodes(self, owner: nn.Module, value: Any) -> Any:
        """The value with the nodes of the tensors in it."""
        if isinstance(value, tuple | list):
            return tuple(self._nodes(owner, item) for item in value)
        if isinstance(value, Mapping):
            return {str(key): self._nodes(owner, item) for key, item in value.items()}
        if isinstance(value, Tensor):
            return self.values[owner].get(id(value))
        return value if isinstance(value, int | float | str) else None


def tensors(value: object) -> list[Tensor]:
    """The tensors in a value: itself, or those in its tuples, lists and mappings."""
    if isinstance(value, Tensor):
        return [value]
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple | list) else ()
    return [tensor for item in inner for tensor in tensors(item)]
