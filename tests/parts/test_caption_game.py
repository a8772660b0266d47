"""What text-to-image games share: wrong captions, votes, augmentation."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.games.test_every_game import SPECS, Images
from textgan.data.images.captions import CaptionedImages
from textgan.game import Turn
from textgan.networks.image_captions import CaptionConfig, CaptionedDiscriminator
from textgan.networks.image_encoders import Posterior
from textgan.parts.caption_game import CaptionGame, CaptionGameConfig, others
from textgan.parts.referee import TricksConfig
from textgan.reproducibility import seed_everything

SPEC = SPECS["captioned_images"]["grey"]
START = Turn("adversarial", 0, 0.0)


class Votes(CaptionedDiscriminator):
    """Two votes by hand: light times the caption's second word, and light alone. It remembers what it was asked."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.votes = 2
        self.asked: list[tuple[Tensor, Tensor]] = []

    def forward(self, images: Tensor, caption: Tensor) -> Tensor:
        self.asked.append((images, caption))
        light = images.mean((1, 2, 3))
        return torch.stack([light * caption[:, 1], light], 1)


class Bare(CaptionGame):
    def make_generator(self) -> nn.Module:
        return nn.Linear(1, 1)

    def make_discriminator(self) -> nn.ModuleList:
        return nn.ModuleList([])


def bare(**options: object) -> Bare:
    seed_everything(0)
    return Bare(CaptionGameConfig(captions=CaptionConfig(), **options), SPEC)  # type: ignore[arg-type]


def batch(n: int = 6) -> CaptionedImages:
    return Images(SPEC, "captioned_images").take(torch.arange(n))  # type: ignore[return-value]


def test_a_wrong_caption_is_the_next_one_that_differs() -> None:
    caption = torch.tensor([[1, 5], [1, 5], [1, 6], [1, 5]])
    assert others(caption).tolist() == [2, 2, 3, 2]
    assert others(caption[:2]).tolist() == [0, 1]  # none differs


def test_captions_that_differ_in_one_word_differ() -> None:
    caption = torch.tensor([[4, 5, 6, 2], [4, 5, 7, 2], [4, 5, 6, 2]])
    assert others(caption).tolist() == [1, 2, 1]


def test_discriminators_want_real_pairs_and_neither_fakes_nor_wrong_captions() -> None:
    """By hand. The vote on the image alone has no wrong caption to mind."""
    game, network, real = bare(), Votes(), batch()
    fake = torch.rand(6, 1, 8, 8, requires_grad=True)
    loss = game.told_apart(network, real, fake, 0.5, START)
    of_real, of_fake = network(real.image, real.caption), network(fake, real.caption)
    wrong = real.caption[others(real.caption)]
    assert (wrong != real.caption).any(1).all()
    of_wrong = real.image.mean((1, 2, 3)) * wrong[:, 1]
    torch.testing.assert_close(loss.terms["real"], -F.logsigmoid(of_real).sum(1).mean())
    torch.testing.assert_close(loss.terms["fake"], -0.5 * F.logsigmoid(-of_fake).sum(1).mean())
    torch.testing.assert_close(loss.terms["wrong"], -0.5 * F.logsigmoid(-of_wrong).mean())
    torch.testing.assert_close(loss.info["wrong_accuracy"], (of_wrong < 0).float().mean())
    assert not sum(loss.terms.values()).requires_grad  # fakes are held fixed


def test_generators_want_every_vote() -> None:
    game, network, real = bare(), Votes(), batch()
    fake = torch.rand(6, 1, 8, 8, requires_grad=True)
    deceived = game.deceived(network, real, fake, START)
    torch.testing.assert_close(deceived, -F.logsigmoid(network(fake, real.caption)).sum(1).mean())
    (slope,) = torch.autograd.grad(deceived, fake)
    assert slope.abs().sum() > 0


def test_noise_is_on_wrong_pairs_too_and_falls() -> None:
    game, real = bare(tricks=TricksConfig(instance_noise=0.5)), batch()
    for progress, std in ((0.0, 0.5), (0.6, 0.2)):
        network = Votes()
        game.told_apart(network, real, real.image, 0.5, Turn("adversarial", 0, progress))
        assert len(network.asked) == 3
        for images, _ in network.asked:
            assert (images - real.image).std().item() == pytest.approx(std, rel=0.15)


def test_the_divergence_is_the_closed_form_by_number() -> None:
    mean, log_variance = torch.randn(5, 4), torch.randn(5, 4)
    by_hand = 0.0
    for m, v in zip(mean.flatten().tolist(), log_variance.exp().flatten().tolist(), strict=True):
        by_hand += (m * m + v - 1 - torch.tensor(v).log().item()) / 2
    found = bare(augmentation=3.0).divergence(Posterior(mean, log_variance))
    assert found.item() == pytest.approx(3 * by_hand / 20, rel=1e-5)
    assert bare().divergence(Posterior(torch.zeros(2, 4), torch.zeros(2, 4))).item() == 0
