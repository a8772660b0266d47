"""Policy gradients for sentences: rewards of prefixes by roll-outs, advantages, and the REINFORCE loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, repeat
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.utils._pytree import tree_map

from textgan.data.spec import NONE, TextSpec
from textgan.sampling import Policy, State, complete, take

Reward = Callable[[Tensor, Tensor], Tensor]
"""Rewards ``(rows,)`` of whole sentences ``(rows, T)``, given for each the sentence of the batch ``(rows,)`` that it
completes: where sentences have a context, it is that one's."""

SharedReward = Callable[[Tensor, int], Tensor]
"""The same, told how many first tokens the N roll-outs of a prefix, which are N consecutive rows, have in common."""


@torch.no_grad()
def rollout_rewards(
    policy: Policy,
    spec: TextSpec,
    tokens: Int[Tensor, "batch length"],
    reward: Reward,
    rollouts: int,
    temperature: float = 1.0,
    uniforms: Float[Tensor, "prefix rollout batch length"] | None = None,
    max_rows: int = 2**16,
    max_rewarded: int = 1024,
    shared_reward: SharedReward | None = None,
) -> Float[Tensor, "batch length"]:
    """What each token of a sentence is worth: the action value Q of SeqGAN (Yu et al., 2017, eq. 4).

    Q_t = 1/N sum_n reward(y_1..t, completion_n) where N = `rollouts` completions follow `policy`, for the tokens
    before the sentence's last; the last one has the reward of the sentence itself; padding has 0.

    Every pair of prefix and roll-out is a row of one batch, which it joins when the prefix has been read, so that
    T - 1 decoding steps do the work of N T T / 2. `uniforms` fixes the random numbers: ``uniforms[t - 1, n, b, s]``
    draws token s of completion n of the first t tokens of sentence b (prefixes t = 1..T-1). A batch of more than
    `max_rows` rows is worked off a few sentences at a time, and `reward` sees at most `max_rewarded` sentences.
    `shared_reward`, if given, takes the place of `reward` for the completions; it must have the same values.
    """
    at_once = max(1, max_rows // (rollouts * max(1, spec.length - 1)))
    origins = torch.arange(len(tokens), device=tokens.device)
    state = policy.start(len(tokens))
    return torch.cat(
        [
            _rollout_rewards(
                policy, spec, tokens[some], tree_map(lambda x, some=some: x[some], state), some, reward, rollouts,
                temperature, None if uniforms is None else uniforms[:, :, some], max_rewarded, shared_reward,
            )
            for some in origins.split(at_once)
        ]
    )  # fmt: skip


def _rollout_rewards(
    policy: Policy,
    spec: TextSpec,
    tokens: Tensor,
    state: State,
    origins: Tensor,
    reward: Reward,
    rollouts: int,
    temperature: float,
    uniforms: Tensor | None,
    max_rewarded: int,
    shared_reward: SharedReward | None,
) -> Tensor:
    length = tokens.shape[1]
    mask = tokens != spec.pad
    lengths = mask.sum(1)
    positions = torch.arange(length, device=tokens.device)

    # A fork is a sentence b and the position s of a prefix's last token, with more of the sentence to come.
    if spec.pad == NONE:  # all of them: a GPU need not be asked
        position = positions[:-1].repeat_interleave(len(tokens))
        sentence = torch.arange(len(tokens), device=tokens.device).repeat(length - 1)
        counts = [len(tokens)] * (length - 1)
    else:
        open_prefix = positions[:-1, None] < lengths - 1  # (T-1, B)
        position, sentence = open_prefix.nonzero(as_tuple=True)  # ordered by position
        counts = open_prefix.sum(1).tolist()
    forks = sentence.split(counts)
    completions = tokens[sentence].masked_fill(positions > position[:, None], spec.pad)
    completions = completions.repeat_interleave(rollouts, 0)  # row = fork * N + roll-out
    if uniforms is not None:
        uniforms = uniforms[position, :, sentence].flatten(0, 1)

    def arrivals() -> Iterator[tuple[int, State]]:
        yield 0, None
        reached = state
        for read, forked in enumerate(forks):
            reached = policy.advance(tokens[:, read], reached)
            yield rollouts * len(forked), take(reached, forked)

    complete(policy, spec, completions, arrivals(), temperature, uniforms)
    values = torch.zeros(tokens.shape, device=tokens.device)
    if len(sentence):
        if shared_reward is None:
            rewards = _in_parts(reward, completions, origins[sentence].repeat_interleave(rollouts), max_rewarded)
        else:
            of_prefix = completions.split([rollouts * len(forked) for forked in forks])
            whole_forks = max(1, max_rewarded // rollouts) * rollouts
            parts = [(part, t) for t, rows in enumerate(of_prefix, 1) for part in rows.split(whole_forks)]
            rewards = torch.cat([shared_reward(part, t) for part, t in parts if len(part)])
        values[sentence, position] = rewards.float().view(-1, rollouts).mean(1)
    last = positions == lengths[:, None] - 1
    return torch.where(last, _in_parts(reward, tokens, origins, max_rewarded)[:, None], values)


def _in_parts(reward: Reward, sentences: Tensor, origins: Tensor, rows: int) -> Tensor:
    return torch.cat([reward(*part) for part in zip(sentences.split(rows), origins.split(rows), strict=True)])


@torch.no_grad()
def continued(
    policy: Policy,
    spec: TextSpec,
    tokens: Int[Tensor, "batch length"],
    given: int,
    copies: int,
    temperature: float = 1.0,
) -> Int[Tensor, "rows length"]:
    """The first `given` tokens of each sentence, completed by the policy `copies` times, in consecutive rows.

    A sentence that ends among them stays as it is.
    """
    rows = tokens.repeat_interleave(copies, 0)
    state = policy.start(len(tokens))
    for t in range(given):
        state = policy.advance(tokens[:, t], state)
    ended = ((rows == spec.eos) | (rows == spec.pad))[:, :given].any(1)
    going = (~ended).nonzero().squeeze(1)
    if given == spec.length or not len(going):
        return rows
    unwritten = torch.arange(spec.length, device=rows.device) >= given
    sentences = rows[going].masked_fill(unwritten, spec.pad)
    arrival = (len(going), take(state, going[::copies] // copies))
    arrivals = chain(repeat((0, None), given), [arrival], repeat((0, None), spec.length - given - 1))
    rows[going] = complete(policy, spec, sentences, arrivals, temperature)
    return rows


def advantages(
    rewards: Float[Tensor, "batch length"],
    mask: Bool[Tensor, "batch length"],
    baseline: Literal["none", "batch"] | Float[Tensor, "batch length"],
    normalize: bool,
) -> Float[Tensor, "batch length"]:
    """What the policy gradient weighs each token's log-probability with; 0 at padding.

    Baseline "batch": the reward minus the mean reward that the *other* sentences have at the same position (0 where
    no other sentence is as long). Other sentences are independent of this one, so the gradient stays unbiased,
    which it would not with this sentence in the mean. A tensor is a baseline of the caller's own, which must not
    depend on the token that it is taken off from: a critic's value of the prefix, say. `normalize` divides by the
    standard deviation over the tokens of the batch, unless that is 0; this scales the gradient and, as the scale
    depends on the rewards, biases it slightly.
    """
    rewards = rewards * mask
    values = rewards
    if isinstance(baseline, Tensor):
        values = (rewards - baseline) * mask
    elif baseline == "batch":
        others = (mask.sum(0) - mask.long()).clamp(min=1)
        values = (rewards - (rewards.sum(0) - rewards) / others) * mask
    if normalize:
        deviation = values[mask].std(correction=0)
        values = values / torch.where(deviation > 1e-8, deviation, 1.0)
    return values


def rank_rescaled(
    rewards: Float[Tensor, "batch length"], mask: Bool[Tensor, "batch length"], smoothness: float = 12.0
) -> Float[Tensor, "batch length"]:
    """sigmoid(smoothness (1/2 - rank / n)): what a reward is worth among the n that its position has; 0 at padding.

    Bootstrapped rescaled activation (Guo et al., 2018, section 3.3): rewards of every scale come out between 0 and 1,
    always spread alike. The highest reward has rank 1/2, the lowest n - 1/2; equal rewards have their mean rank, so
    that where all are equal each is worth 1/2.
    """
    mine, others, present = rewards[:, None], rewards[None], mask[None]
    rank = ((others > mine) & present).sum(1) + ((others == mine) & present).sum(1) / 2
    return (smoothness * (0.5 - rank / mask.sum(0).clamp(min=1))).sigmoid() * mask


def reinforce_loss(
    log_probs: Float[Tensor, "batch length"],
    advantages: Float[Tensor, "batch length"],
    mask: Bool[Tensor, "batch length"],
) -> Float[Tensor, ""]:
    """-1/B sum_b sum_t A_bt log p_bt: its gradient is minus an estimate of the gradient of the expected reward.

    (Williams, 1992.) No gradient flows into the advantages.
    """
    return -(log_probs * advantages.detach() * mask).sum() / len(log_probs)


def rewards_to_go(
    rewards: Float[Tensor, "batch length"], mask: Bool[Tensor, "batch length"], discount: float = 1.0
) -> Float[Tensor, "batch length"]:
    """R_t = sum_{s >= t} discount^(s - t) r_s over the sentence; 0 at padding."""
    found, ahead = [], torch.zeros_like(rewards[:, 0])
    for reward in (rewards * mask).unbind(1)[::-1]:
        ahead = reward + discount * ahead
        found.append(ahead)
    return torch.stack(found[::-1], 1) * mask


def clipped_loss(
    log_probs: Float[Tensor, "batch length"],
    old_log_probs: Float[Tensor, "batch length"],
    advantages: Float[Tensor, "batch length"],
    mask: Bool[Tensor, "batch length"],
    clip: float,
) -> Float[Tensor, ""]:
    """PPO's loss: -1/B sum_bt min(r A, max(min(r, 1 + clip), 1 - clip) A), r = p_bt / p_old_bt.

    Schulman et al., 2017, equation 7; summed over a sentence's tokens, as `reinforce_loss` is, whose gradient it has
    where r = 1. No gradient flows into the advantages or the old log-probabilities.
    """
    advantages = advantages.detach()
    ratio = (log_probs - old_log_probs.detach()).exp()
    worth = torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)
    return -(worth * mask).sum() / len(log_probs)


def group_advantages(rewards: Float[Tensor, "groups size"], normalize: bool = True) -> Float[Tensor, "groups size"]:
    """How much better each sentence of a group is than its group: (r - mean) / std, both over the group.

    GRPO's (Shao et al., 2024; arXiv 2402.03300, section 4.1.1), with the standard deviation of the group as it is, not
    as an estimate. A group of equal rewards has 0. Without `normalize` (Liu et al., 2025; arXiv 2503.20783), which
    would weigh groups of nearly equal rewards as much as others, nothing is divided by; the mean has the sentence's own
    reward in it, so the gradient is 1 - 1/size times that of the expected reward.
    """
    values = rewards - rewards.mean(1, keepdim=True)
    if normalize:
        deviation = rewards.std(1, correction=0, keepdim=True)
        values = values / torch.where(deviation > 1e-6, deviation, 1.0)
    return values


def kl_estimates(
    log_probs: Float[Tensor, "batch length"],
    reference: Float[Tensor, "batch length"],
    kind: Literal["k2", "k3"],
) -> Float[Tensor, "batch length"]:
    """What each token of a policy's own sentences says of KL(policy || reference), in nats: never below 0.

    With d = log p_reference - log p: k3 = exp(d) - 1 - d, whose mean is the divergence; k2 = d d / 2, whose mean is
    nearly that while the two are near (Schulman, "Approximating KL divergence", 2020). As losses they differ the other
    way round, because sentences are drawn without gradient: the mean gradient of k2 is that of the divergence, that of
    k3, which GRPO has (Shao et al., 2024, equation 4), is the gradient of KL(reference || policy), word by word.
    """
    difference = reference.detach() - log_probs
    return difference.square() / 2 if kind == "k2" else difference.exp() - 1 - difference


def token_weights(
    mask: Bool[Tensor, "batch length"], by: Literal["answer", "constant"]
) -> Float[Tensor, "batch length"]:
    """What a token's loss counts, so that a sentence's length is worth nothing or little; 0 at padding.

    answer: 1 / its sentence's length, as in GRPO: every sentence counts the same, the tokens of a long one less.
    constant: 1 / T with T the most there are (Liu et al., 2025): every token counts the same.
    """
    length = mask.sum(1, keepdim=True).clamp(min=1) if by == "answer" else mask.shape[1]
    return mask / length
