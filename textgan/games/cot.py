"""CoT: cooperative training (Lu, Yu, Feng, Zhu, Zhang; ICML 2019; arXiv 1804.03782).

No discriminator and no reward. A mediator M, a language model of its own, learns the mixture of data and generator; its
optimum is M* = (p_data + p) / 2. The generator p approaches it, over the whole vocabulary at each of its own prefixes::

    L_M = -1/2 E_data log M(y) - 1/2 E_p log M(y)                                            (in nats per token)
    L_G = E_p sum_t K_t,   K_t = sum_v p(v|y_<t) (log p(v|y_<t) - log M(v|y_<t))             (in nats per sentence)

What holds exactly: L_G = KL(p || M), and at M = M* its gradient, M held fixed, is that of 2 JSD(p_data, p), whose other
half does not feel p to first order. This gradient has two parts: E_p sum_t grad K_t, which is computed with all words
summed out; and the prefixes' part, E_p sum_s grad log p(y_s|y_<s) sum_{t>s} K_t, which the paper's algorithm leaves out
(``prefixes: dropped``, the default): each distribution is then improved at the prefixes as they come. With
``prefixes: credited`` it is estimated by REINFORCE, and the expected gradient is that of 2 JSD.

Differs from the paper: L_M is a mean over the tokens of both halves together, L_G a mean over sentences (Adam does not
see the difference, the clip does). Sentences may end early. Likelihood before the game, of either, is a switch that the
paper does not have. Where held-out likelihood turns, the game drifts off: the checkpoint marked as the best is the one
to take. ``configs/cot-oracle.yaml`` has the paper's sizes, ``configs/cot-captions.yaml`` those for captions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import Adam, Optimizer

from textgan.data.spec import TextSpec
from textgan.errors import check_above_zero, check_at_least, check_fields
from textgan.game import Loss, Move, Stage, Turn
from textgan.networks.generators import KINDS, GeneratorConfig, text_generator
from textgan.networks.modes import evaluating
from textgan.parts.text_game import Pretraining, TextGame, TextGameConfig
from textgan.policy_gradient import advantages, reinforce_loss, rewards_to_go


@dataclass(frozen=True)
class MediatorConfig(GeneratorConfig):
    """The mediator: its network, and how it learns."""

    group: ClassVar[str] = "game.mediator"
    hidden: int = 64
    """lstm: units. relational: width of a slot, over all heads. A transformer is as wide as its embeddings."""
    dropout: float = 0.5
    """Dropout on embeddings and outputs while it learns, in [0, 1)."""
    learning_rate: float = 3e-3
    """Adam's step size."""
    steps: int = 1
    """Its steps a round."""
    pretraining: int = 0
    """Its steps before the game, on half real and half generated sentences. 0: none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fields(self.group, self, " or ".join(KINDS), lambda kind: kind in KINDS, "kind")
        check_above_zero(self.group, self, "learning_rate")
        check_at_least(1, self.group, self, "steps")
        check_at_least(0, self.group, self, "pretraining")


@dataclass(frozen=True)
class Config(TextGameConfig):
    """Cooperative training."""

    pretraining: Pretraining = Pretraining(epochs=0)
    """Maximum likelihood before the game; the paper has none."""
    mediator: MediatorConfig = MediatorConfig()
    """Its network, and how it learns."""
    rounds: int = 1000
    """Rounds of the game."""
    generator_steps: int = 1
    """The generator's steps a round."""
    prefixes: Literal["dropped", "credited"] = "dropped"
    """What a word is told of the divergence at the places after it. dropped: nothing (the paper). credited: by
    REINFORCE, with the mean of the other sentences as baseline."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "generator_steps")


TINY = Config(
    generator=GeneratorConfig(embedding=16, hidden=16), pretraining=Pretraining(epochs=1),
    mediator=MediatorConfig(embedding=16, hidden=16, pretraining=2), batch_size=32, rounds=4,
)  # fmt: skip


class CoT(TextGame):
    """Generator and mediator."""

    config: Config

    def __init__(self, config: Config, spec: TextSpec) -> None:
        super().__init__(config, spec)
        self.mediator = text_generator(config.mediator, spec)

    def optimizers(self) -> dict[str, Optimizer]:
        config = self.config
        return {
            **self.pretraining_optimizer(config.pretraining),
            "mediator": Adam(self.mediator.parameters(), lr=config.mediator.learning_rate),
            "generator": Adam(self.generator.parameters(), lr=config.learning_rate, betas=(0.9, 0.95)),
        }

    def stages(self) -> Sequence[Stage]:
        config, steps = self.config, self.config.mediator.pretraining
        mediate = Move("mediator", self._mediate, config.mediator.steps, clip=config.clip)
        cooperate = Move("generator", self._cooperate, config.generator_steps, clip=config.clip)
        before = Move("mediator", self._mediate, max(1, steps), clip=config.clip)
        return [
            self.pretrain_generator(config.pretraining),
            Stage("pretrain_mediator", min(1, steps), [before]),
            Stage("cooperative", config.rounds, [mediate, cooperate]),
        ]

    def _mediate(self, real: Tensor, turn: Turn) -> Loss:
        tokens = torch.cat([real, self.sample(len(real))])
        return Loss({"nll": -self.mediator.log_probs(tokens).sum() / (tokens != self.spec.pad).sum()})

    def _cooperate(self, real: Tensor, turn: Turn) -> Loss:
        tokens = self.sample(len(real))
        mask = tokens != self.spec.pad
        with evaluating(self.generator, self.mediator):
            log_p = self.generator.vocabulary(self.generator.outputs(tokens)[mask]).log_softmax(-1)
            with torch.no_grad():
                log_m = self.mediator.vocabulary(self.mediator.outputs(tokens)[mask]).log_softmax(-1)
        divergence = divergences(log_p, log_m)
        loss = {"divergence": divergence.sum() / len(tokens)}
        if self.config.prefixes == "credited":
            nothing = divergence.new_zeros(tokens.shape)
            here = nothing.masked_scatter(mask, divergence.detach())
            ahead = advantages(rewards_to_go(here, mask) - here, mask, "batch", False)
            of_words = nothing.masked_scatter(mask, log_p.gather(1, tokens[mask][:, None]).squeeze(1))
            loss["prefixes"] = -reinforce_loss(of_words, ahead, mask)
        return Loss(loss, {"divergence_per_token": divergence.mean()})


def divergences(log_p: Float[Tensor, "n vocab"], log_m: Float[Tensor, "n vocab"]) -> Float[Tensor, " n"]:
    """KL(p || m) = sum_v p(v) (log p(v) - log m(v)) of each row, in nats; words that p cannot say count nothing."""
    impossible = log_p == -torch.inf
    return (log_p.exp() * (log_p - log_m).masked_fill(impossible, 0.0)).sum(-1)
