from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from tests.policies import sentences
from tests.small_stories import SPEC, contexts, endings
from textgan.data.stories import StoryBatch
from textgan.errors import UserError
from textgan.game import Turn
from textgan.games.story_ending import TINY, Config, StoryEnding
from textgan.networks.story_generator import WriterConfig
from textgan.parts.story_opponent import StoryOpponentConfig

TURN = Turn("adversarial", 0, 0.0)
SMALL = dataclasses.replace(SPEC, vocab_size=6, length=3)
"""Two words: 15 endings of at most three tokens."""


def game(spec=SPEC, generator=None, discriminator=None, **options) -> StoryEnding:
    torch.manual_seed(0)
    options["generator"] = dataclasses.replace(TINY.generator, **(generator or {}))
    options["discriminator"] = dataclasses.replace(TINY.discriminator, **(discriminator or {}))
    made = StoryEnding(dataclasses.replace(TINY, **options), spec)
    for parameter in made.parameters():
        parameter.data.normal_(std=0.5)
    return made


def batch(n: int = 5) -> StoryBatch:
    return StoryBatch(contexts(n), endings(n))


def test_the_reward_of_the_last_token_is_the_discriminators_probability():
    played, (context, ending) = game(), batch()
    rewards = played.rewards(context, ending, rollouts=2)
    last = (ending != SPEC.pad).sum(1) - 1
    logits = played.discriminator.eval()(played.discriminator.read(context), ending)
    torch.testing.assert_close(rewards[torch.arange(5), last], logits.sigmoid())
    torch.testing.assert_close(played.score(context, ending), logits.sigmoid())


@torch.no_grad()
def exact_values(played: StoryEnding, context: torch.Tensor, every: torch.Tensor) -> torch.Tensor:
    """Q of every token of every ending, by enumeration: what an ending with this prefix is worth on average."""
    p = played.eval().log_probs(context, every).sum(1).exp()
    worth = played.score(context, every)
    values = torch.zeros(every.shape)
    for row, tokens in enumerate(every.tolist()):
        for position in range(sum(token != SMALL.pad for token in tokens)):
            same = (every[:, : position + 1] == every[row, : position + 1]).all(1)
            values[row, position] = (p * worth)[same].sum() / p[same].sum()
    return values


def test_many_rollouts_approach_the_exact_action_value_of_each_context():
    """Every ending of two contexts, against the sum over all that may follow."""
    played, every = game(SMALL), sentences(SMALL)
    context = contexts(2, spec=SMALL)
    found = played.rewards(context, every.repeat(2, 1), rollouts=3000)
    expected = torch.cat([exact_values(played, context[i : i + 1], every) for i in range(2)])
    assert (expected[: len(every)] - expected[len(every) :]).abs().max() > 0.01, "the contexts differ"
    torch.testing.assert_close(found, expected, rtol=0, atol=0.03)


@pytest.mark.parametrize("baseline", ["none", "batch", "moving", "learned"])
def test_the_policy_gradient_is_that_of_the_expected_reward(baseline):
    """Sampled gradients against the derivative of sum_y p(y|x) D(x, y), written out; no baseline biases them."""
    plain = {"dropout": 0.0, "copy": False}
    played, every = game(SMALL, plain, baseline=baseline, whiten=False, rollouts=1), sentences(SMALL)
    played.moving.fill_(0.3)
    played.discriminator.output.weight.data.mul_(10)  # endings are worth very different rewards
    context = contexts(1, spec=SMALL)
    for parameter in played.discriminator.parameters():
        parameter.requires_grad_(False)
    value = (played.log_probs(context, every).sum(1).exp() * played.score(context, every)).sum()
    expected = torch.autograd.grad(value, played.generator.bias)[0]
    real = StoryBatch(context.expand(1000, -1, -1), endings(1000, spec=SMALL))
    found = []
    for _ in range(25):
        loss = played._reinforce(real, TURN)
        found.append(-torch.autograd.grad(loss.terms["policy_gradient"], played.generator.bias)[0])
    estimates = torch.stack(found)
    error = estimates.std(0) / len(found) ** 0.5
    assert ((estimates.mean(0) - expected).abs() <= 4.5 * error + 1e-7).all()
    assert (expected.abs() > 6 * error).any(), "there is something to see"


