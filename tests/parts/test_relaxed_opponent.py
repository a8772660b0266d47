from __future__ import annotations

import pytest
import torch

from tests.games.test_every_game import SPECS, _sentences
from textgan.game import Turn
from textgan.losses import OBJECTIVES
from textgan.networks.modes import evaluating
from textgan.parts.relaxed_opponent import RelaxedOpponent, RelaxedOpponentConfig
from textgan.relaxation import Relaxed, one_hot
from textgan.reproducibility import seed_everything

SPEC = SPECS["text"]["variable length"]


def _opponent(spec=SPEC, **options) -> RelaxedOpponent:
    seed_everything(0)
    sizes = {"widths": (1, 2), "filters": (6, 6), "embedding": 8, "representations": 4, "hidden": 4, "layers": 1}
    return RelaxedOpponent(RelaxedOpponentConfig(**{**sizes, **options}), spec)


def _hard(tokens, spec=SPEC) -> Relaxed:
    return Relaxed(one_hot(tokens, spec), tokens)


@pytest.mark.parametrize("kind", ["cnn", "rnn", "multi", "transformer"])
@pytest.mark.parametrize("spec", SPECS["text"].values(), ids=SPECS["text"])
def test_one_hot_fakes_are_judged_as_the_sentences_that_they_are(kind, spec):
    opponent = _opponent(spec, kind=kind)
    sentences = _sentences(spec)
    real, fake = sentences[:8], sentences[8:16]
    with evaluating(opponent.network):
        loss = opponent.loss(real, _hard(fake, spec))
        votes = [opponent.network.votes(opponent.network.features(tokens)) for tokens in (real, fake)]
    on_real, on_fake = OBJECTIVES["standard"].discriminator(*votes)
    torch.testing.assert_close(loss.terms["real"], on_real)
    torch.testing.assert_close(loss.terms["fake"], on_fake)


def test_the_relativistic_loss_is_taken_of_each_vote():
    """64 votes of one sentence are 64 games; the mean of the votes first would be another loss."""
    opponent = _opponent(kind="multi", loss="relativistic")
    real, fake = _sentences(SPEC)[:8], _sentences(SPEC)[8:16]
    with evaluating(opponent.network), torch.no_grad():
        votes = [opponent.network.votes(opponent.network.features(tokens)) * 1 for tokens in (real, fake)]
        assert votes[0].shape == (8, 4)
        by_hand = sum(
            -torch.sigmoid(votes[1][b, v] - votes[0][b, v]).log() for b in range(8) for v in range(4)
        ) / 32  # fmt: skip
        torch.testing.assert_close(opponent.generator_loss(real, _hard(fake)), by_hand)
        loss = opponent.loss(real, _hard(fake))
        by_hand = sum(
            -torch.sigmoid(votes[0][b, v] - votes[1][b, v]).log() for b in range(8) for v in range(4)
        ) / 32  # fmt: skip
        torch.testing.assert_close(loss.terms["real"] + loss.terms["fake"], by_hand)


def test_dropout_is_off_when_it_judges_for_the_generator_and_on_when_it_learns():
    opponent = _opponent(dropout=0.9)
    real, fake = _sentences(SPEC)[:8], _hard(_sentences(SPEC)[8:16])
    assert opponent.generator_loss(real, fake) == opponent.generator_loss(real, fake)
    assert opponent.network.training
    assert opponent.loss(real, fake).terms["real"] != opponent.loss(real, fake).terms["real"]


def test_the_gradient_reaches_the_fakes_for_the_generator_but_not_in_its_own_steps():
    opponent = _opponent()
    real, fake = _sentences(SPEC)[:8], _hard(_sentences(SPEC)[8:16])
    words = fake.words.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(opponent.generator_loss(real, fake._replace(words=words)), words)
    written = fake.tokens != SPEC.pad
    assert gradient[written].abs().sum() > 0

    def draw(n, turn):
        assert not torch.is_grad_enabled()
        assert (n, turn.progress) == (8, 0.25)
        return fake

    opponent.move(draw).loss(real, Turn("adversarial", 1, 0.25))


@pytest.mark.parametrize("loss", ["relativistic", "relativistic_average", "wasserstein"])
def test_a_bias_that_the_objective_does_not_see_is_not_learned(loss):
    opponent = _opponent(loss=loss)
    real, fake = _sentences(SPEC)[:8], _hard(_sentences(SPEC)[8:16])
    sum(opponent.loss(real, fake).terms.values()).backward()
    assert opponent.network.output.bias.grad.abs().sum() < 1e-6
    learning = {id(p) for p in opponent.optimizer()["discriminator"].param_groups[0]["params"]}
    everything = {id(p) for p in opponent.network.parameters()}
    assert everything - learning == {id(opponent.network.output.bias)}
