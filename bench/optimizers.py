"""The optimisers a suite can name: torch's own, on stacked parameters.

Adam, RMSprop and SGD act element by element, so one update of parameters stacked over seeds
equals one update for each seed.  The learning rate is a tensor filled in place (a float would
compile anew with every change of a schedule).  RMSprop and SGD are traced into the compiled step,
with `foreach` off, since inductor fuses the loop itself.  Adam is torch's fused kernel, called
after the compiled gradients: inductor leaves the two powers of its bias correction inside the loop
over the parameters: gradients and update outside the matrix products took 1.6 times as long.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from annotated_types import Ge, Gt, Lt

Rate = Annotated[float, Gt(0.0)]
Decay = Annotated[float, Ge(0.0), Lt(1.0)]


def _filled(
    optimizer: torch.optim.Optimizer, buffers: tuple[str, ...], *, step: bool = True
) -> torch.optim.Optimizer:
    """The optimiser with its state in place, so that the first step is like every other."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            state: dict[str, Any] = {name: torch.zeros_like(parameter) for name in buffers}
            if step:
                on_cpu = not group.get("fused") and not group.get("capturable")
                where = "cpu" if on_cpu else parameter.device
                state["step"] = torch.zeros((), dtype=torch.float32, device=where)
            optimizer.state[parameter] = state
    return optimizer


@dataclass(frozen=True)
class Adam:
    """Kingma & Ba 2015, algorithm 1."""

    traceable: ClassVar[bool] = False
    """Whether the update can be part of a compiled step."""
    lr: Rate = 1e-4
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    eps: Rate = 1e-8

    def stacked(
        self, parameters: Iterable[torch.Tensor], lr: torch.Tensor
    ) -> torch.optim.Optimizer:
        """For parameters with a leading seed axis; `lr` is the 0-d tensor a schedule fills."""
        optimizer = torch.optim.Adam(parameters, lr=lr, betas=self.betas, eps=self.eps, fused=True)
        return _filled(optimizer, ("exp_avg", "exp_avg_sq"))

    def plain(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """As a tutorial constructs it."""
        return torch.optim.Adam(parameters, lr=self.lr, betas=self.betas, eps=self.eps)


@dataclass(frozen=True)
class RMSprop:
    """Hinton 2012, lecture 6e; `alpha` is the decay that Keras calls rho."""

    traceable: ClassVar[bool] = True
    lr: Rate = 5e-5
    alpha: Decay = 0.99
    eps: Rate = 1e-8

    def stacked(
        self, parameters: Iterable[torch.Tensor], lr: torch.Tensor
    ) -> torch.optim.Optimizer:
        """For parameters with a leading seed axis; `lr` is the 0-d tensor a schedule fills."""
        optimizer = torch.optim.RMSprop(
            parameters,
            lr=lr,
            alpha=self.alpha,
            eps=self.eps,
            foreach=False,
            capturable=lr.device.type == "cuda",
        )
        return _filled(optimizer, ("square_avg",))

    def plain(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """As a tutorial constructs it."""
        return torch.optim.RMSprop(parameters, lr=self.lr, alpha=self.alpha, eps=self.eps)


@dataclass(frozen=True)
class SGD:
    """Gradient descent, with heavy-ball momentum where `momentum` is above 0."""

    traceable: ClassVar[bool] = True
    lr: Rate = 1e-2
    momentum: Decay = 0.0

    def stacked(
        self, parameters: Iterable[torch.Tensor], lr: torch.Tensor
    ) -> torch.optim.Optimizer:
        """For parameters with a leading seed axis; `lr` is the 0-d tensor a schedule fills."""
        optimizer = torch.optim.SGD(parameters, lr=lr, momentum=self.momentum, foreach=False)
        return _filled(optimizer, ("momentum_buffer",) if self.momentum else (), step=False)

    def plain(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """As a tutorial constructs it."""
        return torch.optim.SGD(parameters, lr=self.lr, momentum=self.momentum)
