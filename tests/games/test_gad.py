"""GAD: groups of answers, what they are worth, and the loss, by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from tests.small_stories import SPEC, contexts, endings
from textgan.data.stories import StoryBatch
from textgan.errors import UserError
from textgan.game import Turn
from textgan.games.gad import GAD, TINY, Config

START, LATER = Turn("adversarial", 0, 0.0), Turn("adversarial", 1, 0.5)
REAL = StoryBatch(contexts(4), endings(4))


def game(**options: Any) -> GAD:
    torch.manual_seed(0)
    made = GAD(dataclasses.replace(TINY, batch_size=4, **options), SPEC)
    for parameter in made.parameters():
        parameter.data.normal_(std=0.5)
    made.start.take()
    return made


def shift(played: GAD) -> None:
    with torch.no_grad():
        for parameter in played.generator.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))


def test_answers_stand_beside_their_own_prompts() -> None:
    """Each row of the experience, alone: its prompt, its log-probabilities, its reward."""
    played = game(unended="reward")
    played._improve(REAL, START)
    kept = played.experience.draw(4)
    assert torch.equal(kept["context"], REAL.context)
    assert torch.equal(kept["human"], REAL.ending)
    played.eval()
    with torch.no_grad():
        for b in range(4):
            prompt = REAL.context[b][None]
            human = played.discriminator.reward(prompt, REAL.ending[b][None])
            assert kept["human_reward"][b].item() == pytest.approx(human.item(), abs=1e-5)
            for n in range(TINY.group):
                answer = kept["answers"][b, n][None]
                expected = played.log_probs(prompt, answer)[0]
                torch.testing.assert_close(kept["old"][b, n], expected, rtol=0, atol=1e-5)
                reward = played.discriminator.reward(prompt, answer)
                assert kept["reward"][b, n].item() == pytest.approx(reward.item(), abs=1e-5)
    mean, deviation = kept["reward"].mean(1, keepdim=True), kept["reward"].std(1, correction=0, keepdim=True)
    torch.testing.assert_close(kept["advantage"], (kept["reward"] - mean) / deviation, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("weights", ["answer", "constant"])
@pytest.mark.parametrize("leash", ["k2", "k3"])
def test_the_loss_of_a_second_update_by_hand(weights: str, leash: str) -> None:
    played = game(updates=2, weights=weights, leash=leash, kl=0.3, ratio_clip=0.05)
    played._improve(REAL, START)
    shift(played)
    loss = played._improve(REAL, START)
    assert played.experience.is_spent
    kept, policy_gradient, divergence, clipped = played.experience.draw(4), 0.0, 0.0, 0
    for b in range(4):
        for n in range(TINY.group):
            answer, advantage = kept["answers"][b, n], kept["advantage"][b, n].item()
            with torch.no_grad():
                now = played.eval().log_probs(REAL.context[b][None], answer[None])[0]
            length = int((answer != SPEC.pad).sum())
            weight = 1 / (length if weights == "answer" else SPEC.length)
            for t in range(length):
                ratio = (now[t] - kept["old"][b, n, t]).exp().item()
                bounded = min(max(ratio, 0.95), 1.05)
                policy_gradient -= weight * min(ratio * advantage, bounded * advantage)
                clipped += bounded * advantage < ratio * advantage
                d = (kept["start"][b, n, t] - now[t]).double()
                divergence += weight * (d * d / 2 if leash == "k2" else d.exp() - 1 - d).item()
    rows = 4 * TINY.group
    assert loss.terms["policy_gradient"].item() == pytest.approx(policy_gradient / rows, abs=1e-4)
    assert loss.terms["leash"].item() == pytest.approx(0.3 * divergence / rows, rel=1e-3)
    assert clipped > 0


def test_an_answer_that_does_not_end_comes_behind_those_that_do() -> None:
    rewards = torch.tensor([[1.0, 5.0, 3.0], [1.0, 5.0, 3.0]])
    ended = torch.tensor([[True, False, True], [False, False, False]])
    behind = game(unended="behind", normalize=False)._advantages(rewards, ended)
    torch.testing.assert_close(
        behind, torch.tensor([[1.0, 1.0, 3.0], [1.0, 5.0, 3.0]]) - torch.tensor([[5 / 3], [3.0]])
    )
    masked = game(unended="mask", normalize=False)._advantages(rewards, ended)
    torch.testing.assert_close(masked, torch.tensor([[-2.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))
    plain = game(unended="reward", normalize=False)._advantages(rewards, ended)
    torch.testing.assert_close(plain, rewards - 3)


def test_no_answer_weighs_more_by_its_length() -> None:
    """The gradient's weight on an answer of equal advantage: the same for every length, or in proportion to it."""
    for weights, of_length in (("answer", lambda n: 1.0), ("constant", lambda n: n / SPEC.length)):
        played = game(weights=weights, kl=0.0, updates=2)
        played._improve(REAL, START)
        kept = played.experience.draw(4)
        played.experience.advantage.fill_(1.0)
        leaf: list[torch.Tensor] = []
        log_probs = played.log_probs

        def recorded(*given: Any, log_probs: Any = log_probs, leaf: list[torch.Tensor] = leaf) -> torch.Tensor:
            leaf.append(log_probs(*given).detach().requires_grad_())
            return leaf[0]

        played.log_probs = recorded  # type: ignore[method-assign]
        loss = played._improve(REAL, START).terms["policy_gradient"]
        (gradient,) = torch.autograd.grad(loss, leaf[0])
        lengths = (kept["answers"] != SPEC.pad).sum(2).flatten()
        expected = torch.tensor([-of_length(n) / len(lengths) for n in lengths.tolist()])
        assert len(set(lengths.tolist())) > 1
        torch.testing.assert_close(gradient.sum(1), expected, rtol=1e-4, atol=1e-5)


