"""TextGAIL: generative adversarial imitation learning for text (Wu, Li, Yu; AAAI 2021; arXiv 2004.13796).

The discriminator looks at a human's answer y to a prompt x and at the generator's, y', and says which is which: a
softmax over the pair of its scores. What it gives the generator's is the reward::

    L_D = -E log e^D(x,y) / (e^D(x,y) + e^D(x,y'))            r(y') = e^D(x,y') / (e^D(x,y) + e^D(x,y'))

The generator learns by proximal policy optimisation on a buffer of answers, a few at a time, each token weighed with
its answer's advantage A::

    L_G = -1/B sum_bt min(p/p_old A_b, clip(p/p_old, 1 - e, 1 + e) A_b)

A share of the buffer is human demonstrations: human answers with a constant reward of 2, more than the discriminator
can give. The share falls to 0 in the course of the game. Before it the generator learns by likelihood, then the
discriminator has a warm-up. ``configs/textgail-prompts.yaml`` is for a pretrained generator.

Differs from the paper: the generator is trained from scratch by default, and so is the discriminator, which is
recurrent in place of RoBERTa; rewards are whitened over the buffer and there is no value network; the share of
demonstrations falls linearly; Adam in place of AdamW. Sizes and rates of the defaults are ours; the buffer of 128, the
mini-batches of 8, the clip of 0.2, the share of 0.3 and the reward of 2 are the paper's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch.optim import Adam, Optimizer

from textgan.data.spec import StorySpec
from textgan.data.stories import StoryBatch
from textgan.errors import check_above_zero, check_at_least, check_share
from textgan.game import Loss, Move, Stage, Turn
from textgan.networks.answer_scorer import ScorerConfig
from textgan.networks.modes import evaluating
from textgan.networks.story_generator import WriterConfig
from textgan.parts.experience import Experience
from textgan.parts.reward_model import RewardedGame, RewardModel
from textgan.parts.story_game import WriterGameConfig
from textgan.parts.text_game import Pretraining
from textgan.policy_gradient import clipped_loss, group_advantages


@dataclass(frozen=True)
class Config(WriterGameConfig):
    """Generative adversarial imitation learning."""

    discriminator: ScorerConfig = ScorerConfig()
    """The discriminator's network."""
    warm_up: int = 150
    """Steps of the discriminator before the game, on `mini_batch` prompts each."""
    batch_size: int = 128
    """Answers in the buffer."""
    mini_batch: int = 8
    """Answers a step of the generator, and pairs a step of the discriminator."""
    passes: int = 1
    """Passes of the generator over each buffer."""
    discriminator_passes: int = 1
    """Passes of the discriminator over each buffer."""
    rounds: int = 30
    """Buffers."""
    ratio_clip: float = 0.2
    """e: how far p/p_old may leave 1 with profit."""
    demonstrations: float = 0.3
    """Share of human answers in the first buffer, in [0, 1); it falls to 0 at the end of the game."""
    demonstration_reward: float = 2.0
    """What a human answer is worth."""
    reward: Literal["discriminator", "constant"] = "discriminator"
    """constant: every reward is 1, demonstrations' too, a control that shows what the discriminator is worth."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "mini_batch", "passes", "discriminator_passes")
        check_at_least(0, "game", self, "rounds", "warm_up")
        check_above_zero("game", self, "ratio_clip", "demonstration_reward")
        check_share("game", self, "demonstrations")


TINY = Config(
    generator=WriterConfig(embedding=16, hidden=16), pretraining=Pretraining(epochs=1),
    discriminator=ScorerConfig(embedding=16, hidden=16), batch_size=16, rounds=2, warm_up=2,
)  # fmt: skip


class TextGAIL(RewardedGame):
    """Generator and discriminator; the generator has one optimiser for likelihood and one for the game."""

    def __init__(self, config: Config, spec: StorySpec) -> None:
        super().__init__()
        self.config, self.spec, self.batch_size = config, spec, config.batch_size
        self.generator = config.generator.build(spec, config.lora)
        self.discriminator = RewardModel(config.discriminator, spec)
        answer = (spec.length,)
        self.experience = Experience(
            config.batch_size,
            {
                "context": (spec.sentences, spec.sentence_length),
                "human": answer,
                "answers": (1, *answer),
                "acted": answer,
            },
            {"old": answer, "reward": (), "advantage": (), "demonstration": ()},
        )

    def optimizers(self) -> dict[str, Optimizer]:
        return {
            **self.pretraining_optimizer(self.config.pretraining),
            "generator": Adam(self.generator.learned(), lr=self.config.learning_rate),
            **self.discriminator.optimizer(),
        }

    def stages(self) -> Sequence[Stage]:
        config = self.config
        parts = math.ceil(config.batch_size / config.mini_batch)
        improve = Move("generator", self._improve, config.passes * parts, clip=config.clip)
        discriminate = Move("discriminator", self._discriminate, config.discriminator_passes * parts, clip=config.clip)
        return [
            self.pretrain_generator(config.pretraining),
            self.pretrain_discriminator(min(config.warm_up, 1), max(config.warm_up, 1), config.clip, config.mini_batch),
            Stage("adversarial", config.rounds, [improve, discriminate]),
        ]

    def _discriminate(self, real: StoryBatch, turn: Turn) -> Loss:
        return self._prefer_to_seen(self.config.mini_batch)

    @torch.no_grad()
    def _collect(self, real: StoryBatch, turn: Turn) -> None:
        """A buffer: answers to the prompts, and demonstrations in place of some, evenly spread."""
        config, context = self.config, real.context
        rows = len(context)
        answers = self.sample(rows, context, config.temperature)
        reward = torch.ones(rows, device=answers.device)
        places, number = torch.arange(rows, device=answers.device), round(self._share(turn) * rows)
        shown = (places + 1) * number // rows > places * number // rows
        if config.reward == "discriminator":
            difference = self.discriminator.reward(context, answers) - self.discriminator.reward(context, real.ending)
            reward = torch.where(shown, config.demonstration_reward, difference.sigmoid())
        acted = torch.where(shown[:, None], real.ending, answers)
        with evaluating(self.generator):
            old = self.log_probs(context, acted, config.temperature).float()
        self.experience.fill(
            config.passes, config.mini_batch, context=context, human=real.ending, answers=answers[:, None], acted=acted,
            old=old, reward=reward, advantage=group_advantages(reward[None])[0], demonstration=shown.float(),
        )  # fmt: skip

    def _share(self, turn: Turn) -> float:
        """Of demonstrations in a buffer."""
        return self.config.demonstrations * (1 - turn.progress)

    def _improve(self, real: StoryBatch, turn: Turn) -> Loss:
        config = self.config
        if self.experience.is_spent:
            self._collect(real, turn)
        seen = self.experience.take(config.mini_batch)
        mask = seen["acted"] != self.spec.pad
        with evaluating(self.generator):  # the policy that drew the words, not a thinned one
            log_probs = self.log_probs(seen["context"], seen["acted"], config.temperature)
        advantages = seen["advantage"][:, None].expand_as(mask)
        loss = clipped_loss(log_probs, seen["old"], advantages, mask, config.ratio_clip)
        own = seen["demonstration"] == 0
        info = {
            "reward": (seen["reward"] * own).sum() / own.sum().clamp(min=1),
            "demonstrations": 1 - own.float().mean(),
        }
        return Loss({"policy_gradient": loss}, info)
