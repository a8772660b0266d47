"""SPIN: self-play fine-tuning (Chen, Deng, Yuan, Ji, Gu; ICML 2024; arXiv 2401.01335).

The generator plays against itself as it was at the last iteration: it is to tell the human answer y to a prompt x from
its former self's y', and it is the discriminator itself, by its likelihood (eq. 4.7)::

    L = E softplus(-scale [log p(y|x)/p_old(y|x) - log p(y'|x)/p_old(y'|x)])          y' ~ p_old

After each iteration p_old <- p. There is no reward and no other network. Where p_old is the distribution of the human
answers the gradient is 0, at any scale: the game ends there. The best answer to another p_old is p proportional to
p_old (p_human / p_old)^(1 / scale): all the way to people's at scale 1, and beyond them below.

Before the game the generator learns by likelihood, as the paper's model had. A sentence's log-probability is the sum of
its tokens', the end mark's too. See ``configs/spin-prompts.yaml`` for a pretrained model.

Differs from the paper: the former self's answers are drawn anew at every step, not once an iteration; log-probabilities
are without dropout; its sizes, rates and steps are ours. The paper adds the former iteration's answers to the new
ones from the second on; here it does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.optim import Adam, Optimizer

from textgan.data.spec import StorySpec
from textgan.data.stories import StoryBatch
from textgan.errors import check_above_zero, check_at_least
from textgan.game import Act, Loss, Move, Stage, Turn
from textgan.networks.modes import evaluating
from textgan.networks.snapshot import Snapshot
from textgan.networks.story_generator import WriterConfig
from textgan.parts.story_game import StoryGame, WriterGameConfig
from textgan.parts.text_game import Pretraining


@dataclass(frozen=True)
class Config(WriterGameConfig):
    """Self-play fine-tuning."""

    iterations: int = 4
    """Times that the former self becomes the present one."""
    steps: int = 100
    """Steps an iteration."""
    scale: float = 0.1
    """The equation's; the less, the further the generator goes from its former self to tell it from people."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "steps")
        check_at_least(0, "game", self, "iterations")
        check_above_zero("game", self, "scale")


TINY = Config(
    generator=WriterConfig(embedding=16, hidden=16), pretraining=Pretraining(epochs=1), batch_size=16, iterations=2,
    steps=2,
)  # fmt: skip


class SPIN(StoryGame):
    """One network, which has one optimiser for likelihood and one for the game, and itself as it was."""

    def __init__(self, config: Config, spec: StorySpec) -> None:
        super().__init__()
        self.config, self.spec, self.batch_size = config, spec, config.batch_size
        self.generator = config.generator.build(spec, config.lora)
        self.former = Snapshot(self.generator.learned())

    def optimizers(self) -> dict[str, Optimizer]:
        return {
            **self.pretraining_optimizer(self.config.pretraining),
            "generator": Adam(self.generator.learned(), lr=self.config.learning_rate),
        }

    def stages(self) -> Sequence[Stage]:
        config = self.config
        play = Move("generator", self._play, config.steps, clip=config.clip)
        return [
            self.pretrain_generator(config.pretraining),
            Stage("self_play", config.iterations, [Act(self._begin), play]),
        ]

    def _begin(self, turn: Turn) -> None:
        self.former.take()

    def _play(self, real: StoryBatch, turn: Turn) -> Loss:
        context, human = real
        with evaluating(self.generator):
            with self.former.applied():
                own = self.sample(len(context), context, self.config.temperature)
                before = self._of_pairs(context, human, own)
            gains = self._of_pairs(context, human, own) - before
        real_gain, own_gain = gains.unbind(1)
        wins = (real_gain > own_gain).float().mean()
        info = {"human_gain": real_gain.mean(), "own_gain": own_gain.mean(), "accuracy": wins}
        return Loss({"self_play": self_play_loss(real_gain, own_gain, self.config.scale)}, info)

    def _of_pairs(self, context: Tensor, human: Tensor, own: Tensor) -> Tensor:
        """log p of the two answers to each prompt ``(B, 2)``."""
        pairs = torch.stack([human, own], 1).flatten(0, 1)
        return self.log_probs(context, pairs).float().sum(1).view(-1, 2)


def self_play_loss(human: Float[Tensor, " batch"], own: Float[Tensor, " batch"], scale: float) -> Float[Tensor, ""]:
    """E softplus(-scale (human - own)): both are log p/p_old of whole answers, in nats; equation 4.7 of the paper."""
    return F.softplus(-scale * (human - own)).mean()
