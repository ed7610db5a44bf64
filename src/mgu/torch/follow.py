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


def observed(
    model: nn.Module, owners: Iterable[nn.Module], run: Callable[[], object]
) -> dict[nn.Module, list[fx.Graph]]:
    """The graphs of each owner's calls in ``run()``, which runs the model: the modules called in its forward, by
    their names in it, and torch's functions. Calls that do the same have one.

    A graph says who read whose output then, and is no module's forward: what is no tensor is kept where it is plain,
    and a tensor that comes from elsewhere is None. Owners that are not called are not in the answer.
    """
    recorder = _Recorder(owners)
    with ExitStack() as hooks:
        for module in model.modules():
            hooks.callback(module.register_forward_pre_hook(recorder.enter, with_kwargs=True).remove)
            hooks.callback(module.register_forward_hook(recorder.leave, with_kwargs=True).remove)
        hooks.enter_context(recorder)
        run()
    return {owner: list(graphs.values()) for owner, graphs in recorder.graphs.items()}


class _Call:
    """An owner's forward as it runs: its graph so far, and the steps that its tensors came from."""

    def __init__(self, names: Mapping[nn.Module, str]) -> None:
        self.names, self.graph = names, fx.Graph()
        self.came_from: dict[int, tuple[fx.Node, Tensor]] = {}  # while tensors live, no other has their identity

    def came(self, result: object, node: fx.Node) -> None:
        for tensor in tensors(result):
            self.came_from[id(tensor)] = node, tensor

    def nodes(self, value: Any) -> Any:
        """The value with the nodes of the tensors in it."""
        if isinstance(value, tuple | list):
            return tuple(self.nodes(item) for item in value)
        if isinstance(value, Mapping):
            return {str(key): self.nodes(item) for key, item in value.items()}
        if isinstance(value, Tensor):
            return self.came_from.get(id(value), (None,))[0]
        return value if isinstance(value, int | float | str) else None

    def step(self, called: nn.Module | Callable[..., Any], args: Any, kwargs: Any, result: object) -> None:
        reads = self.nodes(args), self.nodes(kwargs)
        if isinstance(called, nn.Module) and called in self.names:
            node = self.graph.call_module(self.names[called], *reads)
        else:
            node = self.graph.call_function(type(called) if isinstance(called, nn.Module) else called, *reads)
        self.came(result, node)


class _Recorder(TorchFunctionMode):
    """Records who reads which tensor in the forwards of the owners, each time they run."""

    def __init__(self, owners: Iterable[nn.Module]) -> None:
        super().__init__()
        self.names = {owner: {module: name for name, module in owner.named_modules()} for owner in owners}
        self.graphs: dict[nn.Module, dict[str, fx.Graph]] = {}
        self.running: list[_Call | None] = []

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        call = _Call(self.names[module]) if module in self.names else None
        self.running.append(call)
        if call is not None:
            for i, tensor in enumerate(tensors((args, kwargs))):
                call.came(tensor, call.graph.placeholder(f"input_{i}"))

    def leave(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        call = self.running.pop()
        if call is not None:
            call.graph.output(call.nodes(output))
            self.graphs.setdefault(module, {}).setdefault(str(call.graph), call.graph)
        if self.running and (outer := self.running[-1]) is not None:
            outer.step(module, args, kwargs, output)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if self.running and (call := self.running[-1]) is not None and func.__name__ != "__get__":
            call.step(func, args, kwargs or {}, result)
        return result


def tensors(value: object) -> list[Tensor]:
    """The tensors in a value: itself, or those in its tuples, lists and mappings."""
    if isinstance(value, Tensor):
        return [value]
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple | list) else ()
    return [tensor for item in inner for tensor in tensors(item)]
