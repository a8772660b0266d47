"""PG-BLEU: policy gradient with BLEU as reward, a row of SeqGAN's tables (Yu et al.; AAAI 2017; arXiv 1609.05473).

No discriminator: a finished sentence is worth its BLEU against real sentences, R of them, and a word is worth what the
sentences that may follow it are, by Monte-Carlo roll-outs as in SeqGAN::

    Q(y_1..t) = (1/N) sum_n BLEU(y_1..t, completion_n; references)     t < T
    Q(y_1..T) = BLEU(y_1..T; references)

    L_G = -(1/B) sum_bt (Q_bt - baseline) log p(y_bt | y_b,<t)

BLEU-n is exact and smoothed (`textgan.metrics.bleu_per_sentence`), on tokens, the end mark not counted. The
references' n-grams are counted once, so what a roll-out costs does not depend on how many references there are: about
10 ms a thousand sentences of 20 words, on one CPU core, where BLEU is computed whatever the networks run on.

The references are the first R sentences that the game is shown. As every epoch goes through the corpus in a random
order, they are a random subset without repetition; it is complete before the game unless there is no pretraining, and
then grows batch by batch.

Differs from the paper: it names no n, no number of references and no smoothing. The authors' code has n = 3, 40% of
the corpus, NLTK's unsmoothed score, one roll-out by the generator of the round before, 200 epochs by likelihood and
800 rounds; ``configs/pg_bleu-oracle.yaml`` follows it but for the smoothing, without which most sentences would be
worth 0. L_G is a mean over sentences. Baseline and whitening are switches that the paper does not have. The defaults
are a short schedule for the embedded corpus; ``configs/pg_bleu-captions.yaml`` is for captions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from textgan.data.spec import TextSpec
from textgan.errors import check_at_least
from textgan.game import Loss, Stage, Turn
from textgan.metrics import Sentences, bleu_per_sentence
from textgan.networks.generators import GeneratorConfig
from textgan.parts.rollout_policy import RolloutGameConfig, RolloutPolicy
from textgan.parts.text_game import Pretraining, TextGame


@dataclass(frozen=True)
class Config(RolloutGameConfig):
    """Policy gradient with BLEU as reward."""

    rounds: int = 40
    """Rounds of policy gradient."""
    generator_steps: int = 1
    """Policy-gradient steps a round."""
    learning_rate: float = 3e-4
    """Adam's step size by policy gradient."""
    order: int = 3
    """n of BLEU-n."""
    references: int = 2000
    """R: real sentences that BLEU is against; all, where the corpus has fewer."""
    rollouts: int = 4
    """N: completions of each prefix."""
    rollout_rate: float = 0.0
    """Share that the roll-out policy keeps of itself when it follows the generator, in [0, 1)."""
    reward: Literal["bleu", "constant"] = "bleu"
    """constant: every reward is 1, a control that shows what BLEU is worth."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "order", "references")


TINY = Config(
    generator=GeneratorConfig(embedding=16, hidden=16), pretraining=Pretraining(epochs=1), rounds=2, rollouts=2,
    batch_size=32,
)  # fmt: skip


class PGBLEU(TextGame):
    """One generator, with an optimiser for likelihood and one for policy gradient, and its references."""

    config: Config

    references: Tensor
    known: Tensor

    def __init__(self, config: Config, spec: TextSpec) -> None:
        super().__init__(config, spec)
        self.rollouts = RolloutPolicy(self.generator, config)
        size = min(config.references, spec.train_size)
        self.register_buffer("references", torch.zeros(size, spec.length, dtype=torch.int32))
        self.register_buffer("known", torch.zeros((), dtype=torch.int64))
        self._counted: tuple[Tensor, Sentences] | None = None

    def optimizers(self) -> dict[str, Optimizer]:
        return {
            **self.pretraining_optimizer(self.config.pretraining),
            "generator": Adam(self.generator.parameters(), lr=self.config.learning_rate),
        }

    def stages(self) -> Sequence[Stage]:
        config = self.config
        game = self.rollouts.moves(self.generator, config, self._reinforce)
        return [self.pretrain_generator(config.pretraining), Stage("policy_gradient", config.rounds, game)]

    def likelihood(self, real: Tensor, turn: Turn) -> Loss:
        """Cross-entropy of real sentences, the first of which become references."""
        self._remember(real)
        return super().likelihood(real, turn)

    def bleu(self, tokens: Tensor) -> Tensor:
        """BLEU-n ``(rows,)`` of whole sentences ``(rows, T)`` against the references."""
        known = self.references[: int(self.known)]
        if self._counted is None or not torch.equal(self._counted[0], known):
            self._counted = known.clone(), Sentences(self._words(known), self.config.order)
        scores = bleu_per_sentence(self._words(tokens), self._counted[1], (self.config.order,))
        return torch.from_numpy(scores[:, 0]).to(tokens.device, torch.float32)

    def _reinforce(self, real: Tensor, turn: Turn) -> Loss:
        config = self.config
        self._remember(real)
        tokens = self.sample(len(real), config.temperature)
        rewards = self._rewards(tokens)
        return self.reinforce(tokens, rewards, config.temperature, config.baseline, config.whiten)

    def _rewards(self, tokens: Tensor) -> Tensor:
        if self.config.reward == "constant":
            return (tokens != self.spec.pad).float()
        return self.rollouts.rewards(tokens, self.bleu)

    def _remember(self, real: Tensor) -> None:
        """Keep sentences as references until there are enough."""
        known = int(self.known)
        new = real[: len(self.references) - known]
        self.references[known : known + len(new)] = new.to(self.references.dtype)
        self.known += len(new)

    def _words(self, tokens: Tensor) -> list[list[int]]:
        """The words of each sentence: its tokens before the end mark."""
        counts = ((tokens != self.spec.pad) & (tokens != self.spec.eos)).sum(1)
        return [row[:n] for row, n in zip(tokens.tolist(), counts.tolist(), strict=True)]
