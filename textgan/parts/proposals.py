"""Sentences drawn near the generator's mode, with the density that they were drawn with: for importance sampling."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textgan.categorical import rows_at_once
from textgan.data.spec import TextSpec
from textgan.decoding import filter_logits, filtered
from textgan.errors import UserError, check_above_zero, check_fields
from textgan.networks.modes import evaluating
from textgan.networks.text_generator import TextGenerator
from textgan.sampling import sample


@dataclass(frozen=True)
class ProposalConfig:
    """Where sentences are drawn: a share of them from the generator p as it is, the others near its mode."""

    temperature: float = 0.9
    """Temperature at which the others are drawn."""
    top_p: float = 1.0
    """Nucleus to which the others' words are cut, in (0, 1]. 1: all words."""
    warm: float = 0.1
    """Share that is drawn from p, in [0, 1]; above 0 where a nucleus makes sentences impossible otherwise."""

    def __post_init__(self) -> None:
        group = "game.proposal"
        check_above_zero(group, self, "temperature")
        check_fields(group, self, "in (0, 1]", lambda p: 0 < p <= 1, "top_p")
        check_fields(group, self, "in [0, 1]", lambda share: 0 <= share <= 1, "warm")
        if self.top_p < 1 and self.warm == 0:
            raise UserError(f"{group}.warm is {self.warm}; with {group}.top_p of {self.top_p} it must be above 0")


class Proposed(NamedTuple):
    """Sentences and how probable it was to draw them."""

    tokens: Tensor
    """``(n, T)``."""
    log_q: Tensor
    """``(n, T)``: log q(y_t | y_<t) in nats of each word, 0 at padding; their sum is log of the sample's density."""


@torch.no_grad()
def propose(generator: TextGenerator, spec: TextSpec, n: int, config: ProposalConfig) -> Proposed:
    """`n` sentences in random order, ``ceil(warm * n)`` of which are drawn from p.

    For any f, the mean of f(y) p(y) / q(y) over such a sample has the expectation of f under p (Veach and Guibas 1995,
    the balance heuristic). With a share in place of a lot for each sentence the sample is a little more even.
    """
    warm = math.ceil(config.warm * n)
    with evaluating(generator):
        cold_policy = filtered(generator, config.temperature, top_p=config.top_p)
        parts = [(generator, warm), (cold_policy, n - warm)]
        tokens = torch.cat([sample(policy, spec, rows) for policy, rows in parts if rows])
        tokens = tokens[torch.randperm(n, device=tokens.device)]
        return Proposed(tokens, proposal_log_probs(generator, tokens, config, warm / n))


def proposal_log_probs(
    generator: TextGenerator, tokens: Int[Tensor, "n length"], config: ProposalConfig, warm: float
) -> Float[Tensor, "n length"]:
    """log q(y_t | y_<t) in nats, where q(y) = warm p(y) + (1 - warm) f(y) and f draws each word by ``filter_logits``.

    What was read tells whether the sentence is one of p or of f, so it is not the mixture of the two at each word::

        q(y_t | y_<t) = q(y_1..t) / q(y_1..t-1)
    """
    log_p = generator.log_probs(tokens)
    if warm == 1:
        return log_p
    log_f = cold_log_probs(generator, tokens, config)
    if warm == 0:
        return log_f
    so_far = torch.logaddexp(log_p.cumsum(1) + math.log(warm), log_f.cumsum(1) + math.log(1 - warm))
    return so_far.diff(dim=1, prepend=torch.zeros_like(so_far[:, :1]))


def cold_log_probs(
    generator: TextGenerator, tokens: Int[Tensor, "n length"], config: ProposalConfig
) -> Float[Tensor, "n length"]:
    """log f(y_t | y_<t): -inf for a word outside the nucleus, 0 at padding."""
    mask = tokens != generator.spec.pad
    rows = rows_at_once(generator.spec.vocab_size, tokens.device)
    found = []
    for outputs, words in zip(generator.outputs(tokens)[mask].split(rows), tokens[mask].split(rows), strict=True):
        logits = filter_logits(generator.vocabulary(outputs), config.temperature, top_p=config.top_p)
        found.append(logits.log_softmax(-1).gather(1, words[:, None]).squeeze(1))
    values = torch.cat(found)
    return values.new_zeros(tokens.shape).masked_scatter(mask, values)


def effective_share(weights: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """(sum w)^2 / (n sum w^2): 1 where all weigh the same, 1/n where one alone counts."""
    return weights.sum().square() / (len(weights) * weights.square().sum())
