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
from bench.networks.gulrajani import GulrajaniMNIST
from bench.networks.init import glorot_uniform, gulrajani, he_uniform, normal_002, torch_default
from bench.networks.mlp import MLP
from bench.networks.pacgan import PacGAN
from bench.networks.resnet import ResNet
from bench.networks.toy import Toy

SHAPE = (1, 28, 28)
SMALL = (3, 32, 32)


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


def test_gulrajani_mnist_has_the_sizes_of_gan_mnist():
    dense, up = 128 * 4096 + 4096, 25 * 256 * 128 + 128 + 25 * 128 * 64 + 64 + 25 * 64 + 1
    assert size(GulrajaniMNIST().generator(SHAPE)) == dense + up == 1_554_177
    down = 25 * 64 + 64 + 25 * 64 * 128 + 128 + 25 * 128 * 256 + 256
    assert size(GulrajaniMNIST().critic(SHAPE)) == down + (4096 + 1) == 1_030_145


def test_pacgan_has_the_sizes_of_the_authors_layers():
    # no biases before batch norm, which has a scale and a shift; 1000 units for 200 maxima
    generator = 2 * 400 + 3 * 400 * 400 + 4 * 2 * 400 + (400 * 2 + 2)
    assert size(PacGAN().generator((2,))) == generator == 484_802
    critic = (2 * 1000 + 1000) + 2 * (200 * 1000 + 1000) + (200 + 1)
    assert size(PacGAN().critic((2,))) == critic == 405_201
    assert size(PacGAN().critic((4,))) == critic + 2000


def test_resnet_has_the_sizes_of_gan_cifar_resnet():
    same, across, norm = 9 * 128 * 128 + 128, 128 * 128 + 128, 2 * 128
    up = 2 * norm + 2 * same + across
    generator = (128 * 2048 + 2048) + 3 * up + norm + (9 * 128 * 3 + 3)
    assert size(ResNet().generator(SMALL)) == generator == 1_204_483
    first = (9 * 3 * 128 + 128) + same + (3 * 128 + 128)
    critic = first + (2 * same + across) + 2 * (2 * same) + (128 + 1)
    assert size(ResNet().critic(SMALL)) == critic == 1_053_825


def test_gulrajani_mnist_cuts_the_eight_to_seven():
    generator = GulrajaniMNIST().generator(SHAPE)
    shapes = []
    for module in generator:
        module.register_forward_hook(lambda _, inputs, output: shapes.append(output.shape[2:]))
    generator(torch.randn(2, 128))
    assert [s[0] for s in dict.fromkeys(shapes) if s] == [4, 8, 7, 14, 28]


def test_a_maxout_unit_is_the_largest_of_its_pieces():
    critic = PacGAN(critic_widths=(1,), pieces=3).critic((1,))
    maxout, last = critic.layers
    with torch.no_grad():
        maxout.linear.weight.copy_(torch.tensor([[-1.0], [0.0], [2.0]]))
        maxout.linear.bias.copy_(torch.tensor([0.0, 1.0, -1.0]))
        last.weight.fill_(1.0)
        last.bias.zero_()
    assert critic(torch.tensor([[-3.0], [0.5], [4.0]])).tolist() == [3.0, 1.0, 7.0]


def test_a_residual_block_adds_to_what_it_was_given():
    critic = ResNet(width=4).critic(SMALL)
    with torch.no_grad():
        for convolution in (m for m in critic.modules() if isinstance(m, nn.Conv2d)):
            if convolution.kernel_size == (3, 3):
                convolution.weight.zero_()
                convolution.bias.zero_()
    x = torch.randn(2, *SMALL)
    first, second = critic.blocks[0].shortcut[1], critic.blocks[1].shortcut[0]
    pooled = nn.functional.avg_pool2d(second(first(nn.functional.avg_pool2d(x, 2))), 2)
    expected = critic.score(pooled.relu().mean((2, 3))).squeeze(1)
    assert torch.allclose(critic(x), expected, atol=1e-6)


@pytest.mark.parametrize("name", registry.BUILT_IN["networks"])
def test_pair_fits_together(name):
    network = registry.load("networks", name)()
    images = SMALL if name == "resnet" else SHAPE
    shape = (2,) if network.range is None else images
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


@pytest.mark.parametrize("side", ["generator", "critic"])
@pytest.mark.parametrize(
    ("network", "told"),
    [
        (
            GulrajaniMNIST(),
            r"gulrajani_mnist: .* \(3, 30, 30\), expected \(C, 28, 28\); use .*'mlp'",
        ),
        (ResNet(), r"resnet: .* \(3, 30, 30\), expected \(C, 32, 32\); use network 'mlp'"),
        (PacGAN(), r"pacgan: makes points, but the data are images of shape \(3, 30, 30\)"),
    ],
)
def test_a_shape_that_does_not_fit_is_told_in_one_line(network, side, told):
    with pytest.raises(DataError, match=told):
        getattr(network, side)((3, 30, 30))


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


FANS = [
    (nn.Linear(300, 100), 300, 100),
    (nn.Conv2d(16, 32, 5, stride=2), 16 * 25, 32 * 25 / 4),
    (nn.ConvTranspose2d(32, 16, 5, stride=2), 32 * 25 / 4, 16 * 25),
]


@pytest.mark.parametrize(("layer", "fan_in", "fan_out"), FANS)
def test_he_and_gulrajanis_spread_follow_the_fans(layer, fan_in, fan_out):
    numerator = 2.0 if isinstance(layer, nn.Linear) else 4.0
    for init, variance in ((he_uniform, 2.0 / fan_in), (gulrajani, numerator / (fan_in + fan_out))):
        init(layer, torch.Generator().manual_seed(0))
        bound = (3.0 * variance) ** 0.5
        assert layer.weight.abs().max().item() == pytest.approx(bound, rel=1e-2)
        assert layer.weight.std().item() == pytest.approx(variance**0.5, rel=2e-2)
        assert layer.bias.abs().max() == 0


def test_he_keeps_the_size_of_signals_through_a_transposed_convolution():
    # of rectified unit normals the mean square is 1/2, which the 2 of the variance makes good
    layer = nn.ConvTranspose2d(64, 64, 4, stride=2, padding=1, bias=True)
    he_uniform(layer, torch.Generator().manual_seed(0))
    x = torch.randn(16, 64, 16, 16, generator=torch.Generator().manual_seed(1)).relu()
    inner = layer(x)[:, :, 2:-2, 2:-2]
    assert inner.square().mean().item() == pytest.approx(1.0, rel=0.05)


def test_gulrajanis_shortcuts_are_glorots():
    layer = nn.Conv2d(64, 128, 1)
    gulrajani(layer, torch.Generator().manual_seed(0))
    assert layer.weight.std().item() == pytest.approx((2.0 / (64 + 128)) ** 0.5, rel=2e-2)


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
