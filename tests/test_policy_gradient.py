from __future__ import annotations

import itertools

import pytest
import torch

from tests.policies import ENDING, FIXED, TablePolicy, sentences
from textgan.categorical import draw
from textgan.data.spec import NONE, TextSpec
from textgan.networks.lstm import LSTMGenerator
from textgan.policy_gradient import (
    advantages,
    clipped_loss,
    continued,
    group_advantages,
    kl_estimates,
    rank_rescaled,
    reinforce_loss,
    rollout_rewards,
    token_weights,
)
from textgan.sampling import sample

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def text(length: int) -> TextSpec:
    return TextSpec(30, length, train_size=0)


def oracle(length: int) -> TextSpec:
    return TextSpec(30, length, train_size=0, bos=0, eos=NONE, pad=NONE, unk=NONE)


def lstm(spec: TextSpec, device: str = "cpu") -> LSTMGenerator:
    torch.manual_seed(0)
    policy = LSTMGenerator(spec, 5, 7)
    for parameter in policy.parameters():
        parameter.data.normal_()
    return policy.to(device)


def encode(rows, origins=None):
    """A reward that tells sentences apart: a number for each token and place."""
    places = torch.arange(1, rows.shape[1] + 1, device=rows.device)
    return torch.sin(rows.float() * places + places).sum(1)


def nested_loop(policy, spec, tokens, reward, rollouts, temperature, uniforms):
    """The definition, one row at a time."""
    batch, length = tokens.shape
    rewards = torch.zeros(batch, length, device=tokens.device)
    for b in range(batch):
        end = int((tokens[b] != spec.pad).sum())
        rewards[b, end - 1] = reward(tokens[b : b + 1])
        for prefix in range(1, end):
            for n in range(rollouts):
                state, row = policy.start(1), tokens[b : b + 1].clone()
                row[:, prefix:] = spec.pad
                for position in range(length):
                    if position >= prefix:
                        number = uniforms[prefix - 1, n, b, position][None]
                        row[:, position] = draw(policy.logits(state), temperature, number)
                    if row[0, position] == spec.eos:
                        break
                    state = policy.advance(row[:, position], state)
                rewards[b, prefix - 1] += reward(row).item() / rollouts
    return rewards


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("world", [text, oracle])
@pytest.mark.parametrize(("batch", "length", "rollouts"), [(1, 1, 2), (4, 2, 1), (3, 5, 4), (7, 8, 3)])
@pytest.mark.parametrize("limits", [{}, {"max_rows": 1, "max_rewarded": 1}, {"max_rows": 50, "max_rewarded": 7}])
def test_rollout_rewards_equal_the_nested_loop(world, batch, length, rollouts, limits, device):
    spec = world(length)
    policy = lstm(spec, device)
    tokens = sample(policy, spec, batch)
    uniforms = torch.rand(length - 1, rollouts, batch, length, device=device)
    with torch.no_grad():
        expected = nested_loop(policy, spec, tokens, encode, rollouts, 0.9, uniforms)
    found = rollout_rewards(policy, spec, tokens, encode, rollouts, 0.9, uniforms, **limits)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("world", [text, oracle])
@pytest.mark.parametrize("max_rewarded", [1, 7, 1024])
def test_shared_rewards_are_told_what_their_rows_share(world, max_rewarded):
    spec = world(8)
    policy, uniforms = lstm(spec), torch.rand(7, 3, 6, 8)
    tokens = sample(policy, spec, 6)

    def shared_reward(rows, shared):
        forks = rows.view(-1, 3, 8)
        assert (forks[:, :, :shared] == forks[:, :1, :shared]).all()
        assert (rows[:, shared] != spec.pad).all()
        return encode(rows)

    expected = rollout_rewards(policy, spec, tokens, encode, 3, uniforms=uniforms)
    found = rollout_rewards(
        policy, spec, tokens, encode, 3, 1.0, uniforms, max_rewarded=max_rewarded, shared_reward=shared_reward
    )
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("max_rows", [1, 40, 2**16])
def test_rewards_are_told_which_sentence_each_completes(max_rows):
    spec = text(8)
    tokens = sample(lstm(spec), spec, 9)
    worth = torch.arange(9.0) + 1
    found = rollout_rewards(lstm(spec), spec, tokens, lambda rows, origins: worth[origins], 3, max_rows=max_rows)
    torch.testing.assert_close(found, (tokens != spec.pad) * worth[:, None])


