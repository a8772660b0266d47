"""What makes CartoonGAN itself."""

from __future__ import annotations

import dataclasses

import torch

from tests.games.test_every_game import SPECS, Images
from textgan.data.images.domains import UnpairedImages
from textgan.game import Turn
from textgan.games.cartoongan import TINY, CartoonGAN, smooth_edges
from textgan.reproducibility import seed_everything

SPEC = SPECS["image_domains"]["images"]
TURN = Turn("adversarial", 0, 0.0)


def _game(**options: float) -> CartoonGAN:
    seed_everything(0)
    return CartoonGAN(dataclasses.replace(TINY, **options), SPEC)


def _batch() -> UnpairedImages:
    return Images(SPEC, "image_domains").take(torch.arange(8))


def _two_tones() -> torch.Tensor:
    """Black to the left, white to the right."""
    images = -torch.ones(1, 3, 10, 12)
    images[..., 6:] = 1
    return images


def test_edges_are_smoothed_and_nothing_far_from_them_is_touched():
    """Sobel's gradient is large in the two columns beside the edge; with their neighbours these are columns 4 to 7."""
    smooth = smooth_edges(_two_tones(), 0.25)
    expected = torch.tensor([-1, -1, -1, -1, -1, -0.5, 0.5, 1, 1, 1, 1, 1])
    torch.testing.assert_close(smooth, expected.expand(1, 3, 10, 12))


def test_a_fine_pattern_away_from_every_edge_stays_as_it_is():
    """Its gradient is below the threshold; with a lower one it is smoothed too."""
    images = _two_tones()
    images[:, :, ::2, :3] += 0.2
    far = (slice(None), slice(None), slice(None), slice(0, 3))
    assert torch.equal(smooth_edges(images, 0.25)[far], images[far])
    assert not torch.equal(smooth_edges(images, 0.0)[far], images[far])
    assert not torch.equal(smooth_edges(images, 0.25), images)


def test_what_lies_beside_an_edge_is_smoothed_too():
    """Columns 5 and 6 are edges; a pattern in column 4 goes, the same in column 1 stays."""
    images = _two_tones()
    images[:, :, ::2, 4] += 0.1
    images[:, :, ::2, 1] += 0.1
    smooth = smooth_edges(images, 0.25)
    assert (smooth[..., 4] != images[..., 4]).all()
    assert torch.equal(smooth[..., 1], images[..., 1])


def test_the_smoothing_is_a_gaussian_mean_of_each_channel_by_itself():
    images = torch.zeros(1, 2, 7, 7)
    images[0, 0, 3, 3] = 1.0
    kernel = torch.outer(torch.tensor([0.25, 0.5, 0.25]), torch.tensor([0.25, 0.5, 0.25]))
    smooth = smooth_edges(images, 0.0)
    torch.testing.assert_close(smooth[0, 0, 2:5, 2:5], kernel)
    assert smooth[0, 0].sum().item() == 1
    assert (smooth[0, 1] == 0).all()


def test_the_discriminator_also_rejects_cartoons_without_edges():
    game, (photographs, cartoons) = _game(), _batch()
    game.eval()
    loss = game.discriminator_loss(UnpairedImages(photographs, cartoons), TURN)
    fake, smoothed = game.generator(photographs), smooth_edges(cartoons, TINY.edge)

    def rejected(images: torch.Tensor) -> torch.Tensor:
        return -(1 - torch.sigmoid(game.discriminator(images))).log().mean()

    torch.testing.assert_close(loss.terms["real"], -torch.sigmoid(game.discriminator(cartoons)).log().mean())
    torch.testing.assert_close(loss.terms["fake"], rejected(fake))
    torch.testing.assert_close(loss.terms["smoothed"], rejected(smoothed))
    assert set(loss.terms) == {"real", "fake", "smoothed"}
    assert not torch.equal(smoothed, cartoons)


def test_the_generator_keeps_what_is_seen_in_the_photograph_itself():
    game, (photographs, cartoons) = _game(content=10.0), _batch()
    loss = game.generator_loss(UnpairedImages(photographs, cartoons), TURN)
    fake = game.generator(photographs)
    seen = [game.perception.eval().body(images) for images in (fake, photographs)]
    torch.testing.assert_close(loss.terms["content"], 10 * (seen[0] - seen[1]).abs().mean())
    warm_up = game.content_loss(UnpairedImages(photographs, cartoons), TURN)
    assert {name: term.item() for name, term in warm_up.terms.items()} == {"content": loss.terms["content"].item()}


def test_it_sees_then_shows_again_then_plays():
    game = _game()
    stages = game.stages()
    assert [stage.name for stage in stages] == ["perception", "content", "adversarial"]
    players = [[move.player for move in stage.moves] for stage in stages]
    assert players == [["perception"], ["generator"], ["discriminator", "generator"]]


def test_it_learns_to_see_from_both_domains():
    game, (photographs, cartoons) = _game(), _batch()
    seen = []
    game.perception.body.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    game.stages()[0].moves[0].loss(UnpairedImages(photographs, cartoons), TURN)
    both = torch.cat([photographs, cartoons])
    assert seen[0].shape == both.shape
    torch.testing.assert_close(seen[0].sum((1, 2, 3)), both.sum((1, 2, 3)))
