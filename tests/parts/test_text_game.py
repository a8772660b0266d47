"""What all games of sentences have in common."""

from __future__ import annotations

import torch

from tests.games.test_every_game import SPECS, _sentences
from textgan.networks.generators import GeneratorConfig
from textgan.parts.text_game import TextGame, TextGameConfig
from textgan.reproducibility import seed_everything

SPEC = SPECS["text"]["variable length"]


def make_game() -> TextGame:
    seed_everything(0)
    return TextGame(TextGameConfig(generator=GeneratorConfig(embedding=8, hidden=8, dropout=0.5)), SPEC)


def test_reinforce_is_minus_reward_above_the_others_mean_times_log_probability_with_dropout_off():
    game, tokens = make_game(), _sentences(SPEC)[:5]
    rewards = torch.rand(5, SPEC.length)
    loss = game.reinforce(tokens, rewards, temperature=0.5, baseline="batch")
    log_probs = game.eval().log_probs(tokens, 0.5)
    by_hand, total, words = torch.zeros(()), 0.0, 0
    for b in range(5):
        for t in range(SPEC.length):
            if tokens[b, t] == SPEC.pad:
                continue
            total, words = total + rewards[b, t], words + 1
            others = [rewards[c, t] for c in range(5) if c != b and tokens[c, t] != SPEC.pad]
            baseline = sum(others) / len(others) if others else 0.0
            by_hand = by_hand - (rewards[b, t] - baseline) * log_probs[b, t] / 5
    torch.testing.assert_close(loss.terms["policy_gradient"], by_hand)
    torch.testing.assert_close(loss.info["reward"], total / words)
