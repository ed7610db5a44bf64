"""A module that is a graph of torch's layers, as quick to call as one written by hand."""

from typing import Any

from torch import fx


class PlainModule(fx.GraphModule):
    """A ``torch.fx.GraphModule`` without the wrapper that fx puts round each call to word errors, which costs some
    microseconds a call."""

    def recompile(self) -> Any:
        code = super().recompile()
        del type(self).__call__
        return code
