"""What games of latent codes have in common, seen on one of them."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from tests.games.test_every_game import SPECS, _sentences
from textgan.distances import mmd_squared
from textgan.evaluation.text import HasLikelihood
from textgan.game import Turn
from textgan.networks.discriminators import DiscriminatorConfig
from textgan.networks.generators import GeneratorConfig
from textgan.networks.modes import evaluating
from textgan.parts.latent_game import LatentConfig, LatentGame, LatentGameConfig
from textgan.reproducibility import seed_everything

SPEC = SPECS["text"]["variable length"]
each_spec = pytest.mark.parametrize("spec", SPECS["text"].values(), ids=SPECS["text"])


def _game(spec=SPEC, kind="cnn", dropout=0.0, **options) -> LatentGame:
    seed_everything(0)
    generator = GeneratorConfig(embedding=8, hidden=8, dropout=dropout)
    discriminator = DiscriminatorConfig(
        kind=kind, widths=(1, 2), filters=(6, 6), embedding=8, representations=4, hidden=4, layers=1, dropout=0.0
    )
    latent = LatentConfig(size=4, **options)
    return LatentGame(LatentGameConfig(generator, discriminator, latent, batch_size=8), spec)


def _argmax(game, codes):
    """The likeliest word at each step, a sentence at a time."""
    found = torch.full((len(codes), game.spec.length), game.spec.pad)
    for row, code in zip(found, codes, strict=True):
        state = game.generator.start(1, code[None])
        for t in range(game.spec.length):
            row[t] = game.generator.logits(state).argmax()
            if row[t] == game.spec.eos:
                break
            state = game.generator.advance(row[t : t + 1], state)
    return found


@each_spec
def test_a_sentence_is_a_function_of_its_code(spec):
    game = _game(spec, dropout=0.5)
    seed_everything(1)
    tokens = game.sample(10)
    seed_everything(1)
    codes = game.codes(10)
    with evaluating(game.generator):
        assert torch.equal(tokens, _argmax(game, codes))
    assert len(tokens.unique(dim=0)) > 1


def test_the_temperature_of_sentences_that_follow_from_codes_is_that_of_the_codes():
    game = _game()
    seed_everything(1)
    tokens = game.sample(10, temperature=0.5)
    seed_everything(1)
    with evaluating(game.generator):
        assert torch.equal(tokens, _argmax(game, 0.5 * game.codes(10)))


def test_drawn_words_follow_their_distribution_under_the_code():
    game = _game(words="drawn")
    game.codes = lambda n: torch.ones(n, 4)
    tokens = game.sample(4000, temperature=0.5)
    p = (game.generator.logits(game.generator.start(1, torch.ones(1, 4)))[0] / 0.5).softmax(0)
    rates = tokens[:, 0].bincount(minlength=SPEC.vocab_size) / 4000
    assert ((rates - p).abs() <= 5 * (p * (1 - p) / 4000).sqrt() + 1e-3).all()


def test_there_is_no_density():
    assert not isinstance(_game(), HasLikelihood)


def test_fakes_are_a_soft_argmax_whose_temperature_falls_geometrically():
    game = _game(first_temperature=4.0, last_temperature=0.25)
    codes = torch.randn(5, 4)
    for progress, temperature in ((0.0, 4.0), (0.5, 1.0)):
        fake = game.fakes(codes, Turn("adversarial", 0, progress))
        state = game.generator.start(5, codes)
        for t in range(2):
            word = (game.generator.logits(state) / temperature).softmax(1)
            going = (fake.tokens[:, :t] != SPEC.eos).all(1)
            torch.testing.assert_close(fake.words[going, t], word[going])
            state = game.generator.advance_relaxed(word, state)


@pytest.mark.parametrize("kind", ["cnn", "multi", "rnn"])
def test_the_verdict_and_the_code_are_linear_in_the_features(kind):
    game = _game(kind=kind)
    tokens = _sentences(SPEC)[:5]
    verdict, code = game.read_codes(game.features(tokens))
    outputs = game.discriminator(tokens)
    assert outputs.shape == (5, 1 + 4)
    torch.testing.assert_close(verdict, outputs[:, 0])
    torch.testing.assert_close(code, outputs[:, 1:])


@each_spec
def test_the_autoencoder_writes_a_sentence_from_the_code_that_is_read_off_it(spec):
    game, real = _game(spec, prior=3.0), _sentences(spec)[:8]
    seed_everything(2)
    loss = game._rewrite(real, Turn("pretrain_autoencoder", 0, 0.0))
    seed_everything(2)
    code = game.discriminator(real)[:, 1:]
    log_probs = torch.cat([game.generator.log_probs(real[b : b + 1], condition=code[b : b + 1]) for b in range(8)])
    torch.testing.assert_close(loss.terms["nll"], -log_probs.sum() / (real != spec.pad).sum())
    distance = mmd_squared(code, game.codes(8), [math.sqrt(4) * width for width in (0.5, 1.0, 2.0)])
    torch.testing.assert_close(loss.terms["prior"], 3 * distance)


def test_the_autoencoder_learns_to_write_its_sentences_again():
    game, real = _game(prior=0.0), _sentences(SPEC)[:8]
    (optimizer,) = game.autoencoder_optimizer().values()
    optimizer.param_groups[0]["lr"] = 0.03
    for _ in range(150):
        optimizer.zero_grad()
        loss = game._rewrite(real, Turn("pretrain_autoencoder", 0, 0.0))
        sum(loss.terms.values()).backward()
        optimizer.step()
    with torch.no_grad():
        rewritten = _argmax(game, game.read_codes(game.features(real))[1])
    assert (rewritten == real).all(1).float().mean() > 0.7


def test_a_code_of_one_number_is_refused():
    from textgan.errors import UserError

    with pytest.raises(UserError, match=r"game.latent.size is 1; it must be at least 2"):
        dataclasses.replace(LatentConfig(), size=1)