def test_the_moving_baseline_is_a_running_mean_of_the_rewards_at_each_position():
    played = game(baseline="moving", baseline_decay=0.75)
    tokens, rewards = endings(4), torch.rand(4, SPEC.length)
    mask = tokens != SPEC.pad
    rewards = rewards * mask
    played.moving.fill_(0.5)
    before, terms = played._baseline(played.policy(contexts(4)), tokens, rewards, mask)
    assert torch.equal(before, torch.full((4, SPEC.length), 0.5)), "taken before these rewards were seen"
    for position in range(SPEC.length):
        seen = rewards[mask[:, position], position]
        expected = 0.75 * 0.5 + 0.25 * seen.mean() if len(seen) else torch.tensor(0.5)
        torch.testing.assert_close(played.moving[position], expected)
    assert terms == {}


def test_the_learned_baseline_minimises_its_squared_error_and_moves_nothing_else():
    played, tokens = game(baseline="learned"), endings(4)
    mask, rewards = tokens != SPEC.pad, torch.rand(4, SPEC.length)
    policy = played.policy(contexts(4))
    value, terms = played._baseline(policy, tokens, rewards, mask)
    expected = ((value - rewards)[mask] ** 2).mean()
    torch.testing.assert_close(terms["value"], expected)
    terms["value"].backward()
    assert played.value.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in played.generator.parameters())


@pytest.mark.parametrize("share", [0.0, 0.25])
def test_the_discriminators_loss(share):
    """Against the formula, with the fakes that the same random numbers draw."""
    played, real = game(discriminator={"mismatched": share, "dropout": 0.0}), batch()
    torch.manual_seed(3)
    loss = played._discriminate(real, TURN)
    torch.manual_seed(3)
    fake = played.sample(5, real.context)
    story = played.discriminator.read(real.context)
    p_real, p_fake, p_other = (
        played.discriminator(story, e).sigmoid() for e in (real.ending, fake, real.ending[[4, 0, 1, 2, 3]])
    )
    expected = -(p_real.log().mean() + (1 - share) * (1 - p_fake).log().mean() + share * (1 - p_other).log().mean()) / 2
    torch.testing.assert_close(torch.stack(list(loss.terms.values())).sum(), expected)
    assert ("mismatched" in loss.terms) == (share > 0)


def test_a_constant_reward_is_one_for_every_token():
    played = game(reward="constant", baseline="none", whiten=False)
    loss = played._reinforce(batch(), TURN)
    assert loss.info["reward"].item() == pytest.approx(1)


def test_dropout_is_off_while_it_rewards_and_is_as_before_afterwards():
    played, (context, ending) = game(generator={"dropout": 0.9}, discriminator={"dropout": 0.9}).train(), batch()
    first, second = (played.score(context, ending) for _ in range(2))
    assert torch.equal(first, second)
    assert played.training
    assert played.discriminator.dropout.training
    assert played.generator.dropout.training


def test_the_likelihood_is_the_cross_entropy_of_the_human_ending():
    played, real = game(generator={"dropout": 0.0}).eval(), batch()
    loss = played.likelihood(real, TURN).terms["nll"]
    total, count = 0.0, 0
    for context, ending in zip(real.context, real.ending, strict=True):
        policy = played.policy(context[None])
        state = policy.start(1)
        for token in ending[ending != SPEC.pad]:
            total += F.cross_entropy(policy.logits(state), token[None]).item()
            count += 1
            state = policy.advance(token[None], state)
    assert loss.item() == pytest.approx(total / count, abs=1e-5)


def test_the_plan_alternates_as_configured():
    played = game(generator_steps=2, teacher_steps=3, discriminator={"steps": 4})
    moves = [(move.player, move.times) for move in played.stages()[2].moves]
    assert moves == [("generator", 2), ("generator", 3), ("discriminator", 4)]
    assert [move.player for move in game(teacher_steps=0).stages()[2].moves] == ["generator", "discriminator"]


@pytest.mark.parametrize(
    ("group", "option", "value"),
    [
        ("game", "rollouts", 0),
        ("game", "learning_rate", 0.0),
        ("game", "baseline_decay", 1.0),
        ("game.generator", "dropout", 1.0),
        ("game.discriminator", "mismatched", 1.0),
    ],
)
def test_numbers_that_cannot_be_are_refused(group, option, value):
    made = {"game": Config, "game.generator": WriterConfig, "game.discriminator": StoryOpponentConfig}[group]
    with pytest.raises(UserError, match=f"{group}.{option} is {value}"):
        made(**{option: value})


def test_an_unknown_generator_is_refused():
    with pytest.raises(UserError, match="'gru'"):
        game(generator={"kind": "gru"})
