"""Scheduled sampling (Bengio, Vinyals, Jaitly, Shazeer; NeurIPS 2015; arXiv 1506.03099).

Maximum likelihood in which the generator reads its own words now and then, as it will when it generates: each word
that it reads is the true one with probability epsilon, otherwise one drawn from the generator, given all that it has
read::

    x_t = y_t with probability epsilon(s), else x_t ~ p(. | x_1..t-1)          one coin a word
    L = -sum_bt log p(y_bt | x_b,<t) / number of tokens

Epsilon falls with s, the part of the training that lies behind, from 1 to e, the field ``true_words``::

    linear:            epsilon(s) = 1 - (1 - e) s
    exponential:       epsilon(s) = e^s
    inverse sigmoid:   epsilon(s) = k / (k + (k / e - k)^s)                    from k / (k + 1)

No gradient flows through the choice of words. The words to read are drawn first, with dropout off; the loss is then
computed of whole rows, so that every kind of generator will do and a step costs one further pass without gradient.

Differs from the paper: its decays (section 2.4) are written as functions of the share of epochs behind us in place of
the number of steps, with the value at the end as parameter. A drawn end mark is not read, as nothing is ever read
after one: the true word stays. The paper's experiments are conditional (captions, parsing, speech).
``configs/scheduled_sampling-oracle.yaml`` is the row of SeqGAN's table: epsilon falls by .002 an epoch, 120 epochs;
``configs/scheduled_sampling-captions.yaml`` is for captions as sentences.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from textgan.categorical import draw
from textgan.errors import UserError, check_above_zero, check_fields
from textgan.game import Loss, Turn
from textgan.networks.generators import GeneratorConfig
from textgan.networks.modes import evaluating
from textgan.parts.one_player import OnePlayerConfig, OnePlayerGame


@dataclass(frozen=True)
class Config(OnePlayerConfig):
    """Scheduled sampling."""

    schedule: Literal["linear", "exponential", "inverse_sigmoid"] = "inverse_sigmoid"
    """How the probability of reading the true word falls."""
    true_words: float = 0.5
    """e: the probability of reading the true word at the end, in (0, 1]."""
    steepness: float = 20.0
    """k of the inverse sigmoid: the larger, the later and steeper the fall."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_above_zero("game", self, "steepness")
        check_fields("game", self, "in (0, 1]", lambda share: 0 < share <= 1, "true_words")
        first = self.steepness / (self.steepness + 1)
        if self.schedule == "inverse_sigmoid" and self.true_words >= first:
            raise UserError(
                f"game.true_words is {self.true_words}; with steepness {self.steepness} it must be below {first:.3f}, "
                "where the inverse sigmoid begins"
            )


TINY = Config(generator=GeneratorConfig(embedding=16, hidden=16), epochs=2, batch_size=32)


class ScheduledSampling(OnePlayerGame):
    """One player, one stage."""

    config: Config

    def true_words(self, progress: float) -> float:
        """epsilon: the probability of reading the true word."""
        last, k = self.config.true_words, self.config.steepness
        if self.config.schedule == "linear":
            return 1 - (1 - last) * progress
        if self.config.schedule == "exponential":
            return last**progress
        return k / (k + (k / last - k) ** progress)

    def loss(self, real: Tensor, turn: Turn) -> Loss:
        """Cross-entropy of real sentences in nats per token, some of their words read as the generator's own."""
        read = self._read(real, self.true_words(turn.progress))
        mask = real != self.spec.pad
        logits = self.generator.vocabulary(self.generator.outputs(read)[mask])
        changed = (read != real)[mask].float().mean()
        return Loss({"nll": F.cross_entropy(logits, real[mask])}, {"changed": changed})

    @torch.no_grad()
    def _read(self, real: Tensor, share: float) -> Tensor:
        """What is read in place of real sentences ``(B, T)``: some of the words are the generator's own."""
        read = real.clone()
        with evaluating(self.generator):
            state = self.generator.start(len(real))
            for t in range(real.shape[1] - 1):  # the last token is not read
                drawn = draw(self.generator.logits(state))
                own = torch.rand(len(real), device=real.device) >= share
                own &= (drawn != self.spec.eos) & (real[:, t] != self.spec.pad) & (real[:, t] != self.spec.eos)
                read[:, t] = torch.where(own, drawn, real[:, t])
                state = self.generator.advance(read[:, t], state)
        return read
