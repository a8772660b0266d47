"""What makes DP-GAN itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tests.games.test_every_game import SPECS, _sentences
from textgan.data.batches import Batches
from textgan.data.oracle import OracleSplit
from textgan.game import Turn
from textgan.games.dpgan import DPGAN, TINY
from textgan.networks.modes import evaluating
from textgan.reproducibility import seed_everything
from textgan.trainer import Trainer, TrainerConfig

SPEC = SPECS["text"]["variable length"]
TURN = Turn("adversarial", 0, 0.0)
every_spec = pytest.mark.parametrize("spec", SPECS["text"].values(), ids=SPECS["text"])


def built(spec=SPEC, **changed) -> DPGAN:
    seed_everything(0)
    return DPGAN(dataclasses.replace(TINY, **changed), spec)


def word_rewards(game: DPGAN, row: torch.Tensor, ceiling: float) -> list[float]:
    """c_t of the sentence, one word at a time."""
    log_p = game.discriminator.log_probs(row[None])[0]
    return [min(-log_p[t].item(), ceiling) for t in range(len(row)) if row[t] != game.spec.pad]


@every_spec
@pytest.mark.parametrize("ceiling", [12.0, 2.4])
def test_a_word_is_worth_its_cross_entropy_times_the_sentences_both_under_the_ceiling(spec, ceiling):
    game = built(spec, ceiling=ceiling)
    game.eval()
    tokens = _sentences(spec)[:8]
    found = game._rewards(tokens)
    for row, rewards in zip(tokens, found, strict=True):
        words = word_rewards(game, row, ceiling)
        mean = sum(words) / len(words)
        assert rewards[: len(words)].tolist() == pytest.approx([word * mean for word in words], rel=1e-5)
        assert (rewards[len(words) :] == 0).all()


def test_the_policy_gradient_credits_a_word_with_itself_and_all_that_follow():
    game = built(baseline="none", whiten=False, discount=0.5, teacher_forcing=0.0)
    real = _sentences(SPEC)[:6]
    seed_everything(5)
    loss = game._reinforce(real, TURN)
    seed_everything(5)
    tokens = game.sample(6)
    rewards = game._rewards(tokens)
    with evaluating(game.generator):
        log_probs = game.generator.log_probs(tokens)
    by_hand = 0.0
    for b in range(6):
        for t in range(SPEC.length):
            to_go = sum(0.5 ** (s - t) * rewards[b, s].item() for s in range(t, SPEC.length))
            by_hand -= to_go * log_probs[b, t].item() / 6
    assert loss.terms["policy_gradient"].item() == pytest.approx(by_hand, rel=1e-5)
    assert set(loss.terms) == {"policy_gradient"}


def test_real_sentences_are_taught_beside_it():
    game = built(teacher_forcing=0.25)
    game.eval()
    real = _sentences(SPEC)[:6]
    nll = -game.generator.log_probs(real).sum() / (real != SPEC.pad).sum()
    torch.testing.assert_close(game._reinforce(real, TURN).terms["nll"], 0.25 * nll)


@every_spec
def test_the_discriminator_makes_real_sentences_unlikely_and_fakes_likely(spec):
    game = built(spec)
    game.eval()
    real = _sentences(spec)[:8]
    seed_everything(5)
    loss = game._discriminate(real, TURN)
    seed_everything(5)
    fake = game.sample(8)
    means = [
        sum(sum(words) / len(words) for words in (word_rewards(game, row, 12.0) for row in rows)) / 8
        for rows in (real, fake)
    ]
    assert loss.terms["real"].item() == pytest.approx(-means[0], rel=1e-5)
    assert loss.terms["fake"].item() == pytest.approx(means[1], rel=1e-5)


def test_the_discriminators_loss_has_a_lowest_value():
    """Beyond the ceiling nothing is gained by making a real word less likely still."""
    game = built(ceiling=0.01)
    loss = game._discriminate(_sentences(SPEC)[:8], TURN)
    sum(loss.terms.values()).backward()
    assert all(parameter.grad.abs().max() == 0 for parameter in game.discriminator.parameters())


def test_real_text_comes_to_be_worth_more_than_what_the_generator_says():
    game = built(pretraining=dataclasses.replace(TINY.pretraining, epochs=0), discriminator_rounds=60, rounds=0)
    game.config = dataclasses.replace(game.config, discriminator_learning_rate=1e-2)
    real = _sentences(SPEC)
    Trainer(game, Batches(OracleSplit(real), 0), TrainerConfig(device="cpu")).play()
    game.eval()
    with torch.no_grad():
        worth = {
            name: -(game.discriminator.log_probs(tokens).sum() / (tokens != SPEC.pad).sum()).item()
            for name, tokens in (("real", real), ("fake", game.sample(200)))
        }
    assert worth["real"] > worth["fake"] + 1


def test_a_constant_reward_is_one_at_every_word():
    tokens = _sentences(SPEC)[:5]
    assert torch.equal(built(reward="constant")._rewards(tokens), (tokens != SPEC.pad).float())