@pytest.mark.parametrize("spec", [FIXED, ENDING], ids=["fixed", "ending"])
@pytest.mark.parametrize("given", [0, 1, 2, 3])
def test_continued_sentences_keep_what_was_given_and_follow_the_policy_after_it(spec, given):
    """Each completion comes as often as the policy writes it, by enumeration."""
    torch.manual_seed(0)
    policy, every, copies = TablePolicy(spec), sentences(spec), 2000
    p = policy.log_probs(every).exp().detach()
    begun = every[:: len(every) // 4]
    rows = continued(policy, spec, begun, given, copies).view(len(begun), copies, -1)
    for sentence, completed in zip(begun, rows, strict=True):
        assert (completed[:, :given] == sentence[:given]).all()
        for other, probabilities in zip(every, p, strict=True):
            rate = (completed == other).all(1).float().mean().item()
            alike = torch.equal(other[:given], sentence[:given])
            expected = probabilities[given:][other[given:] != spec.pad].prod().item() if alike else 0.0
            assert rate == pytest.approx(expected, abs=5 * (expected * (1 - expected) / copies) ** 0.5 + 1e-9)


def test_a_baseline_of_the_callers_own_is_taken_off():
    rewards, own = torch.rand(3, 4), torch.rand(3, 4)
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]]).bool()
    torch.testing.assert_close(advantages(rewards, mask, own, False), (rewards - own) * mask)


def test_the_worlds_of_the_nested_loop_have_ended_and_unended_sentences():
    lengths = (sample(lstm(text(8)), text(8), 7) != text(8).pad).sum(1)
    assert lengths.min() < 8
    assert lengths.max() == 8


def test_each_reward_lands_on_its_own_sentence_and_position():
    tokens = sample(lstm(text(8)), text(8), 50)

    def first_word(rows, origins):
        return rows[:, 0].float()

    def tokens_of_prefix(rows, origins=None):  # every completion of a prefix begins with it
        return (rows[:, :2] * torch.tensor([1, 100])).sum(1).float()

    mask = tokens != 0
    found = rollout_rewards(lstm(text(8)), text(8), tokens, first_word, 3)
    torch.testing.assert_close(found, mask * tokens[:, :1].float())
    found = rollout_rewards(lstm(text(8)), text(8), tokens, tokens_of_prefix, 3)
    torch.testing.assert_close(found[:, 1:], (mask * tokens_of_prefix(tokens)[:, None])[:, 1:])


@pytest.mark.parametrize("spec", [FIXED, ENDING])
def test_many_rollouts_approach_the_exact_action_value(spec):
    torch.manual_seed(0)
    policy, every = TablePolicy(spec), sentences(spec)
    found = rollout_rewards(policy, spec, every, encode, 4000)
    torch.testing.assert_close(found, exact_values(policy, spec, every).float(), rtol=0, atol=0.1)


def exact_values(policy, spec, every):
    """Q of every token of every sentence, by enumeration."""
    probability = policy.log_probs(every).sum(1).exp().detach()
    values = torch.zeros(every.shape, dtype=torch.float64)
    for b, row in enumerate(every):
        for position in range(int((row != spec.pad).sum())):
            same = (every[:, : position + 1] == row[: position + 1]).all(1)
            values[b, position] = (probability * encode(every))[same].sum() / probability[same].sum()
    return values


def exact_gradient(policy, every):
    """d/d table of E[R], differentiated through the enumerated expectation."""
    policy.zero_grad()
    (policy.log_probs(every).sum(1).exp() * encode(every)).sum().backward()
    return policy.table.grad.clone()


