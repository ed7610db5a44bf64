"""What every test starts from: one thread, since the workers share the cores, a cache of its own, and no deadlines."""

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported, and for the processes that tests start

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


#: Keras has one backend a process: tests/test_backends.py runs these in a process of their own for each.
collect_ignore = [] if "KERAS_BACKEND" in os.environ else ["keras", "parity"]

#: What takes longest begins first, so that no worker waits for it at the end.
LONGEST = ("test_backends.py", "test_docs.py", "test_chaos.py")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MGU_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def denormals():
    """Training in this process takes them for 0; what other tests draw has them."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)