def test_one_update_needs_no_second_pass_and_has_ratio_one() -> None:
    played = game(updates=1, kl=0.0)
    loss = played._improve(REAL, START)
    kept = played.experience.draw(4)
    answers, worth = kept["answers"].flatten(0, 1), kept["advantage"].flatten()
    mask = answers != SPEC.pad
    log_probs = played.eval().log_probs(REAL.context, answers)
    plain = -(log_probs * mask / mask.sum(1, keepdim=True) * worth[:, None]).sum() / len(answers)
    found, expected = (torch.autograd.grad(x, played.generator.bias)[0] for x in (loss.terms["policy_gradient"], plain))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    assert expected.any()


def test_the_leash_is_to_the_student_as_it_was_when_the_game_began() -> None:
    played = game(updates=1)
    begin = played.stages()[2].moves[0].do
    shift(played)
    begin(START)
    assert played._improve(REAL, START).info["kl"].item() == pytest.approx(0, abs=1e-6)
    shift(played)
    begin(LATER)
    assert played._improve(REAL, LATER).info["kl"] > 1e-3


def test_the_reward_model_learns_on_the_answers_just_rewarded() -> None:
    played = game()
    played._improve(REAL, START)
    kept = played.experience.draw(4)
    found = played.eval()._prefer_to_seen(4)
    expected = played.discriminator.loss(kept["context"], kept["human"], kept["answers"])
    torch.testing.assert_close(found.terms["preference"], expected.terms["preference"])


def test_the_controls() -> None:
    """With a constant reward nothing is learned but the leash; a fixed reward model makes no move in the game."""
    loss = game(reward="constant")._improve(REAL, START)
    assert loss.terms["policy_gradient"] == 0
    assert loss.info["reward"] == 1
    players = [move.player for move in game(discriminator_steps=0).stages()[2].moves[1:]]
    assert players == ["generator"]
    assert game().stages()[2].moves[2].player == "discriminator"


def test_what_a_prefix_is_worth_is_the_score_of_its_answers() -> None:
    played = game()
    answers = endings(8, seed=3)
    found = played.rewards(REAL.context, answers, rollouts=2)
    last = (answers != SPEC.pad).sum(1) - 1
    torch.testing.assert_close(found[torch.arange(8), last], played.score(REAL.context, answers))
    assert (found[answers == SPEC.pad] == 0).all()


def test_senseless_options_are_refused() -> None:
    with pytest.raises(UserError, match=r"game.group is 1; it must be at least 2"):
        Config(group=1)
    with pytest.raises(UserError, match=r"game.kl is -1.0; it must be at least 0"):
        Config(kl=-1.0)
