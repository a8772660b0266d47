"""ARAML: adversarial reward augmented maximum likelihood (Ke, Huang, Huang, Zhu; EMNLP 2019; arXiv 1908.07195).

The generator never learns from its own samples. It maximises the likelihood of sentences near the data, drawn from a
stationary distribution P_s: e words of a real sentence of L words are replaced, where e has the payoff distribution of
RAML (Norouzi et al. 2016) with vocabulary size V and temperature tau::

    P(e) proportional to C(L, e) exp(-e / tau) (V - 1)^(e - e / tau)
    L_G = -sum_bk W_bk log G(y_bk),   W = exp(D(y) / alpha), normalised to a sum of 1 over the batch
    L_D = -1/2 E_data log D(y) - 1/2 E_G log(1 - D(y))

So D, which tells data from the generator's sentences, says which of the K neighbours of a sentence count, and the
gradient has the small variance of likelihood. Of every K, at least one is the sentence itself: the term of maximum
likelihood. All L words change with the same chance; new ones come from a language model or evenly from the vocabulary.

Differs from the paper: the language model that proposes words is a copy of the generator as it was before the game,
which reads forwards only, where the paper takes the smaller of a forward and a backward model's scores; neighbours are
drawn anew at each step, where the paper draws K of every sentence once and keeps them; V counts words without marks.
Alpha and the schedule are our defaults.
``configs/araml-oracle.yaml`` and ``configs/araml-captions.yaml`` are presets.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textgan.data.spec import NONE, TextSpec
from textgan.errors import check_above_zero, check_at_least
from textgan.game import Act, Loss, Move, Stage, Turn
from textgan.networks.generators import GeneratorConfig
from textgan.networks.modes import evaluating
from textgan.parts.opponent import TINY_OPPONENT, OpponentConfig
from textgan.parts.opponent_game import OpponentGame
from textgan.parts.text_game import Pretraining, TextGameConfig
from textgan.relaxation import gumbel


@dataclass(frozen=True)
class Config(TextGameConfig):
    """ARAML."""

    discriminator: OpponentConfig = OpponentConfig()
    """Its network, its loss and how it learns."""
    neighbours: int = 5
    """K: sentences near each real one, itself counted."""
    tau: float = 0.85
    """Temperature of the number of replaced words: the higher, the further from the data."""
    alpha: float = 0.5
    """Temperature of the weights: the lower, the more the discriminator decides."""
    words: Literal["model", "uniform"] = "model"
    """Where new words come from: the generator as it was before the game, given the sentence so far, or anywhere."""
    generator_steps: int = 20
    """Steps a round."""
    learning_rate: float = 3e-4
    """Adam's step size in the game."""
    reward: Literal["discriminator", "constant"] = "discriminator"
    """constant: all neighbours weigh the same, a control that shows what the discriminator is worth."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "neighbours", "generator_steps")
        check_above_zero("game", self, "tau", "alpha")


TINY = Config(
    generator=GeneratorConfig(embedding=16, hidden=16), pretraining=Pretraining(epochs=1), discriminator=TINY_OPPONENT,
    batch_size=32, neighbours=3, rounds=2, generator_steps=2,
)  # fmt: skip


class ARAML(OpponentGame):
    """Generator and discriminator, and the language model that proposes words."""

    config: Config
    payoff: Tensor

    def __init__(self, config: Config, spec: TextSpec) -> None:
        super().__init__(config, spec)
        self.language_model = copy.deepcopy(self.generator)
        words = spec.vocab_size - len({*spec.never, spec.eos} - {NONE})
        self.register_buffer("payoff", payoff(spec.length, words, config.tau), persistent=False)

    def stages(self) -> Sequence[Stage]:
        config = self.config
        augmented = Move("generator", self._augmented, config.generator_steps, clip=config.clip)
        return self.after_pretraining(Act(self._start, every=max(1, config.rounds)), augmented)

    def _start(self, turn: Turn) -> None:
        self.language_model.load_state_dict(self.generator.state_dict())

    def _augmented(self, real: Tensor, turn: Turn) -> Loss:
        tokens = self.perturb(real)
        if self.config.reward == "constant":
            weights = torch.full((len(tokens),), 1 / len(tokens), device=tokens.device)
        else:
            weights = (self.opponent.reward(tokens) / self.config.alpha).softmax(0)
        nll = -(weights * self.generator.log_probs(tokens).sum(1)).sum()
        replaced = (tokens != real.repeat_interleave(self.config.neighbours, 0)).sum() / len(tokens)
        return Loss({"weighted_nll": nll}, {"replaced": replaced, "largest_weight": weights.max() * len(tokens)})

    @torch.no_grad()
    def perturb(self, real: Int[Tensor, "batch length"]) -> Int[Tensor, "rows length"]:
        """`neighbours` draws from P_s for each real sentence, one after the other; one of them is the sentence."""
        is_word = (real != self.spec.pad) & (real != self.spec.eos)
        k = self.config.neighbours
        edits = torch.multinomial(self.payoff[is_word.sum(1)], k, replacement=True)
        edits[:, 0] = edits[:, 0].where((edits == 0).any(1), 0)
        tokens = real.repeat_interleave(k, 0)
        lots = torch.rand(tokens.shape, device=real.device).masked_fill(~is_word.repeat_interleave(k, 0), torch.inf)
        chosen = lots.argsort(1).argsort(1) < edits.flatten()[:, None]
        row, place = chosen.nonzero(as_tuple=True)
        with evaluating(self.language_model):
            outputs = self.language_model.outputs(real)[row // k, place]
            logits = self.language_model.vocabulary(outputs)
        if self.config.words == "uniform":
            logits = logits.masked_fill(logits.isfinite(), 0.0)
        logits = logits.scatter(1, tokens[chosen][:, None], -torch.inf)  # a word is not replaced by itself
        if self.spec.eos != NONE:
            logits[:, self.spec.eos] = -torch.inf
        return tokens.masked_scatter(chosen, (logits + gumbel(logits)).argmax(1))


def payoff(longest: int, words: int, tau: float) -> Float[Tensor, "lengths edits"]:
    """P(e) for sentences of 0 to `longest` words, e = 0 to `longest`, where there are so many words to choose from.

    By the paper's rescaling, exp(-e / tau) is taken of e (1 + log(V - 1)), which keeps e small whatever V is: each
    sentence with e other words has the probability exp(-e (1 + log(V - 1)) / tau), up to their sum.
    """
    n, e = torch.arange(longest + 1)[:, None], torch.arange(longest + 1)
    ways = torch.lgamma(n + 1.0) - torch.lgamma(e + 1.0) - torch.lgamma((n - e).clamp(min=0) + 1.0)
    others = torch.tensor(float(max(1, words - 1))).log()
    return (ways + e * others - e * (1 + others) / tau).masked_fill(e > n, -torch.inf).softmax(1)
