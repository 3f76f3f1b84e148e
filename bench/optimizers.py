"""The optimisers a suite can name: torch's own, on stacked parameters.

Adam, RMSprop and SGD act element by element, so one update of parameters stacked over seeds
equals one update for each seed.  Three settings keep them exact and cheap when the step is
compiled: the learning rate is a tensor filled in place (a float would compile anew with every
change of a schedule), `foreach` is off (inductor fuses the loop itself), and Adam's `step`
counts in float64 (compiled Adam computes the bias correction from it; in float32 the first
update is off by 6e-6).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Lt

Rate = Annotated[float, Gt(0.0)]
Decay = Annotated[float, Ge(0.0), Lt(1.0)]


def _filled(
    optimizer: torch.optim.Optimizer, buffers: tuple[str, ...], step_on: torch.device | None
) -> torch.optim.Optimizer:
    """The optimiser with its state in place, so that the first step is like every other."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            state: dict[str, Any] = {name: torch.zeros_like(parameter) for name in buffers}
            if step_on is not None:
                # torch keeps `step` in float32 for capturable kernels and asks for it there
                dtype = torch.float64 if step_on.type == "cpu" else torch.float32
                state["step"] = torch.zeros((), dtype=dtype, device=step_on)
            optimizer.state[parameter] = state
    return optimizer


def _settings(parameters: list[torch.Tensor]) -> tuple[dict[str, Any], torch.device]:
    """Keyword arguments common to all, and where `step` lives (on CUDA, with the parameters)."""
    device = parameters[0].device
    on_cuda = device.type == "cuda"
    return {"foreach": False, "capturable": on_cuda}, device if on_cuda else torch.device("cpu")


@dataclass(frozen=True)
class Adam:
    """Kingma & Ba 2015, algorithm 1."""

    lr: Rate = 1e-4
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    eps: Rate = 1e-8

    def stacked(
        self, parameters: Iterable[torch.Tensor], lr: torch.Tensor
    ) -> torch.optim.Optimizer:
        """For parameters with a leading seed axis; `lr` is the 0-d tensor a schedule fills."""
        parameters = list(parameters)
        settings, where = _settings(parameters)
        optimizer = torch.optim.Adam(parameters, lr=lr, betas=self.betas, eps=self.eps, **settings)
        return _filled(optimizer, ("exp_avg", "exp_avg_sq"), where)

    def plain(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """As a tutorial constructs it."""
        return torch.optim.Adam(parameters, lr=self.lr, betas=self.betas, eps=self.eps)


@dataclass(frozen=True)
class RMSprop:
    """Hinton 2012, lecture 6e; `alpha` is the decay that Keras calls rho."""

    lr: Rate = 5e-5
    alpha: Decay = 0.99
    eps: Rate = 1e-8

    def stacked(
        self, parameters: Iterable[torch.Tensor], lr: torch.Tensor
    ) -> torch.optim.Optimizer:
        """For parameters with a leading seed axis; `lr` is the 0-d tensor a schedule fills."""
        parameters = list(parameters)
        settings, where = _settings(parameters)
        optimizer = torch.optim.RMSprop(
            parameters, lr=lr, alpha=self.alpha, eps=self.eps, **settings
        )
        return _filled(optimizer, ("square_avg",), where)

    def plain(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """As a tutorial constructs it."""
        return torch.optim.RMSprop(parameters, lr=self.lr, alpha=self.alpha, eps=self.eps)


@dataclass(frozen=True)
class SGD:
    """Gradient descent, with heavy-ball momentum where `momentum` is above 0."""

    lr: Rate = 1e-2
    momentum: Decay = 0.0

    def stacked(
        self, parameters: Iterable[torch.Tensor], lr: torch.Tensor
    ) -> torch.optim.Optimizer:
        """For parameters with a leading seed axis; `lr` is the 0-d tensor a schedule fills."""
        optimizer = torch.optim.SGD(parameters, lr=lr, momentum=self.momentum, foreach=False)
        return _filled(optimizer, ("momentum_buffer",) if self.momentum else (), None)

    def plain(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """As a tutorial constructs it."""
        return torch.optim.SGD(parameters, lr=self.lr, momentum=self.momentum)
