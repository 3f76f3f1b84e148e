"""The stopwatch, run as a script in a process of its own: it times the training of the tree that
its import path leads to.

    python -P harness.py        with PYTHONPATH leading to the tree

Requests come in on standard input and answers go out on standard output, a line of JSON each; what
the tree itself prints goes to standard error.  It times by nothing of `bench` but
`training.subject`, so that both sides of a check are timed by the same code, whatever each of them
has become; `errors` and `registry` tell it what a tree lacks.

    hello     foreign                   → protocol, versions
    open      specs, device, cold, usual → compile_seconds, engine, notes
    warm_up   seconds, cores            → step_seconds
    block     steps                     → seconds
    reference repeats                   → seconds
    close                               → peak_memory_bytes
    imports   roots, checkout           → files (path → SHA-256), strays (module → path)

`usual` are the default values of the parts' options, by kind of part: a tree that has not an option
yet does without it where its value is the default.
`foreign` are names of modules that the other side alone has: an installed copy would be of that.
`checkout` is the user's own folder of the repository, from which neither side may import.

An answer to a request that failed has `error`, a line, and `kind`: `old` for a tree without this
protocol, `missing` for a part that it lacks, `crashed` for anything else.
"""

from __future__ import annotations

import ctypes
import gc
import hashlib
import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import gettempdir
from typing import Any

PROTOCOL = 1
REFERENCE_VERSION = 1
"""Raised when the reference kernel changes: a stored baseline is then worth nothing."""
Answer = dict[str, Any]
Usual = dict[str, dict[str, Any]]


