"""SPIN by enumeration: its gradient, where it ends, and what the best answer to a former self is."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tests.policies import ENDING, TablePolicy, sentences
from tests.small_stories import SPEC, contexts, endings
from textgan.data.stories import StoryBatch
from textgan.errors import UserError
from textgan.game import Turn
from textgan.games.spin import SPIN, TINY, Config, self_play_loss

EVERY = sentences(ENDING)
TURN = Turn("self_play", 0, 0.0)


def every_pair(data: torch.Tensor, former: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The sentences of all pairs (human, own) and the pairs' probabilities."""
    i, j = torch.cartesian_prod(torch.arange(len(EVERY)), torch.arange(len(EVERY))).unbind(1)
    return i, j, data[i] * former[j]


def expected_loss(log_p: torch.Tensor, data: torch.Tensor, former: torch.Tensor, scale: float) -> torch.Tensor:
    """The mean of the loss of each pair, weighed by its probability."""
    i, j, weights = every_pair(data, former)
    gain = log_p - former.log()
    losses = torch.stack([self_play_loss(gain[a][None], gain[b][None], scale) for a, b in zip(i, j, strict=True)])
    return (weights * losses).sum()


def probabilities(policy: TablePolicy) -> torch.Tensor:
    return policy.log_probs(EVERY).sum(1).exp()


def normalized(log_p: torch.Tensor) -> torch.Tensor:
    return log_p - log_p.logsumexp(0)


def test_the_loss_by_hand() -> None:
    human, own = torch.tensor([1.0, -2.0]), torch.tensor([0.0, 3.0])
    expected = (torch.tensor([-0.5, 2.5]).exp() + 1).log().mean()
    torch.testing.assert_close(self_play_loss(human, own, 0.5), expected)


@pytest.mark.parametrize("scale", [0.1, 1.0])
def test_where_the_former_self_is_the_data_the_gradient_is_zero_and_nowhere_else(scale: float) -> None:
    data = probabilities(TablePolicy(ENDING, 0)).detach()
    for seed, ends in ((0, True), (1, False)):
        policy = TablePolicy(ENDING, seed)
        loss = expected_loss(policy.log_probs(EVERY).sum(1), data, probabilities(policy).detach(), scale)
        (gradient,) = torch.autograd.grad(loss, policy.table)
        assert (gradient.abs().max() < 1e-12) == ends


def test_the_first_gradient_is_half_the_scale_of_that_of_likelihood_less_own_likelihood() -> None:
    policy, data = TablePolicy(ENDING, 1), probabilities(TablePolicy(ENDING, 0)).detach()
    former, log_p = probabilities(policy).detach(), policy.log_probs(EVERY).sum(1)
    found = torch.autograd.grad(expected_loss(log_p, data, former, 0.3), policy.table, retain_graph=True)[0]
    expected = torch.autograd.grad(-0.15 * ((data - former) * log_p).sum(), policy.table)[0]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_the_best_answer_is_the_former_self_times_a_power_of_the_ratio(scale: float) -> None:
    data = probabilities(TablePolicy(ENDING, 0)).detach()
    former = probabilities(TablePolicy(ENDING, 1)).detach()
    free = former.log().clone().requires_grad_()
    optimizer = torch.optim.LBFGS([free], max_iter=300, tolerance_grad=1e-10, tolerance_change=1e-14)
    i, j, weights = every_pair(data, former)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        gain = normalized(free) - former.log()
        loss = (weights * torch.nn.functional.softplus(-scale * (gain[i] - gain[j]))).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    expected = normalized(former.log() + (data / former).log() / scale)
    torch.testing.assert_close(normalized(free.detach()), expected, rtol=0, atol=2e-3)
    if scale == 1:
        torch.testing.assert_close(expected, data.log())


def test_a_step_compares_with_the_former_self_and_an_iteration_makes_it_the_present_one() -> None:
    torch.manual_seed(0)
    game = SPIN(TINY, SPEC)
    batch = StoryBatch(contexts(4), endings(4))
    former = game.eval().log_probs(*batch).sum(1).detach()
    with torch.no_grad():
        for parameter in game.generator.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    loss = game._play(batch, TURN)
    gain = game.log_probs(*batch).sum(1) - former
    torch.testing.assert_close(loss.info["human_gain"], gain.mean())
    assert loss.info["own_gain"] != 0
    act, _ = game.stages()[1].moves
    act.do(TURN)
    assert game._play(batch, TURN).info["human_gain"].item() == pytest.approx(0, abs=1e-5)
    assert game._play(batch, TURN).terms["self_play"].item() == pytest.approx(torch.tensor(2.0).log().item())


def test_own_answers_are_the_former_selfs() -> None:
    """Drawn with its weights: one that can only say word 7 goes on saying it, whatever the generator says now."""
    torch.manual_seed(0)
    game = SPIN(dataclasses.replace(TINY, generator=dataclasses.replace(TINY.generator, copy=False)), SPEC)
    with torch.no_grad():
        game.generator.bias[7] = 50
        game.former.take()
        game.generator.bias[7], game.generator.bias[8] = 0, 50
    seen = []
    of_pairs = game._of_pairs
    game._of_pairs = lambda context, human, own: seen.append(own) or of_pairs(context, human, own)
    game._play(StoryBatch(contexts(4), endings(4)), TURN)
    assert (seen[0] == 7).all()


def test_senseless_options_are_refused() -> None:
    with pytest.raises(UserError, match=r"game.scale is 0.0; it must be above 0"):
        Config(scale=0.0)
    with pytest.raises(UserError, match=r"game.lora is 4; it must be 0 where the generator is lstm, not hf:PATH"):
        SPIN(dataclasses.replace(TINY, lora=4), SPEC)