@pytest.mark.parametrize("spec", [FIXED, ENDING])
def test_policy_gradient_with_exact_values_is_the_gradient_of_the_expected_reward(spec):
    policy, every = TablePolicy(spec), sentences(spec)
    expected = exact_gradient(policy, every)
    values = exact_values(policy, spec, every)
    log_probs, mask = policy.log_probs(every), every != spec.pad
    probability = log_probs.sum(1).exp().detach()
    policy.zero_grad()
    weights = advantages(values, mask, "none", False) * (probability * len(every))[:, None]
    reinforce_loss(log_probs, weights, mask).backward()
    torch.testing.assert_close(-policy.table.grad, expected)


@pytest.mark.parametrize("spec", [FIXED, ENDING])
def test_the_baseline_does_not_change_the_expected_gradient(spec):
    policy, every = TablePolicy(spec), sentences(spec)
    expected = exact_gradient(policy, every)
    values, mask = exact_values(policy, spec, every), every != spec.pad
    log_probs = policy.log_probs(every)
    probability = log_probs.sum(1).exp().detach()
    weights = torch.zeros_like(values)  # what each token's log p is weighted with over all batches of two
    for a in range(len(every)):
        for b in range(len(every)):
            pair = [a, b]
            worth = advantages(values[pair], mask[pair], "batch", False)
            weights[a] += probability[a] * probability[b] * worth[0] / 2
            weights[b] += probability[a] * probability[b] * worth[1] / 2
    policy.zero_grad()
    (log_probs * weights).sum().backward()
    torch.testing.assert_close(policy.table.grad, expected)


@pytest.mark.parametrize("baseline", ["none", "batch"])
def test_sampled_policy_gradients_agree_with_the_exact_one(baseline):
    torch.manual_seed(0)
    policy = TablePolicy(ENDING)
    expected = exact_gradient(policy, sentences(ENDING))
    found = []
    for _ in range(60):
        tokens = sample(policy, ENDING, 100)
        mask = tokens != ENDING.pad
        worth = advantages(rollout_rewards(policy, ENDING, tokens, encode, 2), mask, baseline, False)
        policy.zero_grad()
        reinforce_loss(policy.log_probs(tokens), worth, mask).backward()
        found.append(-policy.table.grad)
    estimates = torch.stack(found)
    error = estimates.std(0) / len(found) ** 0.5
    assert ((estimates.mean(0) - expected).abs() <= 4.5 * error + 1e-12).all()


def test_leave_one_out_baseline_by_hand():
    rewards = torch.tensor([[1.0, 2.0, 3.0], [4.0, 8.0, 0.0], [10.0, 0.0, 0.0]])
    mask = torch.tensor([[True, True, True], [True, True, False], [True, False, False]])
    expected = torch.tensor([[1 - 7.0, 2 - 8.0, 3.0], [4 - 5.5, 8 - 2.0, 0.0], [10 - 2.5, 0.0, 0.0]])
    torch.testing.assert_close(advantages(rewards, mask, "batch", False), expected)
    scale = expected[mask].std(correction=0)
    torch.testing.assert_close(advantages(rewards, mask, "batch", True), expected / scale)


def test_rewards_at_padding_do_not_matter():
    rewards, mask = torch.rand(4, 5), torch.rand(4, 5) < 0.6
    for baseline in ("none", "batch"):
        for normalize in (False, True):
            found = advantages(rewards, mask, baseline, normalize)
            torch.testing.assert_close(found, advantages(rewards * mask, mask, baseline, normalize))
            assert found[~mask].eq(0).all()


@pytest.mark.parametrize(("baseline", "expected"), [("none", 1.0), ("batch", 0.0)])
def test_equal_rewards_are_normalized_to_finite_numbers(baseline, expected):
    found = advantages(torch.ones(4, 5), torch.ones(4, 5, dtype=torch.bool), baseline, True)
    torch.testing.assert_close(found, torch.full((4, 5), expected))


