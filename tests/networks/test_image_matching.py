"""Cosines of embeddings, and which images are the same."""

from __future__ import annotations

import pytest
import torch

from textgan.data.images.spec import ImageSpec
from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.networks.image_matching import ImageMatcher, same_images

SPEC = ImageSpec(1, 8, 8, train_size=10)
SMALL = ImageDiscriminatorConfig(width=4)


def test_a_score_is_the_cosine_of_two_embeddings_over_the_temperature():
    torch.manual_seed(0)
    matcher = ImageMatcher(SMALL, SPEC, 6, temperature=0.25)
    queries, documents = torch.randn(3, 1, 8, 8), torch.randn(4, 1, 8, 8)
    scores = matcher(queries, documents)
    for i, query in enumerate(queries):
        for j, document in enumerate(documents):
            a, b = matcher.encoder(query[None])[0], matcher.encoder(document[None])[0]
            cosine = (a @ b) / (a.square().sum() * b.square().sum()).sqrt()
            torch.testing.assert_close(scores[i, j], 4 * cosine)
    assert not any("factor" in name or "level" in name for name, _ in matcher.named_parameters())


def test_a_level_and_a_factor_begin_at_nothing_and_can_be_learned():
    torch.manual_seed(0)
    plain = ImageMatcher(SMALL, SPEC, 6, temperature=0.5)
    levelled = ImageMatcher(SMALL, SPEC, 6, temperature=0.5, level=True)
    levelled.encoder.load_state_dict(plain.encoder.state_dict())
    images = torch.randn(3, 1, 8, 8)
    torch.testing.assert_close(levelled(images, images), plain(images, images))
    levelled.factor.data.fill_(2)
    levelled.level.data.fill_(-3)
    torch.testing.assert_close(levelled(images, images), 2 * plain(images, images) - 3)
    assert torch.autograd.grad(levelled(images, images).sum(), levelled.level)[0].item() == pytest.approx(9)


def test_the_same_images_are_those_of_which_every_number_is_equal():
    torch.manual_seed(0)
    queries = torch.randn(4, 3, 5, 2)
    documents = torch.cat([torch.randn(2, 3, 5, 2), queries[[2, 0, 2]], queries[:1]])
    documents[5, 2, 4, 1] += 1e-6
    expected = torch.tensor([[bool((q == d).all()) for d in documents] for q in queries])
    assert torch.equal(same_images(queries, documents), expected)
    assert expected.sum() == 3
