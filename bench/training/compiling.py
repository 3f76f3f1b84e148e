"""A pure step as machine code: traced once, compiled once, and called without a check.

`torch.compile` looks at every call whether its code still holds, which took a fifteenth of a small
step, and traces through `torch.func` in Python, which took seconds in every process.  Here a step
is traced by `make_fx` on tensors without data, and inductor compiles what comes of it: whatever
shapes and settings it was traced with are the only ones it has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._inductor import standalone_compile
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree

Step = Callable[..., Any]
GRAPHS = 0
"""How many graphs this process has compiled; a run's second step must not add to it."""


def compiled(step: Step, fixed: Any, varying: Any) -> Callable[[Any], Any]:
    """`step(fixed, varying)` as a compiled function of what varies alone.

    Both are trees of tensors.  `fixed` are the tensors that live as long as the function and are
    changed in place; a later `varying` must have the structure, shapes and types of the first.
    """
    global GRAPHS  # noqa: PLW0603 - a count, for the tests
    still, still_form = pytree.tree_flatten(fixed)
    moving, moving_form = pytree.tree_flatten(varying)
    count = len(still)
    result: list[pytree.TreeSpec] = []

    def flat(*tensors: Tensor) -> list[Tensor]:
        inputs = pytree.tree_unflatten(list(tensors[:count]), still_form)
        batch = pytree.tree_unflatten(list(tensors[count:]), moving_form)
        leaves, form = pytree.tree_flatten(step(inputs, batch))
        result.append(form)
        return leaves

    with torch.no_grad():
        graph = make_fx(flat, tracing_mode="fake")(*still, *moving)
        artifact = standalone_compile(graph, [*still, *moving], donate_graph_module=True)
    GRAPHS += 1
    form = result[-1]

    def run(varying: Any) -> Any:
        return pytree.tree_unflatten(artifact(*still, *pytree.tree_leaves(varying)), form)

    return run
