"""What games of images of categories share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from textgan.data.images.spec import ImageSpec, LabelledImages
from textgan.game import Turn
from textgan.losses import gradient_penalty
from textgan.parts.image_game import LatentImageGameConfig
from textgan.parts.labelled_image_game import LabelledImageGame
from textgan.parts.referee import TricksConfig
from textgan.reproducibility import seed_everything

SPEC = ImageSpec(1, 2, 2, train_size=40, categories=("a", "b", "c"))
START = Turn("adversarial", 0, 0.0)
CATEGORY = torch.tensor([2, 0, 1, 1, 0])


class _Generator(nn.Module):
    """Images are latents, and a shade of their category."""

    def __init__(self) -> None:
        super().__init__()
        self.shade = nn.Embedding(3, 1)

    def forward(self, latents: Tensor, category: Tensor) -> Tensor:
        return (latents + self.shade(category)).view(-1, 1, 2, 2)


class _Discriminator(nn.Module):
    """One linear map for each category."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Embedding(3, 4)

    def forward(self, images: Tensor, category: Tensor) -> Tensor:
        return (images.flatten(1) * self.weight(category)).sum(1)


class _Game(LabelledImageGame):
    def make_generator(self) -> nn.Module:
        return _Generator()

    def make_discriminator(self) -> nn.Module:
        return _Discriminator()


def _game(**changes: object) -> _Game:
    seed_everything(0)
    return _Game(LatentImageGameConfig(batch_size=5, latent=4, **changes), SPEC)


def _real() -> LabelledImages:
    return LabelledImages(torch.randn(5, 1, 2, 2), CATEGORY)


def test_every_image_is_judged_under_its_own_category():
    game, real = _game(), _real()
    judge = game.judge_of(CATEGORY)
    expected = torch.stack(
        [x.flatten() @ game.discriminator.weight.weight[k] for x, k in zip(real.image, CATEGORY, strict=True)]
    )
    torch.testing.assert_close(judge(real.image), expected)
    torch.testing.assert_close(judge(torch.cat([real.image, 2 * real.image])), torch.cat([expected, 2 * expected]))


def test_fakes_have_the_real_images_categories_on_both_sides():
    game, real = _game(loss="wasserstein"), _real()
    seed_everything(1)
    loss = game.discriminator_loss(real, START)
    seed_everything(1)
    terms = game.generator_loss(real, START).terms
    seed_everything(1)
    fake = game.generator(torch.randn(5, 4), CATEGORY)
    torch.testing.assert_close(loss.terms["fake"], game.discriminator(fake, CATEGORY).mean())
    torch.testing.assert_close(loss.terms["real"], -game.discriminator(real.image, CATEGORY).mean())
    torch.testing.assert_close(terms["adversarial"], -game.discriminator(fake, CATEGORY).mean())


def test_a_penalty_is_a_term_of_the_discriminators_loss_and_knows_the_categories():
    class Penalised(_Game):
        def labelled_penalties(self, real: LabelledImages, fake: Tensor) -> dict[str, Tensor]:
            return {"penalty": gradient_penalty(self.judge_of(real.category), real.image, fake)}

    seed_everything(0)
    game = Penalised(LatentImageGameConfig(batch_size=5, latent=4, loss="wasserstein"), SPEC)
    loss = game.discriminator_loss(_real(), START)
    norms = game.discriminator.weight.weight[CATEGORY].norm(dim=1)
    torch.testing.assert_close(loss.terms["penalty"], ((norms - 1) ** 2).mean())


def test_each_category_in_turn_or_one_alone():
    game = _game()
    assert game.in_turn(5).tolist() == [0, 1, 2, 0, 1]
    assert game.in_turn(3, 1).tolist() == [1, 1, 1]
    seed_everything(1)
    images = game.sample(4)
    seed_everything(1)
    torch.testing.assert_close(images, game.generator(torch.randn(4, 4), torch.tensor([0, 1, 2, 0])))


def test_images_that_must_differ_are_a_switch():
    game = _game(tricks=TricksConfig(diversity=0.5))
    assert list(game.generator_loss(_real(), START).terms) == ["adversarial", "diversity"]