def test_reinforce_loss_by_hand_with_no_gradient_into_the_advantages():
    log_probs = torch.tensor([[-1.0, -2.0], [-3.0, -5.0]], requires_grad=True)
    worth = torch.tensor([[0.5, 1.0], [2.0, 7.0]], requires_grad=True)
    loss = reinforce_loss(log_probs, worth, torch.tensor([[True, True], [True, False]]))
    assert loss.item() == pytest.approx((0.5 + 2 + 6) / 2)
    loss.backward()
    torch.testing.assert_close(log_probs.grad, torch.tensor([[-0.25, -0.5], [-1.0, 0.0]]))
    assert worth.grad is None


def test_rewards_are_rescaled_by_their_rank_among_the_sentences_that_have_the_position():
    rewards = torch.tensor([[0.9, 0.1], [-5.0, 7.0], [0.2, 9.0]])
    mask = torch.tensor([[True, True], [True, True], [True, False]])
    found = rank_rescaled(rewards, mask, smoothness=6.0)
    first, second, last = (torch.tensor(6.0 * (0.5 - rank / 3)).sigmoid() for rank in (0.5, 1.5, 2.5))
    lower, higher = (torch.tensor(6.0 * (0.5 - rank / 2)).sigmoid() for rank in (1.5, 0.5))
    zero = torch.tensor(0.0)
    expected = torch.stack([torch.stack(row) for row in ((first, lower), (last, higher), (second, zero))])
    torch.testing.assert_close(found, expected)


def test_equal_rewards_have_their_mean_rank():
    everywhere = torch.ones(4, 3, dtype=torch.bool)
    torch.testing.assert_close(rank_rescaled(torch.ones(4, 3), everywhere), torch.full((4, 3), 0.5))
    tied = rank_rescaled(torch.tensor([[1.0], [2.0], [1.0]]), everywhere[:3, :1])
    torch.testing.assert_close(tied[0], torch.tensor([12 * (0.5 - 2 / 3)]).sigmoid())
    assert torch.equal(tied[0], tied[2])


