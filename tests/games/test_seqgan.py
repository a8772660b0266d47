"""What makes SeqGAN itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tests.games.test_every_game import SPECS, _sentences
from textgan.game import Act, Move, Turn
from textgan.games.seqgan import TINY, Config, SeqGAN
from textgan.networks.modes import evaluating
from textgan.networks.text_cnn import SEQGAN_FILTERS
from textgan.parts.text_game import Pretraining
from textgan.reproducibility import seed_everything

SPEC = SPECS["text"]["variable length"]
TURN = Turn("adversarial", 0, 0.0)


def _game(spec=SPEC, discriminator=None, **changes) -> SeqGAN:
    seed_everything(0)
    opponent = dataclasses.replace(TINY.discriminator, **(discriminator or {}))
    game = SeqGAN(dataclasses.replace(TINY, discriminator=opponent, **changes), spec)
    game.rollouts.become(game.generator)
    game.opponent.refill(game.fakes)
    return game


def test_the_default_discriminator_has_the_papers_filters():
    config = Config().discriminator
    assert dict(zip(config.widths, config.filters, strict=True)) == SEQGAN_FILTERS
    assert SEQGAN_FILTERS == {
        1: 100, 2: 200, 3: 200, 4: 200, 5: 200, 6: 100, 7: 100, 8: 100, 9: 100, 10: 100, 15: 160, 20: 160
    }  # fmt: skip


def test_the_oracle_preset_is_the_papers_schedule():
    from textgan.config import parse_train_command
    from textgan.registry import find

    command = parse_train_command(find("seqgan"), ["--preset", "seqgan-oracle"], "test")
    spec = dataclasses.replace(SPECS["text"]["fixed length"], train_size=10_000, vocab_size=50)
    pretrain, discriminate, adversarial = SeqGAN(command.game, spec).stages()
    epoch = -(-10_000 // 64)
    assert (pretrain.rounds, [move.times for move in pretrain.moves]) == (120, [epoch])
    assert (discriminate.rounds, [move.times for move in discriminate.moves]) == (50, [1, 3 * epoch])
    assert adversarial.rounds == 200
    assert [move.times for move in adversarial.moves] == [1, 1, *[1, 3 * epoch] * 5]
    assert [type(move) for move in adversarial.moves] == [Act, Move, *[Act, Move] * 5]


def test_rewards_are_drawn_with_dropout_off_and_the_mode_comes_back():
    game = _game(discriminator={"dropout": 0.9})
    game.train()
    tokens = game.sample(4)
    last = (tokens != SPEC.pad).sum(1) - 1
    rewards = game._rewards(tokens)
    with torch.no_grad(), evaluating(game.opponent):
        of_the_sentence = game.opponent.network(tokens).sigmoid()
    torch.testing.assert_close(rewards[torch.arange(4), last], of_the_sentence)
    assert game.opponent.network.training


@pytest.mark.parametrize("spec", SPECS["text"].values(), ids=SPECS["text"])
def test_the_policy_gradient_is_minus_reward_times_log_probability(spec):
    game = _game(spec)
    real = _sentences(spec)[:6]
    seed_everything(5)
    loss = game._reinforce(real, TURN)
    seed_everything(5)
    tokens = game.sample(6)
    rewards = game._rewards(tokens)
    with evaluating(game.generator):
        log_probs = game.generator.log_probs(tokens)
    by_hand = torch.zeros(())
    for b in range(6):
        for t in range(spec.length):
            if tokens[b, t] != spec.pad:
                by_hand = by_hand - rewards[b, t] * log_probs[b, t] / 6
    torch.testing.assert_close(loss.terms["policy_gradient"], by_hand)
    mean = rewards[tokens != spec.pad].mean()
    torch.testing.assert_close(loss.info["reward"], mean)


def test_a_constant_reward_is_one_at_every_word():
    game = _game(reward="constant")
    tokens = game.sample(5)
    assert torch.equal(game._rewards(tokens), (tokens != SPEC.pad).float())


def test_the_discriminator_learns_to_tell_real_from_fake_and_the_reward_sees_it():
    from textgan.data.batches import Batches
    from textgan.data.oracle import OracleSplit
    from textgan.trainer import Trainer, TrainerConfig

    seed_everything(0)
    opponent = dataclasses.replace(TINY.discriminator, rounds=30, learning_rate=1e-2)
    config = dataclasses.replace(TINY, pretraining=Pretraining(epochs=0), discriminator=opponent, rounds=0)
    game = SeqGAN(config, SPEC)
    real = _sentences(SPEC)
    records = []
    batches = Batches(OracleSplit(real), 0)
    Trainer(game, batches, TrainerConfig(device="cpu", log_every=1), log=records.append).play()
    assert records[-1]["values"]["accuracy"] > 0.9
    discriminator = game.opponent.network
    with evaluating(discriminator):
        assert discriminator(real).mean() > discriminator(game.sample(200)).mean() + 2
