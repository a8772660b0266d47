"""The generator of LeakGAN (Guo et al., AAAI 2018): a manager that sees the discriminator's features, and a worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from textgan.categorical import Head
from textgan.data.spec import TextSpec
from textgan.errors import check_above_zero, check_at_least, check_share
from textgan.networks.prefix_features import Prefix, PrefixFeatures
from textgan.networks.recurrent import lstm_step
from textgan.networks.text_cnn import TextCNN
from textgan.networks.text_generator import TextGenerator


@dataclass(frozen=True)
class LeakedConfig:
    """The generator: a manager and a worker."""

    embedding: int = 64
    """Width of the word embeddings, which the worker reads."""
    hidden: int = 32
    """Units of the worker's LSTM and of the manager's."""
    goal: int = 8
    """k: numbers to which goals are projected; the worker emits as many for every word of the vocabulary. Paper: 16."""
    window: int = 4
    """c: words that a goal is in force for."""
    dropout: float = 0.2
    """Dropout on the worker's embeddings and outputs while it learns by likelihood, in [0, 1)."""
    init_std: float | None = None
    """Standard deviation of all first weights. None: torch's own initialisation, 1 for the projection of goals."""

    def __post_init__(self) -> None:
        group = "game.generator"
        check_at_least(1, group, self, "embedding", "hidden", "goal", "window")
        check_share(group, self, "dropout")
        check_above_zero(group, self, "init_std")


class Leaked(NamedTuple):
    """The state of sentences being written, a row each."""

    prefix: Prefix
    """What the discriminator saw."""
    manager: tuple[Tensor, Tensor]
    """h and c ``(rows, hidden)``."""
    worker: tuple[Tensor, Tensor]
    """h and c ``(rows, hidden)``."""
    goals: Tensor
    """The goals in force, projected, ``(rows, window, goal)``, the newest at the end; 0 before the first one."""


class Reading(NamedTuple):
    """What the networks made of whole rows."""

    features: Tensor
    """f_t: the discriminator's features of the first t = 0, 1, ..., T words, ``(B, T + 1, features)``."""
    goals: Tensor
    """g_t: the manager's goal after t = 0, ..., T - 1 words, of norm 1, ``(B, T, features)``."""
    outputs: Tensor
    """As of `TextGenerator.outputs`."""


