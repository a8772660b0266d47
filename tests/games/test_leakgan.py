"""What makes LeakGAN itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch.nn.functional import cosine_similarity

from tests.games.test_every_game import SPECS, _sentences
from textgan.config import parse_train_command
from textgan.errors import UserError
from textgan.game import Act, Move, Turn
from textgan.games.leakgan import TINY, Config, LeakGAN, changes, intrinsic_rewards
from textgan.networks.modes import evaluating
from textgan.parts.opponent import OpponentConfig
from textgan.registry import find
from textgan.reproducibility import seed_everything

SPEC = SPECS["text"]["variable length"]
TURN = Turn("adversarial", 0, 0.0)
every_spec = pytest.mark.parametrize("spec", SPECS["text"].values(), ids=SPECS["text"])


def built(spec=SPEC, **changed) -> LeakGAN:
    seed_everything(0)
    game = LeakGAN(dataclasses.replace(TINY, **changed), spec)
    game.opponent.refill(game.sample)
    return game


def toy() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 6, 4, generator=generator), torch.randn(2, 5, 4, generator=generator)


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return ((a @ b) / (a.norm() * b.norm()).clamp(min=1e-8)).item()  # of what did not change at all: 0


def test_a_goal_is_held_against_the_change_of_the_features_over_the_window_or_up_to_the_sentences_end():
    features, _ = toy()
    found = changes(features, torch.tensor([5, 3]), window=2)
    for b, length in enumerate((5, 3)):
        for t in range(length):
            expected = features[b, min(t + 2, length)] - features[b, t]
            torch.testing.assert_close(found[b, t], expected)


def test_the_intrinsic_reward_of_a_word_is_the_mean_cosine_of_what_was_reached_and_the_goals_before_it():
    features, goals = toy()
    found = intrinsic_rewards(features, goals, window=3)
    for b in range(2):
        for t in range(1, 6):  # after t words
            cosines = [cosine(features[b, t] - features[b, t - i], goals[b, t - i]) for i in range(1, min(3, t) + 1)]
            assert found[b, t - 1].item() == pytest.approx(sum(cosines) / len(cosines), abs=1e-6)


@every_spec
def test_both_losses_by_hand(spec):
    game = built(spec)
    real = _sentences(spec)[:6]
    seed_everything(5)
    loss = game._reinforce(real, TURN)
    seed_everything(5)
    tokens = game.sample(6)
    worth = game._worth(tokens)
    with evaluating(game.generator):
        reading, log_probs = game.generator.read(tokens), game.generator.log_probs(tokens)
    intrinsic = intrinsic_rewards(reading.features, reading.goals, 2)
    manager = worker = 0.0
    for b in range(6):
        length = int((tokens[b] != spec.pad).sum())
        for t in range(length):
            change = reading.features[b, min(t + 2, length)] - reading.features[b, t]
            manager -= worth[b, t].item() * cosine(change, reading.goals[b, t]) / 6
            worker -= (intrinsic[b, t] * log_probs[b, t]).item() / 6
    assert loss.terms["manager"].item() == pytest.approx(manager, rel=1e-4)
    assert loss.terms["worker"].item() == pytest.approx(worker, rel=1e-4)


def test_a_step_against_the_managers_loss_turns_goals_to_where_the_features_went():
    game = built(reward="constant")
    tokens = _sentences(SPEC)[:8]
    mask = tokens != SPEC.pad

    def mean_cosine() -> torch.Tensor:
        reading = game.generator.read(tokens)
        change = changes(reading.features, mask.sum(1), 2)
        return (cosine_similarity(change, reading.goals, dim=2) * mask).sum() / mask.sum()

    before = mean_cosine().item()
    game.sample = lambda n: tokens[:n]
    game._reinforce(tokens, TURN).terms["manager"].backward()
    with torch.no_grad():
        for parameter in [*game.generator.manager.parameters(), *game.generator.aim.parameters()]:
            parameter -= 0.05 * parameter.grad
    assert mean_cosine().item() > before + 1e-4


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_step_against_the_workers_loss_makes_what_reached_its_goals_likelier(sign, monkeypatch):
    game = built()
    tokens = _sentences(SPEC)[:8]
    game.eval()
    game.sample = lambda n: tokens[:n]
    rewards = sign * (tokens != SPEC.pad).float()
    monkeypatch.setattr("textgan.games.leakgan.intrinsic_rewards", lambda *_: rewards)
    before = game.log_probs(tokens).sum().item()
    game._reinforce(tokens, TURN).terms["worker"].backward()
    with torch.no_grad():
        for parameter in game.generator.parameters():
            if parameter.grad is not None:
                parameter -= 0.01 * parameter.grad
    assert sign * (game.log_probs(tokens).sum().item() - before) > 0.01


def test_each_loss_moves_its_own_network_alone():
    for term, moved in (("manager", {"manager", "aim"}), ("worker", {"embedding", "worker", "projection", "output"})):
        game = built()
        game._reinforce(_sentences(SPEC)[:6], TURN).terms[term].backward()
        found = {name.partition(".")[0] for name, p in game.generator.named_parameters() if p.grad is not None}
        assert found == moved
        assert all(p.grad is None for p in game.opponent.network.parameters())


def test_a_constant_reward_is_one_at_every_word_and_another_is_a_rank():
    tokens = _sentences(SPEC)[:10]
    mask = tokens != SPEC.pad
    assert torch.equal(built(reward="constant")._worth(tokens), mask.float())
    worth = built()._worth(tokens)
    for t in range(SPEC.length):
        n = int(mask[:, t].sum())
        ranks = (torch.arange(n) + 0.5) / n
        torch.testing.assert_close(worth[mask[:, t], t].sort().values, (12 * (ranks - 0.5)).sigmoid())


def test_what_leaks_is_the_discriminator_as_it_is_now():
    game = built().eval()
    tokens = _sentences(SPEC)[:4]
    before = game.log_probs(tokens)
    with torch.no_grad():
        game.opponent.network.highway.bias += 1
    assert not torch.equal(before, game.log_probs(tokens))


def test_the_oracle_preset_is_the_papers_schedule():
    command = parse_train_command(find("leakgan"), ["--preset", "leakgan-oracle"], "test")
    assert isinstance(command.game, Config)
    spec = dataclasses.replace(SPECS["text"]["fixed length"], train_size=10_000, vocab_size=50)
    in_turns, adversarial = LeakGAN(command.game, spec).stages()
    epoch = -(-10_000 // 64)
    assert in_turns.rounds == 10
    assert [move.times for move in in_turns.moves] == [*[1, 3 * epoch] * 5, 8 * epoch]
    assert [type(move) for move in in_turns.moves] == [*[Act, Move] * 5, Move]
    assert adversarial.rounds == 800
    assert [(move.times, move.every) for move in adversarial.moves[:2]] == [(epoch, 15), (1, 1)]
    assert (command.game.generator.goal, command.game.generator.window, command.game.rollouts) == (16, 4, 4)


def test_a_discriminator_without_features_of_prefixes_is_refused():
    with pytest.raises(UserError, match=r"game\.discriminator\.kind is 'rnn'; it must be cnn"):
        Config(discriminator=OpponentConfig(kind="rnn"))
