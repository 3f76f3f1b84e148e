"""The optimisers a suite can name, on parameters stacked over seeds.

Adam, RMSprop and SGD act element by element, so one update of stacked parameters equals one update
for each seed.  The learning rate is a 0-d tensor that a schedule fills in place: a number would be
compiled in.  Adam is torch's fused kernel, called after the compiled gradients: inductor leaves the
two powers of its bias correction inside the loop over the parameters, which made everything outside
the matrix products 1.6 times as long.  RMSprop and SGD are written out, and fuse with the
gradients: torch's own read a tensor's learning rate back as a number for each parameter, which
cannot be traced and on a GPU waits for it.  Both are held against torch's in the tests.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Protocol

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor

Rate = Annotated[float, Gt(0.0)]
Decay = Annotated[float, Ge(0.0), Lt(1.0)]

Parameters = dict[str, Tensor]
"""Name → (K, …), the parameters of K seeds, or as many gradients."""
Moments = dict[str, Parameters]
"""What an optimiser carries from step to step: its name for it → one tensor a parameter."""


class Optimizer(Protocol):
    """An elementwise update of stacked parameters."""

    lr: Rate
    traceable: ClassVar[bool]
    """Whether the update can be part of a compiled step."""

    def moments(self, parameters: Parameters) -> Moments:
        """Those of an optimiser that has made no step."""

    def update(
        self, parameters: Parameters, gradients: Parameters, moments: Moments, lr: Tensor
    ) -> None:
        """One step, in place on the parameters and the moments; `lr` is 0-d."""

    def plain(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """Torch's own, for the parameters of one seed, as a tutorial constructs it."""


@dataclass(frozen=True)
class Adam:
    """Kingma & Ba 2015, algorithm 1."""

    traceable: ClassVar[bool] = False
    lr: Rate = 1e-4
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    eps: Rate = 1e-8

    def moments(self, parameters: Parameters) -> Moments:
        """Running means of the gradients and of their squares, and the number of steps."""
        device = next(iter(parameters.values())).device
        return {
            "exp_avg": _zeros(parameters),
            "exp_avg_sq": _zeros(parameters),
            "step": {"count": torch.zeros((), device=device)},
        }

    def update(
        self, parameters: Parameters, gradients: Parameters, moments: Moments, lr: Tensor
    ) -> None:
        """One step of all parameters by one kernel."""
        count = moments["step"]["count"].add_(1)
        torch._fused_adam_(
            list(parameters.values()),
            # the kernel walks through memory: what lies otherwise than the parameter is copied
            [gradient.contiguous() for gradient in gradients.values()],
            list(moments["exp_avg"].values()),
            list(moments["exp_avg_sq"].values()),
            [],
            [count] * len(parameters),
            lr=lr,
            beta1=self.betas[0],
            beta2=self.betas[1],
            weight_decay=0.0,
            eps=self.eps,
            amsgrad=False,
            maximize=False,
        )

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

    def moments(self, parameters: Parameters) -> Moments:
        """Running means of the squared gradients."""
        return {"square_avg": _zeros(parameters)}

    def update(
        self, parameters: Parameters, gradients: Parameters, moments: Moments, lr: Tensor
    ) -> None:
        """θ ← θ − lr · g / (√v + ε), v the running mean of g²."""
        for name, parameter in parameters.items():
            gradient, average = gradients[name], moments["square_avg"][name]
            average.mul_(self.alpha).addcmul_(gradient, gradient, value=1 - self.alpha)
            parameter.sub_(lr * gradient / (average.sqrt() + self.eps))

    def plain(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """As a tutorial constructs it."""
        return torch.optim.RMSprop(parameters, lr=self.lr, alpha=self.alpha, eps=self.eps)


@dataclass(frozen=True)
class SGD:
    """Gradient descent, with heavy-ball momentum where `momentum` is above 0."""

    traceable: ClassVar[bool] = True
    lr: Rate = 1e-2
    momentum: Decay = 0.0

    def moments(self, parameters: Parameters) -> Moments:
        """The velocity, where there is momentum."""
        return {"momentum_buffer": _zeros(parameters)} if self.momentum else {}

    def update(
        self, parameters: Parameters, gradients: Parameters, moments: Moments, lr: Tensor
    ) -> None:
        """θ ← θ − lr · v, v ← momentum · v + g."""
        for name, parameter in parameters.items():
            step = gradients[name]
            if self.momentum:
                step = moments["momentum_buffer"][name].mul_(self.momentum).add_(step)
            parameter.sub_(lr * step)

    def plain(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """As a tutorial constructs it."""
        return torch.optim.SGD(parameters, lr=self.lr, momentum=self.momentum)


def _zeros(parameters: Parameters) -> Parameters:
    return {name: torch.zeros_like(parameter) for name, parameter in parameters.items()}
