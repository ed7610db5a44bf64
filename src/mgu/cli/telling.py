"""Which of several processes tells how their command ended."""

from datetime import timedelta

from mgu import torchrun

#: torchrun keeps a store for its processes, which answers at once or never.
PATIENCE = timedelta(seconds=5)


def first_to_tell() -> bool:
    """Whether none of the other processes that torchrun started has asked this before; True where it started none.

    The first process that ends has torchrun stop the others, which then must not speak of that.
    """
    if torchrun.processes() == 1:
        return True
    from torch.distributed import DistError
    from torch.distributed.rendezvous import rendezvous

    try:
        store, _, _ = next(rendezvous("env://", timeout=PATIENCE))
        return bool(store.add("told", 1) == 1)
    except DistError:
        return True
