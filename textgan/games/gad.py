"""GAD: generative adversarial distillation by a reward model and GRPO (Black-box on-policy distillation; 2511.10643).

A student G learns to answer prompts x as a teacher (or people) did, of whom only texts y are known::

    max_G min_D  E -log s(D(x, y) - D(x, G(x)))          s = sigmoid

D is a reward model with one score, trained by Bradley and Terry's loss, that is this one; G is trained by GRPO (Shao et
al., 2024; 2402.03300) on N answers y_1..N to each prompt, rewarded with r_i = D(x, y_i)::

    A_i = (r_i - mean r) / std r                                              over the N answers
    L_G = -E w_it min(p/p_old A_i, clip(p/p_old, 1 - e, 1 + e) A_i) + kl E w_it k3(p, p_start)

where p, p_old and p_start are the probabilities of token t now, when it was drawn, and after the warm-up; k3 estimates
their divergence. Warm-up: G by likelihood on the teacher's texts, then D on them against G's. Then both move in turn, D
on the answers that G was just rewarded for. ``--game.discriminator-steps 0`` leaves D as the warm-up left it: the
paper's control, which the student learns to fool. With ``--game.reward constant`` all A are 0: G stays where it is.

Length guard: a token counts ``w_it`` = 1 / |y_i| (`weights` answer) or 1 / T (constant), so that no answer gains by its
length alone; and an answer that does not end within T tokens comes behind all of its group that do (`unended` behind:
its reward is lowered by as much as the group's rewards lie apart), or is not learned from (mask).
``configs/gad-prompts.yaml`` is for a pretrained student.

Differs from the paper: any generator and discriminator, trained from scratch by default, of one architecture only if so
chosen; the warm-ups of G and D follow each other; sizes, rates and the number of steps are ours; the guard for answers
that do not end, and k2 as leash, are ours. D's score is of the whole answer, as in the paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from textgan.data.spec import StorySpec
from textgan.data.stories import StoryBatch
from textgan.errors import check_above_zero, check_at_least
from textgan.game import Act, Loss, Move, Stage, Turn
from textgan.networks.answer_scorer import ScorerConfig
from textgan.networks.modes import evaluating
from textgan.networks.snapshot import Snapshot
from textgan.networks.story_generator import WriterConfig
from textgan.parts.experience import Experience
from textgan.parts.reward_model import RewardedGame, RewardModel
from textgan.parts.story_game import WriterGameConfig
from textgan.parts.text_game import Pretraining
from textgan.policy_gradient import clipped_loss, group_advantages, kl_estimates, token_weights


@dataclass(frozen=True)
class Config(WriterGameConfig):
    """Generative adversarial distillation."""

    discriminator: ScorerConfig = ScorerConfig()
    """The reward model's network."""
    discriminator_epochs: int = 1
    """Warm-up of the reward model: passes over the corpus."""
    rounds: int = 60
    """Adversarial rounds."""
    group: int = 8
    """N: answers to each prompt."""
    updates: int = 1
    """Steps of the student a round, on the same answers. With 1 the ratio p/p_old is 1 and nothing is clipped."""
    discriminator_steps: int = 1
    """Steps of the reward model a round, on the answers just rewarded. 0: it stays as it was after its warm-up."""
    learning_rate: float = 2e-4
    """Adam's step size of the student in the game."""
    ratio_clip: float = 0.2
    """e: how far p/p_old may leave 1 with profit."""
    kl: float = 0.01
    """Weight of the leash to the student as it was after its warm-up. 0: none."""
    leash: Literal["k2", "k3"] = "k3"
    """How the divergence is estimated: see `textgan.policy_gradient.kl_estimates`. k3: GRPO's."""
    reward: Literal["discriminator", "constant"] = "discriminator"
    """constant: every reward is 1, a control that shows what the reward model is worth."""
    normalize: bool = True
    """Divide by the standard deviation of a group's rewards."""
    weights: Literal["answer", "constant"] = "answer"
    """What a token counts: 1 / its answer's length, or 1 / the most tokens that an answer may have."""
    unended: Literal["behind", "mask", "reward"] = "behind"
    """What becomes of an answer that does not end. behind: it is worth less than all of its group that do. mask:
    nothing is learned from it. reward: it is rewarded as any other."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "updates")
        check_at_least(2, "game", self, "group")
        check_at_least(0, "game", self, "rounds", "discriminator_epochs", "discriminator_steps", "kl")
        check_above_zero("game", self, "ratio_clip")


TINY = Config(
    generator=WriterConfig(embedding=16, hidden=16), pretraining=Pretraining(epochs=1),
    discriminator=ScorerConfig(embedding=16, hidden=16), batch_size=16, rounds=2, group=3, updates=2,
)  # fmt: skip


class GAD(RewardedGame):
    """Student and reward model; the student has one optimiser for likelihood and one for the game."""

    def __init__(self, config: Config, spec: StorySpec) -> None:
        super().__init__()
        self.config, self.spec, self.batch_size = config, spec, config.batch_size
        self.generator = config.generator.build(spec, config.lora)
        self.start = Snapshot(self.generator.learned())
        self.discriminator = RewardModel(config.discriminator, spec)
        group = (config.group, spec.length)
        self.experience = Experience(
            config.batch_size,
            {"context": (spec.sentences, spec.sentence_length), "human": (spec.length,), "answers": group},
            {"old": group, "start": group, "reward": group[:1], "advantage": group[:1], "human_reward": ()},
        )

    def optimizers(self) -> dict[str, Optimizer]:
        return {
            **self.pretraining_optimizer(self.config.pretraining),
            "generator": Adam(self.generator.learned(), lr=self.config.learning_rate),
            **self.discriminator.optimizer(),
        }

    def stages(self) -> Sequence[Stage]:
        config = self.config
        moves: list[Move | Act] = [Act(self._begin), Move("generator", self._improve, config.updates, clip=config.clip)]
        if config.discriminator_steps:
            moves.append(Move("discriminator", self._discriminate, config.discriminator_steps, clip=config.clip))
        return [
            self.pretrain_generator(config.pretraining),
            self.pretrain_discriminator(config.discriminator_epochs, self.epoch, config.clip),
            Stage("adversarial", config.rounds, moves),
        ]

    def _begin(self, turn: Turn) -> None:
        if turn.round == 0:
            self.start.take()

    def _discriminate(self, real: StoryBatch, turn: Turn) -> Loss:
        return self._prefer_to_seen(len(real.context))

    @torch.no_grad()
    def _collect(self, real: StoryBatch) -> None:
        """Answers to the prompts, with all that is known of them before the student changes."""
        config, context = self.config, real.context
        shape = (len(context), config.group, self.spec.length)
        answers = self.sample(shape[0] * shape[1], context, config.temperature)
        with evaluating(self.generator):
            with self.start.applied():
                start = self.log_probs(context, answers, config.temperature)
            old = start if config.updates == 1 else self.log_probs(context, answers, config.temperature)
        reward, human = torch.ones(len(answers), device=answers.device), torch.ones(shape[0], device=answers.device)
        if config.reward == "discriminator":
            reward = self.discriminator.reward(context, answers)
            human = self.discriminator.reward(context, real.ending)
        reward = reward.view(shape[:2])
        advantage = self._advantages(reward, (answers == self.spec.eos).any(1).view(shape[:2]))
        self.experience.fill(
            config.updates, len(context), context=context, human=real.ending, answers=answers.view(shape),
            old=old.float().view(shape), start=start.float().view(shape), reward=reward, advantage=advantage,
            human_reward=human,
        )  # fmt: skip

    def _advantages(self, reward: Tensor, ended: Tensor) -> Tensor:
        """A of each answer ``(B, N)``, given which have ended."""
        config = self.config
        if config.unended == "behind":
            apart = reward.amax(1, keepdim=True) - reward.amin(1, keepdim=True)
            reward = reward - apart * ~ended
        advantage = group_advantages(reward, config.normalize)
        return advantage * ended if config.unended == "mask" else advantage

    def _improve(self, real: StoryBatch, turn: Turn) -> Loss:
        config = self.config
        if self.experience.is_spent:
            self._collect(real)
        seen = self.experience.take(self.batch_size)
        answers, old, start = (seen[name].flatten(0, 1) for name in ("answers", "old", "start"))
        mask = answers != self.spec.pad
        weights = token_weights(mask, config.weights)
        with evaluating(self.generator):  # the policy that drew the words, not a thinned one
            log_probs = self.log_probs(seen["context"], answers, config.temperature)
        if config.updates == 1:
            old = log_probs.detach()  # the same network: not worth another pass of a large one
        worth = seen["advantage"].flatten()[:, None] * weights
        terms = {"policy_gradient": clipped_loss(log_probs, old, worth, mask, config.ratio_clip)}
        divergence = kl_estimates(log_probs, start, config.leash)
        if config.kl:
            terms["leash"] = config.kl * (divergence * weights).sum() / len(answers)
        info = {
            "reward": seen["reward"].mean(),
            "teacher_margin": (seen["human_reward"][:, None] - seen["reward"]).mean(),
            "kl": divergence.detach()[mask].mean(),
            "length": mask.sum(1).float().mean(),
            "ended": (answers == self.spec.eos).any(1).float().mean(),
        }
        return Loss(terms, info)
