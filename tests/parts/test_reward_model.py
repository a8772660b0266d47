from __future__ import annotations

import math

import pytest
import torch

from tests.small_stories import SPEC, contexts, endings
from textgan.networks.answer_scorer import AnswerScorer, ScorerConfig
from textgan.parts.reward_model import RewardModel

MODEL = ScorerConfig(embedding=8, hidden=8, dropout=0.5)


class ByFirstWord(AnswerScorer):
    """A score for each first word."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = torch.nn.Parameter(torch.linspace(-2, 2, SPEC.vocab_size))

    def forward(self, context: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
        return self.scores[answers[:, 0]]


def test_the_loss_is_that_of_bradley_and_terry_by_hand() -> None:
    model = RewardModel(MODEL, SPEC)
    model.network = ByFirstWord()
    human, answers = endings(2), endings(6, seed=5).view(2, 3, -1)
    d = model.network.scores.tolist()
    pairs = [(d[human[b, 0]], d[answers[b, n, 0]]) for b in range(2) for n in range(3)]
    loss = model.loss(contexts(2), human, answers)
    expected = sum(math.log1p(math.exp(worse - better)) for better, worse in pairs) / 6
    assert loss.terms["preference"].item() == pytest.approx(expected, rel=1e-5)
    assert loss.info["accuracy"].item() == pytest.approx(sum(better > worse for better, worse in pairs) / 6)


def test_it_learns_the_difference_of_log_probabilities() -> None:
    """Preferences of p over q are best told by D = log p/q, but for a constant: the optimum on two known mixtures."""
    model = RewardModel(MODEL, SPEC)
    model.network = network = ByFirstWord()
    p, q = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.2, 0.6])
    human = torch.full((100, SPEC.length), SPEC.pad)
    human[:, 0] = torch.arange(4, 7).repeat_interleave((p * 100).long())
    answers = torch.full((100, 5, SPEC.length), SPEC.pad)
    answers[:, :, 0] = torch.tensor([4, 5, 6, 6, 6])
    optimizer = torch.optim.LBFGS(network.parameters(), max_iter=100)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = model.loss(contexts(100), human, answers).terms["preference"]
        loss.backward()
        return loss

    optimizer.step(closure)
    found, expected = network.scores.detach()[4:7], (p / q).log()
    torch.testing.assert_close(found - found.mean(), expected - expected.mean(), rtol=0, atol=1e-3)


def test_a_reward_is_without_dropout_and_without_gradient() -> None:
    torch.manual_seed(0)
    model = RewardModel(MODEL, SPEC)
    context, answers = contexts(2), endings(4)
    first, again = model.reward(context, answers), model.reward(context, answers)
    assert torch.equal(first, again)
    assert not first.requires_grad
    assert model.network.training
