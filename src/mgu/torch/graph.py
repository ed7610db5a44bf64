"""Modules that are a graph of torch's layers, as quick to call as those written by hand, and modules put in places."""

from collections.abc import Mapping
from typing import Any

from torch import fx, nn


class PlainModule(fx.GraphModule):
    """A ``torch.fx.GraphModule`` without the wrapper that fx puts round each call to word errors, which costs some
    microseconds a call; and whose copies keep what ``keep`` gave it."""

    def recompile(self) -> Any:
        code = super().recompile()
        del type(self).__call__
        return code

    def __deepcopy__(self, memo: Any) -> Any:
        copied = super().__deepcopy__(memo)
        keep(copied, kept(self))
        return copied


def keep(module: nn.Module, constants: Mapping[str, Any]) -> None:
    """Give the module what others read of the one whose place it takes, such as a convolution's stride."""
    for name, value in {**constants, "kept": {**constants}}.items():
        setattr(module, name, value)


def kept(module: nn.Module) -> Mapping[str, Any]:
    """What ``keep`` gave the module."""
    return vars(module).get("kept", {})  # type: ignore[no-any-return]


def put(model: nn.Module, old: nn.Module, new: nn.Module) -> nn.Module:
    """The model with a module in all places where another was."""
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if child is old:
                setattr(parent, name, new)
    return new if model is old else model
