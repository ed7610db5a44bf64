"""What every test starts from: one thread, since the workers share the cores, and a cache of its own."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported, and for the processes that tests start

import pytest


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MGU_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
