"""What makes IRGAN itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from textgan.config import parse_train_command
from textgan.data.batches import Batches
from textgan.data.images.corpus import open_images
from textgan.data.images.settings import ImageConfig
from textgan.data.images.spec import ImageSpec, LabelledImages
from textgan.errors import UserError
from textgan.game import Turn, walk
from textgan.games.irgan import IRGAN, TINY, Config
from textgan.networks.image_discriminators import ImageDiscriminatorConfig
from textgan.registry import find
from textgan.reproducibility import seed_everything
from textgan.trainer import Trainer, TrainerConfig

SPEC = ImageSpec(1, 8, 8, train_size=40, categories=("a", "b", "c"))
START = Turn("adversarial", 0, 0.0)


class Oracle(nn.Module):
    """Scores pairs by the first number of an image, rounded: 9 where it is the same, as within a category."""

    def forward(self, queries: Tensor, documents: Tensor) -> Tensor:
        first, second = (images[:, 0, 0, 0].round() for images in (queries, documents))
        return 9.0 * (first[:, None] == second)


def _game(**changes: object) -> IRGAN:
    seed_everything(0)
    small = ImageDiscriminatorConfig(width=4, init_std=0.5)
    return IRGAN(dataclasses.replace(TINY, **{"generator": small, "discriminator": small, **changes}), SPEC)


def _batch(n: int = 12, seed: int = 0) -> LabelledImages:
    """Images of categories in turn; the first number of an image is about its category."""
    images = torch.randn(n, *SPEC.shape, generator=torch.Generator().manual_seed(seed))
    category = torch.arange(n) % 3
    images[:, 0, 0, 0] = category + 0.1 * images[:, 0, 0, 0].clamp(-2, 2)
    return LabelledImages(images, category)


def _p(game: IRGAN, images: Tensor) -> Tensor:
    """p(d | q) by hand: a softmax over all documents but the query itself."""
    scores = game.generator(images, images)
    rows = [torch.cat([s[:i], s[i + 1 :]]).softmax(0) for i, s in enumerate(scores)]
    return torch.stack([torch.cat([p[:i], torch.zeros(1), p[i:]]) for i, p in enumerate(rows)])


def _others(batch: LabelledImages) -> LabelledImages:
    """The same images of other categories: other pairs are relevant."""
    n = len(batch.image)
    return LabelledImages(batch.image, torch.arange(n) * 3 // n)


def test_the_likelihood_is_the_mean_log_probability_of_relevant_documents_among_the_observed():
    game = _game(observed=2)
    real = _batch()
    found = game.likelihood(real, START).terms["nll"]
    known, category = real.image[:6], real.category[:6]
    p = _p(game, known)
    by_hand = [-p[q, d].log() for q in range(6) for d in range(6) if q != d and category[q] == category[d]]
    assert len(by_hand) == 6
    torch.testing.assert_close(found, sum(by_hand) / 6)


def test_the_generators_gradient_is_that_of_the_mean_reward():
    """Over 20,000 draws a query, against the sum over all documents."""
    game = _game(draws=20_000)
    real = _batch(6)
    parameters = list(game.generator.parameters())
    rewards = (1 + game.discriminator(real.image, real.image).exp()).log().detach()
    expected = (_p(game, real.image) * rewards).sum(1)
    exact = torch.autograd.grad(-expected.mean(), parameters)
    seed_everything(1)
    loss = game.generator_loss(real, START)
    estimate = torch.autograd.grad(loss.terms["reinforce"], parameters)
    torch.testing.assert_close(loss.info["reward"], expected.mean())
    exact, estimate = (torch.cat([g.flatten() for g in gradient]) for gradient in (exact, estimate))
    assert (estimate - exact).norm() < 0.05 * exact.norm()


def test_the_baseline_leaves_nothing_of_a_reward_that_is_the_same_for_all():
    game = _game(draws=3)
    game.discriminator.factor.data.zero_()
    game.discriminator.level.data.fill_(2.5)
    loss = game.generator_loss(_batch(), START)
    assert loss.terms["reinforce"].item() == pytest.approx(0, abs=1e-6)
    assert loss.info["reward"].item() == pytest.approx(torch.tensor(2.5).exp().add(1).log().item())


def test_the_generator_learns_from_no_category_and_moves_nobody_else():
    game = _game()
    real, found = _batch(), []
    for batch in (real, _others(real)):
        seed_everything(1)
        found.append(game.generator_loss(batch, START).terms["reinforce"])
    assert torch.equal(*found)
    found[0].backward()
    assert all(p.grad is None for p in game.discriminator.parameters())


def test_the_discriminators_loss_is_the_cross_entropy_of_relevant_and_of_drawn_pairs():
    """With 20,000 draws each, against sums over all documents."""
    game = _game(draws=20_000)
    real = _batch(9)
    scores = game.discriminator(real.image, real.image)
    p = _p(game, real.image)
    seed_everything(1)
    loss = game.discriminator_loss(real, START)
    relevant = [-scores[q, d].sigmoid().log() for q in range(9) for d in range(9) if q != d and (q - d) % 3 == 0]
    torch.testing.assert_close(loss.terms["relevant"], sum(relevant) / len(relevant), rtol=0.03, atol=0.01)
    drawn = -(p * (1 - scores.sigmoid()).log()).sum(1).mean()
    torch.testing.assert_close(loss.terms["drawn"], drawn, rtol=0.03, atol=0.01)
    shares = [(scores[q, d] > 0).float() for q in range(9) for d in range(9) if q != d and (q - d) % 3 == 0]
    right = (sum(shares) / len(shares) + (p * (scores < 0)).sum(1).mean()) / 2
    torch.testing.assert_close(loss.info["accuracy"], right, rtol=0.03, atol=0.01)
    sum(loss.terms.values()).backward()
    assert all(parameter.grad is None for parameter in game.generator.parameters())


def test_relevant_pairs_are_those_of_the_batch_or_of_the_observed_images_alone():
    for relevant, same in (("batch", False), ("observed", True)):
        game = _game(relevant=relevant, observed=2)
        game.discriminator_loss(_batch(seed=5), START)  # now the observed images are known
        found = []
        for batch in (_batch(), _others(_batch())):
            seed_everything(1)
            found.append(game.discriminator_loss(batch, START).terms["relevant"])
        assert torch.equal(*found) is same, relevant


def test_only_the_first_images_of_a_category_are_observed():
    game = _game(observed=2)
    real = _batch()
    for move in (game.likelihood, game.discriminator_loss, game.generator_loss):
        move(real, START)
        move(_others(_batch(seed=3)), START)
    held = {tuple(image.flatten().tolist()) for image in game.observed.images.flatten(0, 1)}
    assert held == {tuple(image.flatten().tolist()) for image in real.image[:6]}


def test_samples_are_retrieved_for_a_query_of_the_category_and_are_never_the_query():
    game = _game(observed=2, documents=18)
    for seed in (0, 1):
        game.generator_loss(_batch(seed=seed), START)
    last = torch.cat([_batch(seed=0).image[6:], _batch(seed=1).image])  # 18 of the 24 that came by
    game.generator = Oracle()
    images = game.sample(300)
    known = [tuple(image.flatten().tolist()) for image in last]
    retrieved = [tuple(image.flatten().tolist()) for image in images]
    assert set(retrieved) <= set(known)
    assert len(set(retrieved)) > 12
    right = images[:, 0, 0, 0].round() == torch.arange(300) % 3
    assert right.float().mean() > 0.99
    alone = game.sample(50, category=2)
    assert (alone[:, 0, 0, 0].round() == 2).float().mean() > 0.9
    game.documents.items.copy_(game.observed.images.flatten(0, 1)[[0, 1, 2, 3, 4, 5] * 3])
    for category in range(3):
        query = game.observed.images[category]
        game.observed.held.fill_(1)  # the query is the first one
        assert not (game.sample(40, category=category) == query[0]).flatten(1).all(1).any()


def test_the_sheet_has_an_observed_image_a_category_and_its_likeliest_documents_in_order():
    game = _game(observed=2, documents=24)
    for seed in (0, 1):
        game.generator_loss(_batch(seed=seed), START)
    sheet = game.sheets()["retrieved"]
    assert sheet.shape == (3, 10, *SPEC.shape)
    for category, (query, *found) in enumerate(sheet):
        assert (query[0, 0, 0].round()) == category
        scores = game.generator(query[None], torch.stack(found))[0]
        assert torch.equal(scores, scores.sort(descending=True).values)
        everything = game.generator(query[None], game.documents.items)[0].sort(descending=True).values
        torch.testing.assert_close(scores, everything[1:10])  # the first is the query itself


def test_precision_is_1_of_an_oracle_and_that_of_chance_of_a_guess():
    game = _game()
    images = _batch(300)
    game.generator = Oracle()
    assert game.precision(images, 5) == 1
    game.generator.forward = lambda queries, documents: torch.rand(len(queries), len(documents))
    assert game.precision(images, 5) == pytest.approx(1 / 3, abs=0.05)


def test_what_is_logged_is_precision_beside_the_best_that_can_be():
    info = _game(k=5).generator_loss(_batch(), START).info
    assert info["precision at 5/best possible"].item() == pytest.approx(3 / 5)  # three others of each category
    game = _game(k=3)
    game.generator = Oracle()
    logged = game._precisions(_batch())
    assert logged["precision at 3/best possible"] == 1
    assert logged["precision at 3/generator"] == 1  # an image is not found by itself
    assert 0 <= logged["precision at 3/discriminator"] < 1


def test_dropout_is_off_while_the_other_side_judges_or_draws():
    small = ImageDiscriminatorConfig(width=4, init_std=0.5, dropout=0.5)
    game = _game(discriminator=small)
    found = []
    for seed in (1, 2):
        seed_everything(seed)
        found.append(game.generator_loss(_batch(), START).info["reward"])
    assert torch.equal(*found)
    assert game.discriminator.training


def test_either_one_is_schooled_before_the_game():
    game = IRGAN(Config(), SPEC)
    stages = game.stages()
    assert [stage.name for stage in stages] == ["pretrain_generator", "pretrain_discriminator", "adversarial"]
    assert [[(move.player, move.times) for move in stage.moves] for stage in stages] == [
        [("generator_mle", 1)], [("discriminator", 1)], [("discriminator", 3), ("generator", 1)],
    ]  # fmt: skip
    rates = {name: optimizer.param_groups[0]["lr"] for name, optimizer in game.optimizers().items()}
    assert rates == {"generator_mle": 1e-3, "discriminator": 1e-3, "generator": 3e-4}


def test_options_out_of_range_are_refused():
    with pytest.raises(UserError, match=r"game.documents is 8; it must be at least game.batch_size"):
        dataclasses.replace(TINY, documents=8)
    with pytest.raises(UserError, match=r"game.observed is 1; it must be at least 2"):
        dataclasses.replace(TINY, observed=1)
    with pytest.raises(UserError, match=r"game.temperature is 0.0; it must be above 0"):
        dataclasses.replace(TINY, temperature=0.0)


def test_the_preset_is_for_larger_images():
    arguments = parse_train_command(find("irgan"), ["--preset", "irgan-mnist_5000"], "test")
    game = IRGAN(arguments.game, ImageSpec(1, 28, 28, 40, SPEC.categories))
    assert arguments.corpus == "mnist_5000"
    assert game.log_retrieval(torch.randn(3, 1, 28, 28), torch.randn(4, 1, 28, 28)).shape == (3, 4)


@pytest.mark.slow
def test_the_game_betters_its_start_on_held_out_digits():
    """Half a minute. Precision at 5 of about 0.85 after the schooling by 30 labelled digits, above 0.95 in the end."""
    corpus = open_images("digits", ImageConfig(), labelled=True)
    held_out = LabelledImages(corpus.test.images(1000), corpus.test.categories(1000))
    seed_everything(0)
    game = IRGAN(Config(), corpus.spec)
    trainer = Trainer(game, Batches(corpus.train, 0), TrainerConfig(device="cpu"))
    start = 0.0
    for place in walk(trainer.stages):
        if place.stage == 2 and start == 0.0:
            start = game.precision(held_out, 5)
        trainer.make(place)
    assert start > 0.75
    assert game.precision(held_out, 5) > start + 0.05
