"""What makes scheduled sampling itself."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from tests.games.test_every_game import SPECS, _sentences
from tests.policies import ENDING, FIXED
from textgan.errors import UserError
from textgan.game import Turn
from textgan.games.scheduled_sampling import TINY, Config, ScheduledSampling
from textgan.networks.generators import GeneratorConfig
from textgan.reproducibility import seed_everything

TURN = Turn("likelihood", 0, 0.5)
every_spec = pytest.mark.parametrize("spec", SPECS["text"].values(), ids=SPECS["text"])


def _game(spec, dropout: float = 0.0, **changes) -> ScheduledSampling:
    seed_everything(0)
    network = GeneratorConfig(embedding=16, hidden=16, dropout=dropout)
    return ScheduledSampling(dataclasses.replace(TINY, generator=network, **changes), spec)


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        ("linear", (1.0, 0.8, 0.6)),
        ("exponential", (1.0, 0.2**0.25, 0.2**0.5)),
        ("inverse_sigmoid", (10 / 11, 10 / (10 + 40**0.25), 10 / (10 + 40**0.5))),
    ],
)
def test_the_share_of_true_words_falls_as_the_paper_says(schedule, values):
    game = _game(FIXED, schedule=schedule, true_words=0.2, steepness=10.0)
    for progress, value in zip((0.0, 0.25, 0.5), values, strict=True):
        assert game.true_words(progress) == pytest.approx(value)
    assert game.true_words(1.0) == pytest.approx(0.2)


def test_the_inverse_sigmoid_is_the_papers_k_over_k_plus_exp_of_i_over_k():
    k, steps = 12.0, 100
    last = k / (k + math.exp(steps / k))
    game = _game(FIXED, schedule="inverse_sigmoid", true_words=last, steepness=k)
    for i in range(steps):
        # The paper's epsilon_0 is k / (k + 1) too.
        assert game.true_words(i / steps) == pytest.approx(k / (k + math.exp(i / k)))


def test_an_inverse_sigmoid_that_would_rise_is_refused():
    with pytest.raises(UserError, match=r"true_words is 0.95; with steepness 10.0 it must be below 0.909"):
        Config(schedule="inverse_sigmoid", true_words=0.95, steepness=10.0)


@every_spec
def test_where_every_word_is_true_it_is_maximum_likelihood(spec):
    game = _game(spec, schedule="linear")
    real = _sentences(spec)
    loss = game.loss(real, Turn("likelihood", 0, 0.0))
    torch.testing.assert_close(loss.terms["nll"], game.likelihood(real, TURN).terms["nll"])
    assert loss.info["changed"] == 0


@every_spec
def test_the_words_read_are_the_true_ones_with_that_probability_each_for_itself(spec):
    game = _game(spec)
    real = _sentences(spec)[:1].repeat(4000, 1)
    inner = (real[0] != spec.pad) & (real[0] != spec.eos)
    inner[-1] = False  # never read
    read = game._read(real, 0.7)
    assert torch.equal(read[:, ~inner], real[:, ~inner])
    assert not (read == spec.eos)[:, inner].any() or spec.eos < 0
    changed = (read != real)[:, inner]
    with torch.no_grad():  # of those replaced, some are drawn as they were, or as an end mark that is not read
        state = game.generator.start(1)
        p = game.generator.logits(state).softmax(-1)[0]
    kept = p[real[0, 0]] + (p[spec.eos] if spec.eos >= 0 else 0)
    expected = 0.3 * (1 - kept.item())
    assert changed[:, 0].float().mean().item() == pytest.approx(expected, abs=5 * (expected / 4000) ** 0.5)
    # One coin a word, not a sentence: those of the first two words are independent.
    both = (changed[:, 0] & changed[:, 1]).float().mean().item()
    apart = changed[:, 0].float().mean().item() * changed[:, 1].float().mean().item()
    assert both == pytest.approx(apart, abs=0.02)


@pytest.mark.parametrize("spec", [FIXED, ENDING], ids=["fixed", "ending"])
def test_the_loss_is_the_mean_over_everything_that_may_be_read(spec):
    """By enumeration: the words drawn follow what was read before them, drawn words included."""
    share = 0.4
    game = _game(spec, schedule="exponential", true_words=share**2)  # at half the way: share
    true = torch.tensor([[2, 1, 2]]) if spec is FIXED else torch.tensor([[3, 4, 3]])
    words = range(3) if spec is FIXED else (3, 4)
    with torch.no_grad():

        def log_p(*prefix: int) -> torch.Tensor:
            state = game.generator.start(1)
            for word in prefix:
                state = game.generator.advance(torch.tensor([word]), state)
            return game.generator.logits(state).log_softmax(-1)[0]

        expected = -log_p()[true[0, 0]]
        for first in words:
            p_first = _probability(log_p(), first, true[0, 0].item(), share, spec)
            expected = expected - p_first * log_p(first)[true[0, 1]]
            for second in words:
                p_second = _probability(log_p(first), second, true[0, 1].item(), share, spec)
                expected = expected - p_first * p_second * log_p(first, second)[true[0, 2]]
    seed_everything(1)
    losses = torch.stack([game.loss(true.repeat(2000, 1), TURN).terms["nll"] for _ in range(20)])
    error = losses.std() / 20**0.5
    assert losses.mean().item() == pytest.approx(expected.item() / 3, abs=4 * error.item())


def _probability(log_p: torch.Tensor, word: int, true: int, share: float, spec) -> float:
    """Of reading `word`: the true one's share, what is drawn else; a drawn end mark leaves the true one."""
    p = log_p.exp()
    own = (1 - share) * p[word].item()
    if word == true:
        return share + own + ((1 - share) * p[spec.eos].item() if spec.eos >= 0 else 0.0)
    return own


def test_words_are_drawn_with_dropout_off_and_learned_with_it_on():
    spec = SPECS["text"]["fixed length"]
    game = _game(spec, dropout=0.9, true_words=0.01, schedule="linear").train()
    real = _sentences(spec)
    seed_everything(2)
    read = game._read(real, 0.0)
    game.eval()
    seed_everything(2)
    assert torch.equal(read, game._read(real, 0.0))
    evaluated = game.loss(real, Turn("likelihood", 0, 0.0)).terms["nll"]
    game.train()
    assert game.loss(real, Turn("likelihood", 0, 0.0)).terms["nll"] != evaluated
