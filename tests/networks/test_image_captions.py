"""How captions are read, made into conditions, and held against images."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tests.games.test_every_game import SPECS
from textgan.networks.image_captions import Augmentation, CaptionConfig, CaptionedDiscriminator, CaptionReader
from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.reproducibility import seed_everything

SPEC = SPECS["captioned_images"]["grey"]
CONFIG = CaptionConfig(embedding=6, hidden=5, condition=4)
CAPTION = torch.tensor([[4, 5, 2, 0], [4, 6, 2, 0], [5, 4, 2, 0], [4, 2, 0, 0]])


@pytest.fixture(autouse=True)
def seeded() -> None:
    seed_everything(0)


class TestReader:
    def test_a_vector_does_not_depend_on_padding_or_on_other_captions(self) -> None:
        reader = CaptionReader(CONFIG, SPEC)
        alone = reader(CAPTION[3:, :2])
        torch.testing.assert_close(reader(CAPTION)[3:], alone)
        with torch.no_grad():
            reader.table.weight[SPEC.pad] += 1
        torch.testing.assert_close(reader(CAPTION)[3:], alone)

    def test_it_depends_on_every_word_and_on_their_order(self) -> None:
        vectors = CaptionReader(CONFIG, SPEC)(CAPTION)
        assert vectors.shape == (4, 10)
        for i in range(4):
            for j in range(i):
                assert (vectors[i] - vectors[j]).abs().max() > 1e-3


class TestAugmentation:
    def test_conditions_are_drawn_from_the_captions_distribution(self) -> None:
        augmentation = Augmentation(CONFIG, SPEC)
        found = augmentation(CAPTION)
        mean, log_variance = augmentation.map(augmentation.read(CAPTION)).chunk(2, 1)
        drawn = torch.stack([found.draw() for _ in range(4000)])
        torch.testing.assert_close(drawn.mean(0), mean, atol=0.08, rtol=0)
        torch.testing.assert_close(drawn.std(0), (log_variance / 2).exp(), atol=0.05, rtol=0)

    def test_the_gradient_of_a_condition_reaches_the_words(self) -> None:
        augmentation = Augmentation(CONFIG, SPEC)
        augmentation(CAPTION).draw().sum().backward()
        slopes = augmentation.read.table.weight.grad
        assert slopes is not None
        used = slopes.abs().sum(1) > 0
        assert used.tolist() == [token in (2, 4, 5, 6) for token in range(SPEC.vocab_size)]


class TestDiscriminator:
    def _made(self, alone: bool, **options: object) -> CaptionedDiscriminator:
        return CaptionedDiscriminator(ImageDiscriminatorConfig(width=4, **options), CONFIG, SPEC, alone)  # type: ignore[arg-type]

    def test_the_first_vote_minds_the_caption_and_the_second_does_not(self) -> None:
        network, images = self._made(alone=True), torch.rand(4, 1, 8, 8)
        votes, shuffled = network(images, CAPTION), network(images, CAPTION.roll(1, 0))
        assert votes.shape == (4, 2)
        assert (votes[:, 0] - shuffled[:, 0]).abs().min() > 1e-5
        assert torch.equal(votes[:, 1], shuffled[:, 1])

    def test_both_votes_mind_the_image(self) -> None:
        network = self._made(alone=True)
        votes = network(torch.rand(4, 1, 8, 8), CAPTION[:1].expand(4, -1))
        assert (votes.std(0) > 1e-6).all()

    def test_without_the_second_there_is_one(self) -> None:
        network = self._made(alone=False)
        assert network(torch.rand(4, 1, 8, 8), CAPTION).shape == (4, 1)
        assert network.votes == 1

    def test_a_last_layer_has_no_bias_where_the_objective_does_not_see_it(self) -> None:
        network = CaptionedDiscriminator(ImageDiscriminatorConfig(width=4), CONFIG, SPEC, True, bias=False)
        assert network.match.bias is None
        assert network.alone is not None
        assert network.alone.bias is None

    def test_spectral_normalisation_is_of_every_layer_of_the_images_side(self) -> None:
        network = self._made(alone=True, spectral=True)
        network.train()
        for _ in range(30):
            network(torch.rand(4, 1, 8, 8), CAPTION)
        for layer in (network.match, network.alone, network.both[0]):
            assert layer is not None
            assert torch.linalg.matrix_norm(layer.weight, 2).item() == pytest.approx(1, abs=0.02)  # type: ignore[union-attr]


def test_a_size_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"captions.hidden is 0"):
        dataclasses.replace(CONFIG, hidden=0)