class Harness:
    """Answers requests, one subject open at a time."""

    def __init__(self) -> None:
        """Nothing is imported before `hello`."""
        self._subject: Any = None
        self._device: Any = None
        self._kernels: dict[str, Callable[[], None]] = {}
        self._cores = _cores()

    def hello(self, foreign: Sequence[str] = ()) -> Answer:
        """Import the tree; its protocol, and what it runs on."""
        sys.meta_path.insert(0, _Foreign(foreign))
        try:
            from bench.training import subject
        except ImportError as error:
            if error.name not in {"bench", "bench.training", "bench.training.subject"}:
                raise  # it has it, and lacks something else
            found = getattr(sys.modules.get("bench"), "__file__", None) or "not there"
            told = f"bench.training.subject ({error}; bench is {found})"
            text = f"this revision has no worker protocol, {told}"
            return {"error": text, "kind": "old"}
        found = getattr(subject, "PROTOCOL", None)
        if found != PROTOCOL:
            text = f"this revision speaks worker protocol {found}, not {PROTOCOL}"
            return {"error": text, "kind": "old"}
        import torch

        return {"protocol": found, "python": platform.python_version(), "torch": torch.__version__}

    def open(self, specs: list[str], device: str, cold: bool, usual: Usual | None = None) -> Answer:
        """Build a group and compile its steps."""
        import torch

        from bench.errors import UnknownName

        self._device = torch.device(device)
        if self._device.type == "cuda":  # streams and graphs are of the current device
            torch.cuda.set_device(self._device)
        try:
            lacking = self._open(specs, device, cold, usual or {})
        except (UnknownName, ModuleNotFoundError, AttributeError) as error:
            missing = isinstance(error, UnknownName) or _names_a_part(error, specs)
            if not missing:
                raise
            return {"error": _line(error), "kind": "missing"}
        return {
            "compile_seconds": self._subject.compile_seconds,
            "engine": self._subject.engine,
            "notes": [*lacking, *self._subject.notes],
        }

    def _open(self, specs: list[str], device: str, cold: bool, usual: Usual) -> list[str]:
        """What was left out of the specs, a line each."""
        from bench.training.subject import open_subject

        try:
            self._subject = open_subject(specs, device, cold=cold)
        except TypeError:
            lacking = _lacking(specs[0], usual)
            if not lacking:
                raise
            known = [_without(each, lacking) for each in specs]
            self._subject = open_subject(known, device, cold=cold)
            return [f"this revision has no {kind}.{name} yet" for kind, name in lacking]
        return []

    def warm_up(self, seconds: float, cores: Sequence[int] = ()) -> Answer:
        """Train for so long at least; about how long a step takes.  Peak memory starts anew.

        From here to `close` on these CPU cores alone, if any are named.
        """
        _stay_on(cores)
        began, steps = time.perf_counter(), 1
        self.block(2)
        while True:
            took = self.block(steps)["seconds"]
            if time.perf_counter() - began > seconds:
                break
            steps *= 2
        _reset_peak(self._device)
        return {"step_seconds": took / steps}

    def block(self, steps: int) -> Answer:
        """Train a block."""
        return {"seconds": self._timed(lambda: self._subject.advance(steps))}

    def reference(self, repeats: int) -> Answer:
        """Run the reference kernel, which no revision changes."""
        name = str(self._device)
        if name not in self._kernels:
            self._kernels[name] = _reference(self._device)
            self._timed(self._kernels[name])
        kernel = self._kernels[name]

        def repeat() -> None:
            for _ in range(repeats):
                kernel()

        return {"seconds": self._timed(repeat)}

    def close(self) -> Answer:
        """Let go of the subject; the most memory that its blocks took."""
        peak = _peak(self._device)
        self._subject = None
        _stay_on(self._cores)
        gc.collect()
        _give_back(self._device)
        return {"peak_memory_bytes": peak}

    def imports(self, roots: list[str], checkout: str) -> Answer:
        """Every module that came from the roots, and those of theirs that came from elsewhere."""
        files, strays = {}, {}
        folders = [Path(root).resolve() for root in roots]
        own, outside = (
            {each.stem for folder in folders for each in folder.iterdir()},
            str(Path(checkout).resolve()),
        )
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if not file or name in {"__main__", "__mp_main__"}:  # this file, by both its names
                continue
            if not os.path.isabs(file):  # `_ops.py` of `torch.ops`: no file, and found nowhere
                continue
            near = _real(os.path.dirname(file)).startswith(outside)
            if name.partition(".")[0] not in own and not near:
                continue  # thousands of others
            path = Path(file).resolve()
            home = next((each for each in folders if path.is_relative_to(each)), None)
            if home is not None:
                files[str(path.relative_to(home))] = hashlib.sha256(path.read_bytes()).hexdigest()
            elif any(_holds(each, name) for each in folders) or _in_checkout(path, outside):
                strays[name] = str(path)
        return {"files": files, "strays": strays}

    def _timed(self, work: Callable[[], None]) -> float:
        """Seconds on the device, by its own events on a GPU, until all of the work is done."""
        import torch

        if self._device.type != "cuda":
            began = time.perf_counter()
            work()
            return time.perf_counter() - began
        stream = torch.cuda.current_stream(self._device)
        events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]  # type: ignore[no-untyped-call] # torch's
        torch.cuda.synchronize(self._device)
        events[0].record(stream)
        work()
        torch.cuda.synchronize(self._device)  # a tree may work on streams of its own
        events[1].record(stream)
        events[1].synchronize()
        return float(events[0].elapsed_time(events[1])) / 1e3


def _lacking(spec: str, usual: Usual) -> list[tuple[str, str]]:
    """Options that the spec's parts have not here, and whose values are the usual ones."""
    from bench import registry

    found = []
    for kind, defaults in usual.items():
        part = json.loads(spec)[kind]
        known = getattr(registry.load(f"{kind}s", part["name"]), "__dataclass_fields__", part)
        others = part.keys() & defaults.keys() - known.keys()
        found += [(kind, name) for name in sorted(others) if part[name] == defaults[name]]
    return found


def _without(spec: str, options: Sequence[tuple[str, str]]) -> str:
    found = json.loads(spec)
    for kind, name in options:
        del found[kind][name]
    return json.dumps(found)


