"""What makes DCGAN itself."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from textgan.config import parse_train_command
from textgan.data.images.spec import ImageSpec
from textgan.game import Turn
from textgan.games.dcgan import DCGAN, Config
from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.registry import find
from textgan.reproducibility import seed_everything

START = Turn("adversarial", 0, 0.0)


def _spec(size: int = 8) -> ImageSpec:
    return ImageSpec(channels=1, height=size, width=size, train_size=40)


def _game(size: int = 8) -> DCGAN:
    seed_everything(0)
    return DCGAN(Config(), _spec(size))


def test_both_networks_are_convolutions_with_batch_norm_but_for_the_first_and_last_layer():
    game = _game(32)
    kinds = [type(m).__name__ for m in game.generator.modules() if not list(m.children())]
    doubling = ["ConvTranspose2d", "BatchNorm2d", "ReLU"]
    assert kinds == ["Linear", "BatchNorm2d", "ReLU", *doubling * 3, "Conv2d"]
    kinds = [type(m).__name__ for m in game.discriminator.modules() if not list(m.children())]
    halving = ["Conv2d", "BatchNorm2d", "LeakyReLU"]
    assert [k for k in kinds if k not in ("Flatten", "Dropout", "Identity")] == [
        "Conv2d", "LeakyReLU", *halving * 3, "Linear",
    ]  # fmt: skip
    slopes = {m.negative_slope for m in game.discriminator.modules() if isinstance(m, nn.LeakyReLU)}
    assert slopes == {0.2}


def test_weights_begin_with_the_papers_deviation():
    game = _game(16)
    for network in (game.generator, game.discriminator):
        weights = [m.weight for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
        for weight in (w for w in weights if w.numel() > 3000):
            assert weight.std().item() == pytest.approx(0.02, rel=0.1)


def test_the_losses_are_those_of_the_non_saturating_game():
    game = _game()
    real = torch.rand(6, 1, 8, 8) * 2 - 1
    seed_everything(1)
    loss = game.discriminator_loss(real, START)
    seed_everything(1)
    fake = game.sample(6)
    on_real, on_fake = (1 / (1 + (-game.discriminator(x)).exp()) for x in (real, fake))
    torch.testing.assert_close(loss.terms["real"], -on_real.log().mean())
    torch.testing.assert_close(loss.terms["fake"], -(1 - on_fake).log().mean())
    seed_everything(1)
    generated = game.generator_loss(real, START).terms["adversarial"]
    torch.testing.assert_close(generated, -on_fake.log().mean())


def test_batch_norm_sees_real_images_and_fakes_apart_and_is_still_when_sampled_from():
    """Its running mean moves by each of the two batches; in eval mode an image depends on its own latents alone."""
    game = _game()
    counters = [m for m in game.discriminator.modules() if isinstance(m, nn.BatchNorm2d)]
    game.discriminator_loss(torch.rand(6, 1, 8, 8), START)
    assert [int(m.num_batches_tracked) for m in counters] == [2]
    latents = game.latents(6)
    assert not torch.allclose(game.decode(latents)[:2], game.decode(latents[:2]), atol=1e-5)
    game.eval()
    torch.testing.assert_close(game.decode(latents)[:2], game.decode(latents[:2]))


def test_with_the_hinge_and_spectral_normalisation_it_is_sngan():
    discriminator = ImageDiscriminatorConfig(width=8, spectral=True)
    seed_everything(0)
    game = DCGAN(Config(latent=8, loss="hinge", discriminator=discriminator), _spec())
    real = torch.rand(6, 1, 8, 8) * 2 - 1
    for _ in range(100):
        game.discriminator(real)
    game.discriminator.eval()
    seed_everything(1)
    terms = game.discriminator_loss(real, START).terms
    seed_everything(1)
    on_real, on_fake = game.discriminator(real), game.discriminator(game.sample(6))
    torch.testing.assert_close(terms["real"], (1 - on_real).clamp(min=0).mean())
    torch.testing.assert_close(terms["fake"], (1 + on_fake).clamp(min=0).mean())
    weight = game.discriminator.output.weight
    assert torch.linalg.matrix_norm(weight, 2).item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("name", ["dcgan-faces", "dcgan-mnist_5000"])
def test_the_presets_have_the_papers_rates(name):
    arguments = parse_train_command(find("dcgan"), ["--preset", name], "test")
    config = arguments.game
    assert (config.latent, config.latents, config.optimizers.generator) == (100, "uniform", 2e-4)
    assert config.optimizers.beta1 == 0.5
    assert arguments.corpus == name.removeprefix("dcgan-")