class LeakedGenerator(TextGenerator):
    """p(y_t | y_1..t-1) = softmax(O_t w_t): the worker's O_t knows the words, w_t the goals (sections 3.1 and 3.2)::

        g_t = normalised(affine(h_t)),  h_t = LSTM(h_t-1, f_t)         f_t: D's features of y_1..t    (manager)
        w_t = projection of g_t-1 + ... + g_t-c                        goals before the first are 0
        O_t = affine(h'_t),  h'_t = LSTM(h'_t-1, embedding(y_t-1))     V x k numbers                  (worker)

    O_t is never formed: O_t w_t is linear in the products of w_t and [h'_t, 1], which are this generator's *outputs*.
    The features are read off the discriminator, whose weights are not a part of this module, and get no gradient; the
    likelihood hands none on to the manager, which learns from `Reading.goals` alone.
    """

    never: Tensor

    def __init__(self, config: LeakedConfig, spec: TextSpec, discriminator: TextCNN) -> None:
        super().__init__()
        self.spec, self.window, self.hidden = spec, config.window, config.hidden
        self.width = config.goal * (config.hidden + 1)
        self.leak = PrefixFeatures(discriminator)  # no module: the discriminator is somebody else's
        self.manager = nn.LSTM(self.leak.size, config.hidden, batch_first=True)
        self.aim = nn.Linear(config.hidden, self.leak.size)
        self.embedding = nn.Embedding(spec.vocab_size, config.embedding)
        self.worker = nn.LSTM(config.embedding, config.hidden, batch_first=True)
        self.projection = nn.Linear(self.leak.size, config.goal, bias=False)
        self.output = nn.Linear(self.width, spec.vocab_size, bias=False)
        self.dropout = nn.Dropout(config.dropout)
        nn.init.normal_(self.projection.weight)
        if config.init_std is not None:
            for parameter in self.parameters():
                nn.init.normal_(parameter, std=config.init_std)
        never = torch.zeros(spec.vocab_size)
        never[list(spec.never)] = -torch.inf
        self.register_buffer("never", never, persistent=False)

    def train(self, mode: bool = True) -> LeakedGenerator:
        """Dropout's mode. The LSTMs, which have none of their own, stay as cuDNN wants them to give gradients."""
        super().train(mode)
        self.manager.train()
        self.worker.train()
        return self

    def start(self, rows: int, condition: Float[Tensor, "rows size"] | None = None) -> Leaked:
        """The state after the begin mark."""
        assert condition is None, "this generator knows no conditions"
        zeros = self.output.weight.new_zeros(rows, self.hidden)
        goals = zeros.new_zeros(rows, self.window, self.projection.out_features)
        bos = torch.full((rows,), self.spec.bos, device=zeros.device)
        return self._seen(bos, Leaked(self.leak.start(rows), (zeros, zeros), (zeros, zeros), goals))

    def advance(self, tokens: Int[Tensor, " rows"], state: Leaked) -> Leaked:
        """The state after one more token."""
        return self._seen(tokens, state._replace(prefix=self.leak.advance(tokens, state.prefix)))

    def logits(self, state: Leaked) -> Float[Tensor, "rows vocab"]:
        """Unnormalised log-probabilities of the next token."""
        return self.head(state).logits

    def head(self, state: Leaked) -> Head:
        """What `logits` is made of."""
        return Head(self._guided(state.goals.sum(1), state.worker[0]), self.output.weight, self.never)

    def read(self, tokens: Int[Tensor, "batch length"]) -> Reading:
        """Features, goals and outputs of whole rows."""
        features = self.leak.of_rows(tokens)
        goals = F.normalize(self.aim(self.manager(features[:, :-1])[0]).float(), dim=2)
        projected = self.projection(goals.detach())
        padded = F.pad(projected, (0, 0, self.window - 1, 0))
        in_force = padded.unfold(1, self.window, 1).sum(3)
        bos = tokens.new_full((len(tokens), 1), self.spec.bos)
        inputs = self.embedding(torch.cat([bos, tokens[:, :-1]], 1).clamp(min=0))
        return Reading(features, goals, self._guided(in_force, self.worker(self.dropout(inputs))[0]))

    def outputs(
        self, tokens: Int[Tensor, "batch length"], condition: Float[Tensor, "batch size"] | None = None
    ) -> Float[Tensor, "batch length width"]:
        """Before each token is read: the products of the goals in force, projected, and the worker's [h', 1]."""
        assert condition is None, "this generator knows no conditions"
        return self.read(tokens).outputs

    def vocabulary(self, outputs: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows vocab"]:
        """Logits of the next token from outputs."""
        return F.linear(outputs, self.output.weight) + self.never

    def _seen(self, tokens: Tensor, state: Leaked) -> Leaked:
        """Manager and worker read what the prefix and its last token have become."""
        manager = lstm_step(self.manager, self.leak.features(state.prefix.best), state.manager)
        goal = self.projection(F.normalize(self.aim(manager[0]).float(), dim=1))
        goals = torch.cat([state.goals[:, 1:], goal[:, None]], 1)
        worker = lstm_step(self.worker, self.dropout(self.embedding(tokens)), state.worker)
        return Leaked(state.prefix, manager, worker, goals)

    def _guided(self, goals: Tensor, hidden: Tensor) -> Tensor:
        ones = torch.ones_like(hidden[..., :1])
        worker = torch.cat([self.dropout(hidden), ones], -1)
        return (goals[..., :, None] * worker[..., None, :]).flatten(-2)
