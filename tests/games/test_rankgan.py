"""What makes RankGAN itself."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from tests.games.test_every_game import SPECS, _sentences
from textgan.errors import UserError
from textgan.game import Turn
from textgan.games.rankgan import TINY, RankGAN, log_mean, rank_logits
from textgan.networks.modes import evaluating
from textgan.reproducibility import seed_everything

VARIABLE = SPECS["text"]["variable length"]
TURN = Turn("adversarial", 0, 0.0)
every_spec = pytest.mark.parametrize("spec", SPECS["text"].values(), ids=SPECS["text"])


def _game(spec=VARIABLE, **changes) -> RankGAN:
    seed_everything(0)
    game = RankGAN(dataclasses.replace(TINY, **changes), spec)
    game.ranker.refill(game._fakes)
    return game


def _cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return (a @ b / (a.norm() * b.norm())).item()


def _rank(s: torch.Tensor, references: torch.Tensor, comparison: torch.Tensor, gamma: float) -> float:
    """R(s | U, C), as the paper writes it."""
    found = 0.0
    for u in references:
        own = math.exp(gamma * _cosine(s, u))
        found += own / (own + sum(math.exp(gamma * _cosine(x, u)) for x in comparison))
    return found / len(references)


def _features(game: RankGAN, tokens: torch.Tensor) -> torch.Tensor:
    with evaluating(game.ranker.network), torch.no_grad():
        return game.ranker.network(tokens).double()


def test_the_rank_is_a_softmax_of_cosines_over_the_comparison_set_and_itself_averaged_over_references():
    generator = torch.Generator().manual_seed(0)
    s, u, c = (torch.randn(n, 5, generator=generator) for n in (4, 3, 6))
    found = log_mean(rank_logits(s, u, c, 2.5).sigmoid().log()).exp()
    expected = torch.tensor([_rank(x, u, c, 2.5) for x in s])
    torch.testing.assert_close(found, expected)
    # Not the cosine with the references' mean, nor a softmax without the sentence itself.
    assert (found - torch.tensor([_rank(x, u.mean(0)[None], c, 2.5) for x in s])).abs().max() > 1e-3


def test_a_sentence_like_the_references_ranks_first_and_one_against_them_last():
    u = torch.tensor([[1.0, 0.0]])
    c = torch.tensor([[0.0, 3.0], [0.0, -2.0]])
    rank = log_mean(torch.nn.functional.logsigmoid(rank_logits(torch.tensor([[5.0, 0], [-1, 0], [0, 1]]), u, c, 1.0)))
    e = math.e
    torch.testing.assert_close(rank.exp(), torch.tensor([e / (e + 2), (1 / e) / (1 / e + 2), 1 / 3]))


def test_the_rank_is_finite_for_any_gamma():
    s = torch.eye(3)
    logits = rank_logits(s, s, s, 1e4)
    assert log_mean(torch.nn.functional.logsigmoid(logits)).isfinite().all()
    assert log_mean(torch.nn.functional.logsigmoid(-logits)).isfinite().all()


@every_spec
def test_the_ranker_ranks_real_ones_among_fakes_and_fakes_among_real_ones(spec):
    game = _game(spec, references=3, comparison=4, gamma=2.0)
    real = _sentences(spec)[:9]
    fakes = game.ranker.pool.items[:6].long()
    game.eval()
    loss = game.ranker.loss(real, TURN)
    references, ranked, fake = _features(game, real[:3]), _features(game, real[3:]), _features(game, fakes)
    of_real = [_rank(s, references, fake[:4], 2.0) for s in ranked]
    of_fake = [_rank(s, references, ranked[:4], 2.0) for s in fake]
    assert loss.terms["real"].item() == pytest.approx(-sum(map(math.log, of_real)) / 12, rel=1e-4)
    assert loss.terms["fake"].item() == pytest.approx(-sum(math.log(1 - r) for r in of_fake) / 12, rel=1e-4)
    assert set(loss.terms) == {"real", "fake"}


@every_spec
@pytest.mark.parametrize("score", ["log_rank", "rank"])
def test_the_reward_is_the_rank_of_a_sentence_among_real_ones(spec, score):
    game = _game(spec, references=3, comparison=4, gamma=2.0, score=score).train()
    real, tokens = _sentences(spec)[:9], game.sample(5)
    rewards = game._rewards(tokens, real)
    ranks = [_rank(s, _features(game, real[:3]), _features(game, real[3:7]), 2.0) for s in _features(game, tokens)]
    expected = [math.log(rank) if score == "log_rank" else rank for rank in ranks]
    last = (tokens != spec.pad).sum(1) - 1
    torch.testing.assert_close(rewards[torch.arange(5), last], torch.tensor(expected), rtol=1e-4, atol=1e-5)
    assert (rewards[tokens == spec.pad] == 0).all()


def test_earlier_words_are_worth_the_mean_reward_of_their_completions():
    spec = SPECS["text"]["fixed length"]
    game = _game(spec, rollouts=300)
    real, tokens = _sentences(spec)[:8], game.sample(3)
    rewards = game._rewards(tokens, real)
    many = game.sample(10_000)
    many = many[many[:, 0] == tokens[0, 0]]
    of_prefix = game.ranker.log_rank(many, game.ranker.ranking(real))
    error = of_prefix.std().item() * (1 / 300 + 1 / len(many)) ** 0.5
    assert rewards[0, 0].item() == pytest.approx(of_prefix.mean().item(), abs=5 * error)


def test_a_small_batch_gives_half_of_itself_as_references():
    game = _game(references=16)
    references, comparison = game.ranker.ranking(_sentences(VARIABLE)[:6])
    assert (len(references), len(comparison)) == (3, 3)


def test_a_constant_reward_is_one_at_every_word():
    game = _game(reward="constant")
    tokens = game.sample(5)
    assert torch.equal(game._rewards(tokens, _sentences(VARIABLE)[:8]), (tokens != VARIABLE.pad).float())


def test_another_loss_is_refused():
    with pytest.raises(UserError, match=r"game\.discriminator\.loss is 'hinge'; it must be standard"):
        dataclasses.replace(TINY, discriminator=dataclasses.replace(TINY.discriminator, loss="hinge"))


def test_the_ranker_learns_to_rank_real_sentences_above_fakes():
    from textgan.data.batches import Batches
    from textgan.data.oracle import OracleSplit
    from textgan.parts.text_game import Pretraining
    from textgan.trainer import Trainer, TrainerConfig

    seed_everything(0)
    ranker = dataclasses.replace(TINY.discriminator, rounds=20, learning_rate=1e-2)
    config = dataclasses.replace(TINY, pretraining=Pretraining(epochs=0), discriminator=ranker, rounds=0)
    game, real = RankGAN(config, VARIABLE), _sentences(VARIABLE)
    Trainer(game, Batches(OracleSplit(real), 0), TrainerConfig(device="cpu")).play()
    ranking = game.ranker.ranking(real)
    of_real, of_fake = game.ranker.log_rank(real[8:], ranking), game.ranker.log_rank(game.sample(200), ranking)
    assert of_real.mean() > of_fake.mean() + 0.5