class _Foreign:
    """Finds none of the modules that only the other side has, wherever they are installed."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)

    def find_spec(self, name: str, *rest: object) -> None:
        """Raises `ModuleNotFoundError` for one of them."""
        if name in self._names:
            text = f"no module {name!r} in this revision, only in the other one"
            raise ModuleNotFoundError(text, name=name)


def _names_a_part(error: Exception, specs: list[str]) -> bool:
    """Whether what is missing is a part that the specs name, and not something it imports."""
    from bench import registry

    named = [
        (f"{kind}s", value["name"])
        for kind, value in json.loads(specs[0]).items()
        if isinstance(value, dict) and "name" in value
    ]
    targets = [
        registry.entries(kind)[name].target
        for kind, name in named
        if name in registry.entries(kind)
    ]
    for target in targets:
        module, _, attribute = target.partition(":")
        if isinstance(error, ModuleNotFoundError) and error.name:
            if module == error.name or module.startswith(f"{error.name}."):
                return True
        elif isinstance(error, AttributeError) and error.name == attribute:
            return True
    return False


def _cores() -> list[int]:
    """Those this process may use; none where the system does not tell."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def _stay_on(cores: Sequence[int]) -> None:
    """Keep every thread of this process on some cores, where the system can."""
    if not cores or not hasattr(os, "sched_setaffinity"):
        return
    with suppress(FileNotFoundError):  # Linux alone has the folder
        for thread in os.listdir("/proc/self/task"):
            with suppress(OSError):  # it has just ended
                os.sched_setaffinity(int(thread), cores)


@cache
def _real(folder: str) -> str:
    return os.path.realpath(folder)


def _in_checkout(path: Path, checkout: str) -> bool:
    """Whether it is the user's own code there, and neither an environment's that lies inside nor
    what a compiler wrote."""
    if not path.is_relative_to(checkout) or {"site-packages", "dist-packages"} & {*path.parts}:
        return False
    written = os.environ.get("TORCHINDUCTOR_CACHE_DIR", sys.prefix)
    places = {Path(p).resolve() for p in (sys.prefix, sys.base_prefix, gettempdir(), written)}
    inside = [place for place in places if Path(checkout) in place.parents]  # not around it
    return not any(path.is_relative_to(place) for place in inside)


def _holds(root: Path, name: str) -> bool:
    """Whether a module of that name lies under the root."""
    place = root.joinpath(*name.split("."))
    return place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()


def _reference(device: Any) -> Callable[[], None]:
    """A fixed mix of what a training step does: products in and beyond the caches, and a pass over
    memory; some milliseconds on one core."""
    import torch

    draw = torch.Generator().manual_seed(0)
    size = 384 if device.type == "cpu" else 2048
    a, b = (torch.randn(size, size, generator=draw).to(device) for _ in range(2))
    wide = torch.randn(1 << 20 if device.type == "cpu" else 1 << 24, generator=draw).to(device)

    @torch.no_grad()
    def kernel() -> None:
        torch.mm(a, b)
        torch.mm(b, a)
        wide.mul(0.5).add_(1.0).tanh_().sum()

    return kernel


def _reset_peak(device: Any) -> None:
    """Start the peak anew; a system that cannot keeps the old one."""
    import torch

    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()  # what compiling took; what a captured graph works in stays
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak(device: Any) -> int | None:
    """Bytes: reserved on a GPU, resident of the process on a CPU (Linux alone tells).

    Not allocated: what a captured graph works in is free to the allocator once it is captured.
    """
    import torch

    if device.type == "cuda":
        return int(torch.cuda.max_memory_reserved(device))
    with suppress(OSError):
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        peaks = (int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
        return next(peaks, None)
    return None


def _give_back(device: Any) -> None:
    """Memory that is free, to the system: the next subject shall not find it."""
    import torch

    if device.type == "cuda":
        torch.cuda.empty_cache()
        return
    with suppress(OSError, AttributeError):  # glibc's; others have none
        ctypes.CDLL(None).malloc_trim(0)


def _line(error: BaseException) -> str:
    """An exception in one line: its kind, its text, its place."""
    text = " ".join(str(error).split())
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {text}{where}"


def serve() -> None:
    """Answer requests until there are no more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    os.dup2(2, 1)  # what the tree prints is no answer
    with open(os.devnull, encoding="utf-8") as nothing:
        os.dup2(nothing.fileno(), 0)  # and what it reads no request: a forgotten breakpoint() ends
    harness = Harness()
    for line in requests:
        request = json.loads(line)
        try:
            answer = getattr(harness, request.pop("do"))(**request)
        except Exception as error:  # the one broad except: the driver names the side and the case
            traceback.print_exc()
            answer = {"error": _line(error), "kind": "crashed"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve()
