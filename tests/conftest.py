"""Nothing of the tests lies in the user's cache, and nothing there is taken by them.

The processes of one test run share a cache of their own, and have a thread each: on two cores, two
that wait for each other's threads take longer than one after the other.
"""

import atexit
import gc
import os
from shutil import rmtree
from tempfile import mkdtemp

if "BENCH_TEST_CACHE" not in os.environ:
    os.environ["BENCH_TEST_CACHE"] = mkdtemp(prefix="bench-cache-")
    atexit.register(rmtree, os.environ["BENCH_TEST_CACHE"], ignore_errors=True)
os.environ["BENCH_CACHE"] = os.environ["BENCH_TEST_CACHE"]

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported


def pytest_collection_finish() -> None:
    """Imported modules stay to the end: the garbage collections that end every run skip them."""
    gc.freeze()


def pytest_unconfigure() -> None:
    """They may be taken down in order at exit."""
    gc.unfreeze()
