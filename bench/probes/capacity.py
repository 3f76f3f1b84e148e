"""What clipping leaves of a critic: its estimate against the exact distance, clip by clip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Gt, Le, MinLen
from torch import Tensor, nn

from bench import registry
from bench.errors import DataError
from bench.extractors.base import SAMPLES, FeatureBank
from bench.extractors.points import POINTS
from bench.metrics.transport import AT_MOST, WASSERSTEIN_1
from bench.networks.base import Critic
from bench.objectives.wgan import WGAN, WGANGP
from bench.probes.base import Probe
from bench.probes.frozen import engine, strengthened
from bench.probes.trained import Rows, Steps, Subject
from bench.records import ProbeRow, Quantity, RunSpec
from bench.training.base import Recipe
from bench.training.diagnostics import share_at, slopes
from bench.training.stacked import Stacked

_X = "clip"
_WEIGHTED = (nn.Linear, nn.Conv2d)


@dataclass(frozen=True)
class Clips(WGAN):
    """Clipped critics stacked over as many bounds instead of seeds, all trained at once."""

    clips: tuple[float, ...] = ()

    def constrain(self, parameters: Iterable[Tensor]) -> None:
        """Clip the weights (K, …) of each by its own bound."""
        for parameter in parameters:
            shape = (-1, *(1 for _ in parameter.shape[1:]))
            bound = torch.tensor(self.clips, dtype=parameter.dtype, device=parameter.device)
            parameter.clamp_(-bound.view(shape), bound.view(shape))


@dataclass(frozen=True)
class Capacity(Probe):
    """Critics of every clip, and one under the gradient penalty, on the same two clouds."""

    clips: Annotated[tuple[Annotated[float, Gt(0.0), Le(1e6)], ...], MinLen(1)] = (
        1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0,
    )  # fmt: skip
    steps: Steps = 5000
    """Critic steps."""
    points: Annotated[int, Ge(2), Le(AT_MOST)] = AT_MOST
    """Held-out points of either cloud that the estimate and the exact distance are taken on."""
    penalty_weight: Annotated[float, Ge(0.0)] = 10.0
    """Of the critic under the gradient penalty."""

    title: ClassVar[str] = "What clipping leaves of the critic"
    about: ClassVar[str] = (
        "The generator keeps its first weights, and critics with the network and the optimiser of "
        "the suite's first clipped variant are trained to tell its points from real ones: one for "
        "each clip, and one with the gradient penalty. What a critic says of the distance, its "
        "score gap over its largest slope, is set beside exact optimal transport between the same "
        "held-out points. Too small a clip, it is said, leaves a critic too simple and gradients "
        "that vanish on their way back, too large a clip lets them explode (Arjovsky et al. 2017, "
        "section 3; Gulrajani et al. 2017, section 3 and figure 1b)."
    )
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "estimate": Quantity(
            "score gap over the largest slope", _X, log_x=True,
            note="The exact distance is dashed; an estimate below it is a critic that does not "
            "use its slope where it counts, because it cannot or has not learned to yet.",
        ),
        "at_bound": Quantity(
            "share of weights at the bound", _X, log_x=True,
            note="Where most weights lie at the bound, the critic has few functions to choose "
            "from.",
        ),
        "layer_gradient": Quantity(
            "gradient of the score in each layer's output, mean norm", _X,
            log_x=True, log_y=True, aim=1.0,
            note="Layer 1 is the farthest from the score; below 1 the gradient vanishes on its "
            "way back, above 1 it explodes.",
        ),
    }  # fmt: skip

    def series(self, quantity: str, variants: Sequence[str]) -> tuple[str, ...] | None:
        """A line for clipping and one for the penalty; how many layers there are, a run tells."""
        del variants
        both = "clipping", "gradient penalty"
        return {"estimate": both, "at_bound": both[:1]}.get(quantity)

    def require(self, recipes: Mapping[str, RunSpec]) -> None:
        """A clipped variant, on points: of images the exact distance would not mean much."""
        spec = clipped(recipes)
        if registry.load("datasets", spec.dataset["name"]).kind != "points":
            raise DataError(
                f"probe capacity: variant {spec.variant!r} is on images of "
                f"{spec.dataset['name']!r}; expected points, such as data set 'ring'"
            )

    def run(
        self, recipes: Mapping[str, RunSpec], seed: int, device: torch.device
    ) -> Sequence[ProbeRow]:
        """Every clip for the first variant that has one."""
        subject = Subject.of(clipped(recipes), device)
        clips = tuple(sorted(set(self.clips)))
        stack = replace(subject.recipe, objective=Clips(clips=clips), seeds=(seed,) * len(clips))
        made = self._trained(stack, subject.images)
        cloud = Cloud.of(subject, made.generator(0).eval(), self.points)
        critics = {clip: made.critic(k).eval() for k, clip in enumerate(clips)}
        penalty = WGANGP(penalty_weight=self.penalty_weight)
        alone = self._trained(replace(subject.recipe, objective=penalty), subject.images)
        rows = Rows("capacity", seed)
        return [
            *_of_clips(rows, cloud, critics),
            *_of_penalty(rows, cloud, alone.critic(0).eval(), clips),
        ]

    def _trained(self, recipe: Recipe, images: Tensor) -> Stacked:
        """Critics after all steps, each on a fresh batch."""
        recipe = replace(recipe, critic_steps=1, repeats=1, boost=None)
        made = engine(recipe, images, self.steps)
        list(strengthened(made, recipe, [self.steps]))
        return made


@dataclass(frozen=True)
class Cloud:
    """Held-out points beside generated ones, and the exact distance between the two."""

    places: Mapping[str, Tensor]
    """`real`, `generated` and `between`, as the critic sees them."""
    distance: float | None
    """W₁; None where the critic judges packs, whose distance is another one."""

    @classmethod
    def of(cls, subject: Subject, generator: nn.Module, points: int) -> Cloud:
        """The first points of the test split, and as many generated ones."""
        sample = subject.sample(subject.held_out[:points], "capacity")
        places = sample.places(generator)
        if sample.packing > 1:
            return cls(places, None)
        return cls(places, earth_movers(places["real"], places["generated"]))

    def estimate(self, critic: Critic) -> float | None:
        """The score gap over the largest slope; None where the critic is flat."""
        with torch.no_grad():
            gap = critic(self.places["real"]).mean() - critic(self.places["generated"]).mean()
        slope = max(slopes(critic, points).max().item() for points in self.places.values())
        return gap.item() / slope if slope else None

    def layer_gradients(self, critic: Critic) -> list[float]:
        """E ‖∂c/∂h‖₂ over the points of both kinds, h the output of each layer but the last."""
        outputs: list[Tensor] = []
        layers = [module for module in critic.modules() if isinstance(module, _WEIGHTED)]
        hooks = [
            layer.register_forward_hook(lambda _, __, output: outputs.append(output))
            for layer in layers
        ]
        scores = critic(torch.cat([self.places["real"], self.places["generated"]]))
        for hook in hooks:
            hook.remove()
        hidden = outputs[:-1]
        gradients = torch.autograd.grad(scores.sum(), hidden) if hidden else ()
        return [torch.linalg.vector_norm(g.flatten(1), dim=1).mean().item() for g in gradients]


def clipped(recipes: Mapping[str, RunSpec]) -> RunSpec:
    """The first variant under clipping; raises `DataError` where there is none."""
    for spec in recipes.values():
        if "clip" in spec.objective:
            return spec
    raise DataError(
        f"probe capacity: none of its variants ({', '.join(recipes) or 'it has none'}) is clipped; "
        "name one with objective 'wgan'"
    )


def earth_movers(x: Tensor, y: Tensor) -> float:
    """The exact W₁ between two sets of as many points (N, D)."""
    one, other = (FeatureBank(each.cpu(), None, POINTS, SAMPLES) for each in (x, y))
    return WASSERSTEIN_1.compute(one, other)


def _of_clips(rows: Rows, cloud: Cloud, critics: Mapping[float, Critic]) -> Iterator[ProbeRow]:
    for clip, critic in critics.items():
        yield rows.row("estimate", "clipping", clip, cloud.estimate(critic), cloud.distance)
        yield rows.row("at_bound", "clipping", clip, share_at(critic, clip))
        for number, norm in enumerate(cloud.layer_gradients(critic), start=1):
            yield rows.row("layer_gradient", f"layer {number}", clip, norm)


def _of_penalty(
    rows: Rows, cloud: Cloud, critic: Critic, clips: Sequence[float]
) -> Iterator[ProbeRow]:
    """The same at every clip, of which it knows nothing: level lines to compare with."""
    estimate, norms = cloud.estimate(critic), cloud.layer_gradients(critic)
    for clip in clips:
        yield rows.row("estimate", "gradient penalty", clip, estimate, cloud.distance)
        for norm in norms[:1]:
            yield rows.row("layer_gradient", "layer 1, gradient penalty", clip, norm)
