"""JSDGAN: no network as discriminator (Li, Xia, Lou, Xu, Wang, Xiao; AISTATS 2019), the divergence itself is minimised.

Against the empirical distribution p of a batch of B sentences, each of p = 1/B (c/B if it is there c times), the best
discriminator is known: D(x) = p(x) / (p(x) + q(x)), where q is the generator's density. The generator then minimises
the Jensen-Shannon divergence of p and q, whose gradient is that of a policy that is charged log(1 - D)::

    grad 2 JSD = sum_x grad q(x) log(1 - D(x)) = sum_{x in batch} q(x) log(q(x) / (p(x) + q(x))) grad log q(x)

Outside the batch D is 0 and the reward is 0, so that nothing need be sampled: the gradient is exact, a likelihood
gradient on real sentences of the weights q log(1 + p / q). These are as small as q is, 1e-78 for 20 words of 9 nats
each; they are computed as logarithms and normalised to a sum of 1::

    L = -sum_b w_b sum_t log q(x_bt | x_b,<t)        w = softmax(log q + log log(1 + p / q) - log c)

Sentences' densities lie many orders of magnitude apart, and so do the weights: with ``density = sentence``, the
paper's gradient, one sentence carries nearly the whole step (``effective``, logged, is how many do: 1 / sum w^2), the
likeliest, which is often the shortest. With ``density = token`` q in the weights is the geometric mean of the words'
probabilities: not the gradient of a divergence of sentences, but of the same form, in which sentences count the less
the further their words' probability lies below p, and all others alike.

Differs from the paper: the weights are normalised, without which the gradient is 0 in single precision for all but the
shortest sentences; ``token``, the default, is ours. q is that of the network with its dropout, if any. There is no
pretraining, as in the paper, which plays 500 epochs: ``configs/jsdgan-oracle.yaml``. ``configs/jsdgan-captions.yaml``
is for captions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from textgan.game import Loss, Turn
from textgan.networks.generators import GeneratorConfig
from textgan.parts.one_player import OnePlayerConfig, OnePlayerGame


@dataclass(frozen=True)
class Config(OnePlayerConfig):
    """JSDGAN."""

    density: Literal["token", "sentence"] = "token"
    """q in the weights. sentence: the density, the paper. token: the geometric mean of the words' probabilities."""
    reward: Literal["discriminator", "constant"] = "discriminator"
    """constant: every sentence weighs the same, which is maximum likelihood, a control that shows what D is worth."""


TINY = Config(generator=GeneratorConfig(embedding=16, hidden=16), epochs=2, batch_size=32)


class JSDGAN(OnePlayerGame):
    """One player, one stage."""

    config: Config

    stage = "adversarial"

    def loss(self, real: Tensor, turn: Turn) -> Loss:
        """The weighted cross-entropy of real sentences, in nats per sentence."""
        log_q = self.generator.log_probs(real).float().sum(1)
        tokens = (real != self.spec.pad).sum(1)
        weights = self._weights(real, log_q.detach(), tokens)
        effective = 1 / weights.square().sum()
        return Loss(
            {"weighted_nll": -(weights * log_q).sum()},
            {"nll": -log_q.detach().sum() / tokens.sum(), "effective": effective},
        )

    def _weights(self, real: Tensor, log_q: Tensor, tokens: Tensor) -> Tensor:
        """The weight of each sentence ``(B,)``; their sum is 1."""
        if self.config.reward == "constant":
            return torch.full_like(log_q, 1 / len(real))
        density = log_q if self.config.density == "sentence" else log_q / tokens
        return log_weights(density, copies(real)).softmax(0)


def copies(sentences: Int[Tensor, "batch length"]) -> Int[Tensor, " batch"]:
    """c: how often each sentence is in the batch."""
    return (sentences[:, None] == sentences).all(2).sum(1)


def log_weights(log_q: Float[Tensor, " batch"], copies: Int[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    """log of q log(1 + p / q) / c with p = c / B: minus what grad log q of each row is multiplied with in grad 2 JSD.

    Divided by c, as each of c equal rows has its part of the one sentence's.
    """
    log_p = (copies / len(copies)).log()
    return log_q + F.softplus(log_p - log_q).log() - copies.log()
