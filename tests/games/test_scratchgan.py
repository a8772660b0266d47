"""What makes ScratchGAN itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tests.games.test_every_game import SPECS, _sentences
from textgan.config import parse_train_command
from textgan.errors import UserError
from textgan.game import Turn
from textgan.games.scratchgan import TINY, ScratchGAN, TokenDiscriminatorConfig
from textgan.networks.modes import evaluating
from textgan.registry import find
from textgan.reproducibility import seed_everything

TURN = Turn("adversarial", 0, 0.0)
each_spec = pytest.mark.parametrize("spec", SPECS["text"].values(), ids=SPECS["text"])
SPEC = SPECS["text"]["variable length"]


def _game(spec=SPEC, **changes) -> ScratchGAN:
    seed_everything(0)
    return ScratchGAN(dataclasses.replace(TINY, **changes), spec)


def test_it_is_never_pretrained():
    assert [stage.name for stage in _game().stages()] == ["adversarial"]
    assert set(_game().optimizers()) == {"generator", "discriminator"}


@each_spec
def test_a_tokens_reward_is_twice_its_probability_of_being_real_less_one(spec):
    game = _game(spec, discriminator=dataclasses.replace(TINY.discriminator, dropout=0.9))
    tokens = game.sample(6)
    rewards = game._rewards(tokens)
    with evaluating(game.discriminator), torch.no_grad():
        p = 1 / (1 + (-game.discriminator(tokens)).exp())
    for b in range(6):
        for t in range(spec.length):
            expected = 2 * p[b, t].item() - 1 if tokens[b, t] != spec.pad else 0
            assert rewards[b, t].item() == pytest.approx(expected, abs=1e-6)
    assert game.discriminator.training


@each_spec
def test_the_policy_gradient_weighs_each_word_with_discounted_rewards_above_the_baseline(spec):
    game = _game(spec, discount=0.5)
    game.baseline.fill_(0.3)
    seed_everything(5)
    loss = game._reinforce(_sentences(spec)[:6], TURN)
    seed_everything(5)
    tokens = game.sample(6)
    rewards = game._rewards(tokens)
    with evaluating(game.generator):
        log_probs = game.generator.log_probs(tokens)
    by_hand, worths = torch.zeros(()), []
    for b in range(6):
        length = int((tokens[b] != spec.pad).sum())
        for t in range(length):
            worth = sum(0.5 ** (s - t) * rewards[b, s] for s in range(t, length))
            worths.append(worth)
            by_hand = by_hand - (worth - 0.3) * log_probs[b, t] / 6
    torch.testing.assert_close(loss.terms["policy_gradient"], by_hand)
    decay = TINY.baseline_decay
    torch.testing.assert_close(game.baseline, decay * torch.tensor(0.3) + (1 - decay) * torch.stack(worths).mean())


def test_the_baseline_is_one_number_that_a_checkpoint_holds():
    assert _game().state_dict()["baseline"].shape == ()


@each_spec
def test_the_discriminators_loss_is_the_cross_entropy_of_tokens_without_padding(spec):
    game = _game(spec, discriminator=dataclasses.replace(TINY.discriminator, dropout=0.0))
    real = _sentences(spec)[:6]
    seed_everything(5)
    loss = game._discriminate(real, TURN)
    seed_everything(5)
    fake = game.sample(6)

    def mean(tokens, sign):
        scores = game.discriminator(tokens)
        kept = [scores[b, t] for b in range(6) for t in range(spec.length) if tokens[b, t] != spec.pad]
        return sum(-torch.sigmoid(sign * x).log() for x in kept) / len(kept)

    torch.testing.assert_close(loss.terms["real"], mean(real, 1))
    torch.testing.assert_close(loss.terms["fake"], mean(fake, -1))


def test_a_constant_reward_is_one_at_every_word():
    game = _game(reward="constant")
    tokens = game.sample(5)
    assert torch.equal(game._rewards(tokens), (tokens != SPEC.pad).float())


def test_an_objective_of_pairs_is_refused_as_tokens_have_none():
    with pytest.raises(UserError, match=r"game.discriminator.loss is 'relativistic'; it must be an objective"):
        TokenDiscriminatorConfig(loss="relativistic")


def test_the_captions_preset_has_the_papers_sizes_and_rates():
    config = parse_train_command(find("scratchgan"), ["--preset", "scratchgan-captions", "--corpus", "x.txt"], "t").game
    game = ScratchGAN(config, SPEC)
    assert (game.batch_size, config.discount, config.baseline_decay) == (512, 0.23, 0.08)
    assert [layer.hidden_size for layer in game.generator.layers] == [512, 512]
    assert game.generator.embedding.learned.shape[1] == 64
    assert game.discriminator.lstm.hidden_size == 512
    settings = {name: (g["lr"], g["betas"]) for name, o in game.optimizers().items() for g in o.param_groups}
    assert settings == {"generator": (9.59e-5, (0.5, 0.999)), "discriminator": (9.38e-3, (0.5, 0.999))}
