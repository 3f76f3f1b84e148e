"""Names → the parts they stand for, as literals; third parties add theirs by entry points.

A part is imported when it is used, not when it is listed: `bench list` starts without torch.
A package adds, say, an objective with

    [project.entry-points."bench.objectives"]
    my_loss = "my_package.losses:MyLoss"
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, NamedTuple

from bench.errors import UnknownName, suggestion


class Entry(NamedTuple):
    """Where a part is (`module:attribute`), how text and figures call it, and what it is."""

    target: str
    label: str
    summary: str


BUILT_IN: dict[str, dict[str, Entry]] = {
    "objectives": {
        "gan": Entry("bench.objectives.gan:NonSaturating", "GAN", "standard GAN, non-saturating generator loss (Goodfellow et al. 2014)"),
        "gan_minimax": Entry("bench.objectives.gan:Minimax", "GAN (minimax)", "standard GAN, saturating minimax generator loss (Goodfellow et al. 2014)"),
        "gan_r1": Entry("bench.objectives.gan:R1", "GAN + R1", "non-saturating, zero-centred gradient penalty on real samples (Mescheder et al. 2018)"),
        "gan_gp": Entry("bench.objectives.gan:GANGP", "GAN-GP", "non-saturating, with WGAN-GP's gradient penalty (Fedus et al. 2018)"),
        "dragan": Entry("bench.objectives.gan:DRAGAN", "DRAGAN", "non-saturating, gradient penalty around real samples (Kodali et al. 2017)"),
        "wgan": Entry("bench.objectives.wgan:WGAN", "WGAN", "Wasserstein GAN, weight clipping (Arjovsky et al. 2017)"),
        "wgan_gp": Entry("bench.objectives.wgan:WGANGP", "WGAN-GP", "Wasserstein GAN, two-sided gradient penalty (Gulrajani et al. 2017)"),
        "wgan_lp": Entry("bench.objectives.wgan:WGANLP", "WGAN-LP", "Wasserstein GAN, one-sided gradient penalty (Petzka et al. 2018)"),
        "hinge": Entry("bench.objectives.hinge:Hinge", "hinge", "hinge loss (Lim & Ye 2017; Miyato et al. 2018)"),
        "lsgan": Entry("bench.objectives.lsgan:LSGAN", "LSGAN", "least squares, codes 0 and 1 (Mao et al. 2017)"),
        "rpgan_r1r2": Entry("bench.objectives.relativistic:RelativisticPairing", "RpGAN + R1 + R2", "relativistic pairing, zero-centred penalties on both kinds (Huang et al. 2024)"),
    },
    "networks": {
        "mlp": Entry("bench.networks.mlp:MLP", "MLP", "fully connected, ReLU generator with tanh, LeakyReLU critic"),
        "dcgan": Entry("bench.networks.dcgan:DCGAN", "DCGAN", "the Keras tutorial's convolutional pair for 28×28 images"),
        "toy": Entry("bench.networks.toy:Toy", "toy", "fully connected pair for points, ReLU (Gulrajani et al. 2017)"),
        "pacgan": Entry("bench.networks.pacgan:PacGAN", "PacGAN pair", "pair for points of PacGAN's experiments: batch norm, maxout critic (Lin et al. 2018)"),
        "gulrajani_mnist": Entry("bench.networks.gulrajani:GulrajaniMNIST", "Gulrajani MNIST", "the WGAN-GP authors' convolutional pair for 28×28 images, data in [0, 1]"),
        "resnet": Entry("bench.networks.resnet:ResNet", "ResNet", "residual pair for 32×32 images (Gulrajani et al. 2017)"),
    },
    "datasets": {
        "mnist": Entry("bench.datasets.mnist:MNIST", "MNIST", "70,000 handwritten digits, 28×28, shipped with bench"),
        "fashion_mnist": Entry("bench.datasets.vision:FashionMNIST", "Fashion-MNIST", "70,000 pictures of clothes, 28×28, through torchvision"),
        "kmnist": Entry("bench.datasets.vision:KMNIST", "KMNIST", "70,000 cursive Japanese characters, 28×28, through torchvision"),
        "cifar10": Entry("bench.datasets.vision:CIFAR10", "CIFAR-10", "60,000 photographs in colour, 32×32, through torchvision"),
        "stacked_mnist": Entry("bench.datasets.stacked:StackedMNIST", "Stacked MNIST", "three random digits in three channels, 28×28: 1,000 modes (Metz et al. 2017)"),
        "folder": Entry("bench.datasets.folder:Folder", "folder", "images of one's own: root/train and root/test, a folder a class"),
        "ring": Entry("bench.datasets.synthetic:Ring", "ring", "points in the plane: 8 Gaussians on a circle (Gulrajani et al. 2017)"),
        "ring_pacgan": Entry("bench.datasets.synthetic:RingPacGAN", "ring (PacGAN)", "the same, of radius 1 and σ 0.01 (PacGAN, Lin et al. 2018)"),
        "grid": Entry("bench.datasets.synthetic:Grid", "grid", "points in the plane: 25 Gaussians, 5 × 5 (Gulrajani et al. 2017)"),
        "grid_pacgan": Entry("bench.datasets.synthetic:GridPacGAN", "grid (PacGAN)", "the same, −4 to 4 and σ 0.05 (PacGAN, Lin et al. 2018)"),
        "swiss_roll": Entry("bench.datasets.synthetic:SwissRoll", "Swiss roll", "points in the plane along a spiral, without modes (Gulrajani et al. 2017)"),
        "gaussian_1d": Entry("bench.datasets.synthetic:Gaussian1D", "Gaussian, 1-D", "points on the line: N(mean, σ²)"),
    },
    "optimizers": {
        "adam": Entry("bench.optimizers:Adam", "Adam", "Kingma & Ba 2015"),
        "rmsprop": Entry("bench.optimizers:RMSprop", "RMSprop", "Hinton 2012; no centring, no momentum"),
        "sgd": Entry("bench.optimizers:SGD", "SGD", "plain or with momentum"),
    },
    "schedules": {
        "constant": Entry("bench.schedules:Constant", "constant", "the learning rate as given"),
        "linear": Entry("bench.schedules:Linear", "linear", "from the learning rate to `to` times it over the run"),
        "cosine": Entry("bench.schedules:Cosine", "cosine", "the same along half a cosine"),
    },
    "inits": {
        "torch": Entry("bench.networks.init:torch_default", "torch's default", "Kaiming-uniform weights (a = √5), uniform biases"),
        "glorot_uniform": Entry("bench.networks.init:glorot_uniform", "Glorot", "Glorot & Bengio 2010, zero biases; Keras's default"),
        "normal_0.02": Entry("bench.networks.init:normal_002", "N(0, 0.02)", "normal weights of σ 0.02, zero biases (the DCGAN paper)"),
        "he_uniform": Entry("bench.networks.init:he_uniform", "He", "uniform weights of variance 2 / fan_in, zero biases (He et al. 2015)"),
        "gulrajani": Entry("bench.networks.init:gulrajani", "Gulrajani", "the WGAN-GP authors' own: Glorot in dense layers, twice its variance in convolutions"),
    },
    "metrics": {
        "fid": Entry("bench.metrics.fidelity:FID", "FID", "Fréchet distance of features (Heusel et al. 2017)"),
        "kid": Entry("bench.metrics.fidelity:KID", "KID", "unbiased squared MMD of features, cubic kernel (Bińkowski et al. 2018)"),
        "inception_score": Entry("bench.metrics.fidelity:INCEPTION_SCORE", "Inception score", "exp of the mean KL of class posteriors to their marginal (Salimans et al. 2016)"),
        "precision": Entry("bench.metrics.manifold:PRECISION", "Precision", "share of samples on the data's manifold, k = 3 (Kynkäänniemi et al. 2019)"),
        "recall": Entry("bench.metrics.manifold:RECALL", "Recall", "share of the data on the samples' manifold, k = 3 (Kynkäänniemi et al. 2019)"),
        "density": Entry("bench.metrics.manifold:DENSITY", "Density", "the data's balls around a sample, over k = 5; can exceed 1 (Naeem et al. 2020)"),
        "coverage": Entry("bench.metrics.manifold:COVERAGE", "Coverage", "share of the data's balls that hold a sample, k = 5 (Naeem et al. 2020)"),
        "authenticity": Entry("bench.metrics.manifold:AUTHENTICITY", "Authenticity", "share of samples that are no copies of training data (Alaa et al. 2022)"),
        "modes": Entry("bench.metrics.modes:MODES", "Modes", "classes holding a tenth of their uniform share in confident samples"),
        "modes_any": Entry("bench.metrics.modes:MODES_ANY", "Modes (any)", "classes with at least one sample (PacGAN's count)"),
        "class_kl": Entry("bench.metrics.modes:CLASS_KL", "Class KL", "KL of the class histogram to the reference's (VEEGAN, PacGAN)"),
        "confident_share": Entry("bench.metrics.modes:CONFIDENT_SHARE", "Confident share", "samples classified with confidence ≥ 0.9"),
        "high_quality": Entry("bench.metrics.modes:HIGH_QUALITY", "High quality", "of points: share within 3 σ of a mode (VEEGAN)"),
        "reverse_kl": Entry("bench.metrics.modes:REVERSE_KL", "Reverse KL", "of points: KL of the histogram over nearest modes to the reference's (PacGAN)"),
        "wasserstein_1": Entry("bench.metrics.transport:WASSERSTEIN_1", "W₁", "of points: exact earth mover's distance between the first 1,000"),
        "wasserstein_2": Entry("bench.metrics.transport:WASSERSTEIN_2", "W₂", "of points: exact optimal transport between the first 1,000"),
    },
    "extractors": {
        "digits": Entry("bench.extractors.digits:DIGITS", "digits", "a small CNN trained on MNIST's training split, shipped with bench"),
        "inception": Entry("bench.extractors.inception:INCEPTION", "Inception", "torch-fidelity's inception-v3-compat, for numbers comparable with papers; its weights are downloaded"),
        "points": Entry("bench.extractors.points:POINTS", "points", "the coordinates of points as they are"),
    },
    "presets": {
        "mlp_gan": Entry("bench.presets:MLP_GAN", "MLP GAN", "tutorial MLP, non-saturating, Adam 2e-4 (0.5, 0.999), 1 critic step"),
        "mlp_wgan": Entry("bench.presets:MLP_WGAN", "MLP WGAN", "tutorial MLP, clip 0.01, RMSprop 5e-5, 5 critic steps"),
        "mlp_wgan_gp": Entry("bench.presets:MLP_WGAN_GP", "MLP WGAN-GP", "tutorial MLP, λ = 10, Adam 1e-4 (0.5, 0.9), 5 critic steps"),
        "mlp_wgan_lp": Entry("bench.presets:MLP_WGAN_LP", "MLP WGAN-LP", "the same with the one-sided penalty"),
        "mlp_hinge_sn": Entry("bench.presets:MLP_HINGE_SN", "MLP hinge + SN", "tutorial MLP, spectral norm, Adam 2e-4 (0, 0.9), 5 critic steps"),
        "mlp_gan_r1": Entry("bench.presets:MLP_GAN_R1", "MLP GAN + R1", "tutorial MLP, γ = 10, RMSprop 1e-4, 1 critic step"),
        "mlp_lsgan": Entry("bench.presets:MLP_LSGAN", "MLP LSGAN", "tutorial MLP, least squares, Adam 2e-4 (0.5, 0.999), 1 critic step"),
        "mlp_dragan": Entry("bench.presets:MLP_DRAGAN", "MLP DRAGAN", "tutorial MLP, λ = 10, Adam 1e-4 (0.5, 0.9), 1 critic step"),
        "mlp_rpgan": Entry("bench.presets:MLP_RPGAN", "MLP RpGAN", "tutorial MLP, R1 + R2 with γ = 1, Adam 2e-4 (0, 0.9), 1 critic step"),
        "keras_dcgan": Entry("bench.presets:KERAS_DCGAN", "Keras DCGAN", "the Keras tutorial's DCGAN: dropout 0.3, Adam 1e-4, batch 256, 1 critic step"),
        "keras_wgan_gp": Entry("bench.presets:KERAS_WGAN_GP", "Keras WGAN-GP", "its WGAN-GP, λ = 10, RMSprop 5e-5, 5 critic steps on fresh batches"),
        "keras_wgan_gp_as_published": Entry("bench.presets:KERAS_WGAN_GP_AS_PUBLISHED", "Keras WGAN-GP (as published)", "its own loop: each real batch five times, a generator step after each"),
        "dcgan_wgan": Entry("bench.presets:DCGAN_WGAN", "DCGAN WGAN", "the same networks under clipping: clip 0.01, RMSprop 5e-5, 5 critic steps"),
        "gulrajani_mnist": Entry("bench.presets:GULRAJANI_MNIST", "Gulrajani MNIST", "the WGAN-GP authors' MNIST code: λ = 10, Adam 1e-4 (0.5, 0.9), batch 50, 5 critic steps"),
        "gulrajani_cifar": Entry("bench.presets:GULRAJANI_CIFAR", "Gulrajani CIFAR", "their ResNet: λ = 10, Adam 2e-4 (0, 0.9) falling to 0, batch 64, 5 critic steps"),
        "arjovsky": Entry("bench.presets:ARJOVSKY", "Arjovsky", "the WGAN authors' code: clip 0.01, RMSprop 5e-5, 5 critic steps, 100 at first"),
        "toy_gan": Entry("bench.presets:TOY_GAN", "toy GAN", "points: standard GAN, Adam 2e-4 (0.5, 0.999), batch 256, 1 critic step"),
        "toy_wgan": Entry("bench.presets:TOY_WGAN", "toy WGAN", "points: clip 0.01, RMSprop 5e-5, batch 256, 5 critic steps"),
        "toy_wgan_gp": Entry("bench.presets:TOY_WGAN_GP", "toy WGAN-GP", "points: λ = 0.1, Adam 1e-4 (0.5, 0.9), batch 256, 5 critic steps"),
        "pacgan_gan": Entry("bench.presets:PACGAN_GAN", "GAN (PacGAN's)", "points: the GAN of PacGAN's experiments, Adam 1e-4 (0.8, 0.999), batch 100"),
        "pacgan2": Entry("bench.presets:PACGAN2", "PacGAN2", "points: the same, two judged together"),
    },
    "probes": {
        "distances": Entry("bench.probes.distances:Distances", "distances", "earth mover's against Jensen-Shannon on shifted Gaussians, exact and as critics estimate them"),
        "vanishing_gradient": Entry("bench.probes.vanishing_gradient:VanishingGradient", "vanishing gradient", "the generator's gradient while the critic is trained on and on (Arjovsky & Bottou 2017)"),
        "lipschitz": Entry("bench.probes.lipschitz:Lipschitz", "Lipschitz", "the critic's gradient norm at real, generated and interpolated samples, along training"),
        "gradient_noise": Entry("bench.probes.gradient_noise:GradientNoise", "gradient noise", "variance and direction of the gradient against batch size, at a frozen pair"),
        "capacity": Entry("bench.probes.capacity:Capacity", "capacity", "critics of every clip against exact optimal transport, on points"),
        "players": Entry("bench.probes.players:Players", "players", "what each network's step does to the other's loss, and the angle between their gradients"),
    },
    "executors": {
        "serial": Entry("bench.executors.serial:serial", "serial", "one group after another, in this process"),
        "processes": Entry("bench.executors.processes:processes", "processes", "one spawned process a group, as many at once as cores or GPUs allow"),
    },
}  # fmt: skip


def entries(kind: str) -> dict[str, Entry]:
    """Every part of a kind, plugins included; a plugin cannot take a built-in's name.

    Raises `UnknownName` for a kind that does not exist.
    """
    if kind not in BUILT_IN:
        raise UnknownName(f"{kind!r} is not a kind of part{suggestion(kind, BUILT_IN)}")
    plugins = {
        point.name: Entry(point.value, point.name, f"plugin: {point.value}")
        for point in entry_points(group=f"bench.{kind}")
    }
    return plugins | BUILT_IN[kind]


def load(kind: str, name: str) -> Any:
    """The part itself; raises `UnknownName`, with a suggestion, if there is none."""
    known = BUILT_IN.get(kind, {})
    if name not in known:  # only then ask what else is installed, which takes some milliseconds
        known = entries(kind)
    if name not in known:
        article = "an" if kind[0] in "aeiou" else "a"
        raise UnknownName(f"{name!r} is not {article} {kind[:-1]}{suggestion(name, known)}")
    module, _, attribute = known[name].target.partition(":")
    return getattr(import_module(module), attribute)


def label(kind: str, name: str) -> str:
    """How text and figures call a part; an unknown one by its own name (old results)."""
    known = BUILT_IN.get(kind, {})
    if name not in known:
        known = entries(kind)
    return known[name].label if name in known else name