def test_group_advantages_by_hand():
    rewards = torch.tensor([[1.0, 2.0, 6.0], [4.0, 4.0, 4.0]])
    deviation = ((4 + 1 + 9) / 3) ** 0.5
    expected = torch.tensor([[-2.0, -1.0, 3.0], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(group_advantages(rewards, normalize=False), expected)
    torch.testing.assert_close(group_advantages(rewards), expected / deviation)
    assert torch.equal(group_advantages(torch.full((2, 3), 0.1)), torch.zeros(2, 3))


SINGLE = TextSpec(4, 1, train_size=0, bos=0, eos=NONE, pad=NONE, unk=NONE)
"""Four sentences of one word."""


@pytest.mark.parametrize("size", [2, 3])
def test_groups_give_a_share_of_the_gradient_of_the_expected_reward(size):
    """By enumeration of all groups: 1 - 1/N of it, as a sentence's own reward is in its group's mean."""
    policy, every = TablePolicy(SINGLE), sentences(SINGLE)
    worth, mask = torch.tensor([0.3, -1.0, 2.0, 0.7]), torch.ones(size, 1, dtype=torch.bool)
    log_probs = policy.log_probs(every)
    p = log_probs.exp().squeeze(1)
    total = 0.0
    for group in map(list, itertools.product(range(4), repeat=size)):
        advantage = group_advantages(worth[None, group], normalize=False).T.double()
        loss = clipped_loss(log_probs[group], log_probs[group], advantage, mask, 0.2)
        total = total + p[group].prod().detach() * loss
    found = torch.autograd.grad(-total, policy.table, retain_graph=True)[0]
    expected = torch.autograd.grad((p * worth).sum(), policy.table)[0]
    torch.testing.assert_close(found, (1 - 1 / size) * expected, rtol=1e-5, atol=1e-6)
    assert expected.abs().max() > 0.01


def test_a_ratio_is_clipped_where_it_would_pay_and_nowhere_else():
    """By hand, e = 0.2: gains stop at 1.2 (or, where a word is to become rarer, at 0.8); losses do not."""
    ratio = torch.tensor([[1.5, 1.5, 0.5, 0.5, 1.1, 3.0]])
    advantage = torch.tensor([[2.0, -2.0, 2.0, -2.0, 2.0, 9.0]])
    mask = torch.tensor([[True] * 5 + [False]])
    log_probs = ratio.log().requires_grad_()
    loss = clipped_loss(log_probs, torch.zeros(1, 6), advantage, mask, 0.2)
    assert loss.item() == pytest.approx(-(1.2 * 2 - 1.5 * 2 + 0.5 * 2 - 0.8 * 2 + 1.1 * 2))
    loss.backward()
    torch.testing.assert_close(log_probs.grad, -torch.tensor([[0.0, -3.0, 1.0, 0.0, 2.2, 0.0]]))


def test_where_nothing_has_changed_the_clipped_loss_has_the_gradient_of_reinforce():
    log_probs = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    worth, mask = torch.randn(4, 3, generator=torch.Generator().manual_seed(1)), torch.ones(4, 3, dtype=torch.bool)
    losses = clipped_loss(log_probs, log_probs.detach(), worth, mask, 0.2), reinforce_loss(log_probs, worth, mask)
    found, expected = (torch.autograd.grad(loss, log_probs)[0] for loss in losses)
    torch.testing.assert_close(found, expected)


def divergence(p, q, every):
    """KL of two policies over sentences, by enumeration."""
    log_p, log_q = p.log_probs(every).sum(1), q.log_probs(every).sum(1)
    return (log_p.exp() * (log_p - log_q)).sum()


def of_all_sentences(p, q, every, kind):
    """The mean of the summed estimates over the policy's own sentences, which are drawn without gradient."""
    log_probs = p.log_probs(every)
    estimates = kl_estimates(log_probs.float(), q.log_probs(every).float(), kind).double()
    return (log_probs.sum(1).exp().detach() * estimates.sum(1)).sum()


def test_k3_is_an_unbiased_estimate_of_the_divergence_and_never_negative():
    p, q, every = TablePolicy(ENDING, 0), TablePolicy(ENDING, 1), sentences(ENDING)
    expected = divergence(p, q, every).item()
    assert of_all_sentences(p, q, every, "k3").item() == pytest.approx(expected, rel=1e-4)
    assert expected > 0.1
    assert of_all_sentences(p, q, every, "k2").item() != pytest.approx(expected, rel=0.05)
    for kind in ("k2", "k3"):
        assert (kl_estimates(p.log_probs(every).float(), q.log_probs(every).float(), kind) >= -1e-6).all()
        assert torch.equal(kl_estimates(torch.ones(2, 3), torch.ones(2, 3), kind), torch.zeros(2, 3))


def test_the_gradient_of_k2_is_that_of_the_divergence_and_that_of_k3_is_the_other_directions():
    """At single words, where there is nothing later that the first word changes."""
    p, q, every = TablePolicy(SINGLE, 0), TablePolicy(SINGLE, 1), sentences(SINGLE)
    found = {kind: torch.autograd.grad(of_all_sentences(p, q, every, kind), p.table)[0] for kind in ("k2", "k3")}
    forward = torch.autograd.grad(divergence(p, q, every), p.table)[0]
    reverse = torch.autograd.grad(divergence(q, p, every), p.table)[0]
    torch.testing.assert_close(found["k2"], forward, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found["k3"], reverse, rtol=1e-4, atol=1e-6)
    assert (forward - reverse).abs().max() > 0.01


def test_tokens_weigh_by_their_answers_length_or_all_alike():
    mask = torch.tensor([[True, True, False, False], [True, True, True, True], [False] * 4])
    by_answer = torch.tensor([[0.5, 0.5, 0, 0], [0.25, 0.25, 0.25, 0.25], [0, 0, 0, 0]])
    torch.testing.assert_close(token_weights(mask, "answer"), by_answer)
    torch.testing.assert_close(token_weights(mask, "constant"), mask / 4)
