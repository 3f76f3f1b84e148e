"""Networks: sizes of the published recipes, ranges, first weights, and batch norm when judged."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench import registry
from bench.errors import DataError, RequestError
from bench.networks.base import (
    build,
    require_stackable,
    to_range,
    to_uint8,
    with_population_statistics,
)
from bench.networks.dcgan import DCGAN
from bench.networks.init import glorot_uniform, normal_002, torch_default
from bench.networks.mlp import MLP
from bench.networks.toy import Toy

SHAPE = (1, 28, 28)


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_mlp_has_the_tutorials_sizes():
    assert size(MLP().generator(SHAPE)) == 247_440
    assert size(MLP().critic(SHAPE)) == 233_985


def test_dcgan_has_the_keras_tutorials_sizes():
    # dense, two transposed convolutions, scale and shift of three batch norms, the last convolution
    generator = 100 * 12544 + 256 * 128 * 25 + 128 * 64 * 25 + 2 * (12544 + 128 + 64) + 64 * 25
    assert size(DCGAN().generator(SHAPE)) == generator
    assert size(DCGAN().critic(SHAPE)) == (25 * 64 + 64) + (64 * 128 * 25 + 128) + (6272 + 1)


def test_toy_has_the_sizes_of_gan_toy():
    hidden = 2 * (512 * 512 + 512)
    assert size(Toy().generator((2,))) == (2 * 512 + 512) + hidden + (512 * 2 + 2) == 527_874
    assert size(Toy().critic((2,))) == (2 * 512 + 512) + hidden + (512 * 1 + 1) == 527_361


@pytest.mark.parametrize("name", registry.BUILT_IN["networks"])
def test_pair_fits_together(name):
    network = registry.load("networks", name)()
    shape = (2,) if network.range is None else SHAPE
    samples = network.generator(shape)(torch.randn(4, network.latent_dim))
    assert samples.shape == (4, *shape)
    low, high = network.range or (-torch.inf, torch.inf)
    assert samples.min() >= low
    assert samples.max() <= high
    assert network.critic(shape)(samples).shape == (4,)


@pytest.mark.parametrize("side", ["generator", "critic"])
def test_images_and_points_each_have_their_networks(side):
    with pytest.raises(DataError, match=r"mlp: makes images, .* points of shape \(2,\); .* 'toy'"):
        getattr(MLP(), side)((2,))
    with pytest.raises(DataError, match=r"toy: makes points, .* \(1, 28, 28\); use network 'mlp'"):
        getattr(Toy(), side)(SHAPE)


def test_points_go_into_a_network_as_they_are():
    points = torch.tensor([[-7.5, 300.0], [0.1, 1e-9]])
    assert torch.equal(to_range(points, Toy.range, torch.float32), points)
    assert to_range(points, Toy.range, torch.float64).dtype == torch.float64


def test_toy_is_linear_after_its_last_layer():
    generator = Toy(generator_widths=(3,)).generator((2,))
    first, _, last = generator
    for layer, weight, bias in ((first, 1.0, -4.0), (last, -2.0, 1.0)):
        nn.init.constant_(layer.weight, weight)
        nn.init.constant_(layer.bias, bias)
    z = torch.tensor([[10.0, 4.0], [1.0, 1.0]])
    # relu(10 + 4 − 4) = 10 in each of three, and relu(1 + 1 − 4) = 0
    assert generator(z).tolist() == [[-59.0, -59.0], [1.0, 1.0]]


def test_population_statistics_are_not_estimated_through_dropout():
    torch.manual_seed(0)
    generator = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(4, track_running_stats=False))
    latents = torch.ones(64, 4)
    judged = with_population_statistics(generator, [latents])
    assert judged[1].running_mean.tolist() == [1.0] * 4


def test_dcgan_says_which_shape_it_needs():
    with pytest.raises(DataError, match=r"shape \(3, 32, 32\), expected \(C, 28, 28\)"):
        DCGAN().critic((3, 32, 32))


def test_a_pair_that_cannot_be_stacked_is_refused_in_one_line():
    critic = MLP().critic(SHAPE)
    with pytest.raises(RequestError, match=r"keeps the buffer '0\.running_mean'"):
        require_stackable("theirs", nn.Sequential(nn.BatchNorm1d(4)), critic)
    with pytest.raises(RequestError, match="its critic is a Linear, expected a Critic"):
        require_stackable("theirs", nn.Sequential(), nn.Linear(2, 1))


@pytest.mark.parametrize("span", [(-1.0, 1.0), (0.0, 1.0)])
def test_every_grey_level_survives_the_way_there_and_back(span):
    levels = torch.arange(256, dtype=torch.uint8)
    there = to_range(levels, span, torch.float32)
    assert (there[0], there[-1]) == span
    assert torch.equal(to_uint8(there, span), levels)


def test_out_of_range_values_are_clamped_not_wrapped():
    assert to_uint8(torch.tensor([-2.0, 2.0]), (-1.0, 1.0)).tolist() == [0, 255]


def test_first_weights_depend_on_the_seed_alone_and_leave_the_global_generator():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one, same, other = (
        build(lambda: MLP().critic(SHAPE), torch_default, seed, "critic") for seed in (0, 0, 1)
    )
    assert torch.equal(torch.get_rng_state(), before)
    weights = [next(module.parameters()) for module in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_initialisations_have_their_published_spread():
    layer = nn.Linear(784, 256)
    glorot_uniform(layer, torch.Generator().manual_seed(0))
    bound = (6 / (784 + 256)) ** 0.5
    assert layer.weight.abs().max().item() == pytest.approx(bound, rel=1e-3)
    assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=1e-2)
    normal_002(layer, torch.Generator().manual_seed(0))
    assert layer.weight.std().item() == pytest.approx(0.02, rel=1e-2)
    assert layer.bias.abs().max() == 0


def test_dropout_keeps_the_mean_and_drops_what_its_masks_say():
    critic = DCGAN(dropout=0.3).critic(SHAPE)
    x = torch.randn(3, *SHAPE)
    everything = [torch.ones(3, *shape, dtype=torch.bool) for shape in critic.mask_shapes]
    nothing = [~mask for mask in everything]
    kept = critic(x, everything) - critic.score.bias
    assert torch.allclose(critic(x, nothing), critic.score.bias.expand(3))
    assert kept.shape == (3,)
    assert not torch.allclose(kept, critic(x) - critic.score.bias)  # scaled by 1 / 0.7


def test_judged_batch_norm_does_not_depend_on_the_batch():
    generator = DCGAN().generator(SHAPE)
    latents = [torch.randn(16, 100) for _ in range(8)]
    judged = with_population_statistics(generator, latents)
    x = torch.randn(6, 100)
    assert torch.allclose(judged(x)[:2], judged(x[:2]), atol=1e-5)
    assert not torch.allclose(generator(x)[:2], generator(x[:2]), atol=1e-3)


def test_population_statistics_are_the_mean_over_batches():
    norm = nn.Sequential(nn.BatchNorm1d(3, track_running_stats=False))
    batches = [torch.randn(32, 3) * 2 + 5 for _ in range(10)]
    judged = with_population_statistics(norm, batches)
    assert torch.allclose(judged[0].running_mean, torch.cat(batches).mean(0), atol=1e-5)
    expected = torch.stack([batch.var(0) for batch in batches]).mean(0)
    assert torch.allclose(judged[0].running_var, expected, atol=1e-5)
