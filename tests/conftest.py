"""Nothing of the tests lies in the user's cache, and nothing there is taken by them."""

import os
from tempfile import mkdtemp

os.environ["BENCH_CACHE"] = mkdtemp(prefix="bench-cache-")
