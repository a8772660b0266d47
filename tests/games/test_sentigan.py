"""What makes SentiGAN itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tests.games.test_every_game import SPECS, Labelled
from tests.policies import ENDING, sentences
from textgan.data.batches import Batches
from textgan.data.spec import LabelledSpec
from textgan.errors import UserError
from textgan.game import Turn
from textgan.games.sentigan import TINY, Config, SentiGAN
from textgan.networks.modes import evaluating
from textgan.parts.opponent import OpponentConfig
from textgan.parts.text_game import Pretraining
from textgan.reproducibility import seed_everything
from textgan.trainer import Trainer, TrainerConfig

SPEC = SPECS["labelled"]["labelled"]
TURN = Turn("adversarial", 0, 0.0)
K = len(SPEC.categories)


def built(spec: LabelledSpec = SPEC, **changed) -> SentiGAN:
    seed_everything(0)
    game = SentiGAN(dataclasses.replace(TINY, **changed), spec)
    game.opponent.refill(game.sample)
    return game


def batch(n: int):
    return Labelled(SPEC).take(torch.arange(n))


def test_a_generator_minimises_the_penalty_of_its_own_class_times_the_probability_itself():
    game = built()
    seed_everything(5)
    loss = game._evade(batch(12), TURN)
    seed_everything(5)
    for k, name in enumerate(SPEC.categories):
        tokens = game.sample(4, category=k)
        penalties = game._penalties(tokens, k)
        with evaluating(game.generators):
            p = game.generators[k].log_probs(tokens).exp()
        by_hand = sum(
            (p[b, t] * penalties[b, t]).item() for b in range(4) for t in range(SPEC.length) if tokens[b, t] != SPEC.pad
        )
        assert loss.terms[f"penalty {name}"].item() == pytest.approx(by_hand / 4, rel=1e-5)


def test_its_gradient_is_that_of_p_and_not_of_log_p():
    game = built(reward="constant")
    seed_everything(5)
    sum(game._evade(batch(12), TURN).terms.values()).backward()
    found = game.generators[0].output.bias.grad.clone()
    game.zero_grad()
    seed_everything(5)
    tokens = game.sample(4, category=0)
    mask = tokens != SPEC.pad
    with evaluating(game.generators):
        log_p = game.generators[0].log_probs(tokens)
    (log_p * log_p.exp().detach() * mask).sum().div(4).backward()  # grad p = p grad log p
    torch.testing.assert_close(found, game.generators[0].output.bias.grad)


@pytest.mark.parametrize("k", range(K))
def test_the_last_words_penalty_is_one_minus_the_probability_of_being_real_and_of_its_own_class(k):
    game = built()
    tokens = game.sample(6, category=k)
    last = (tokens != SPEC.pad).sum(1) - 1
    with torch.no_grad(), evaluating(game.opponent.network):
        classes = game.opponent.network(tokens).softmax(1)
    assert classes.shape == (6, K + 1)
    found = game._penalties(tokens, k)
    torch.testing.assert_close(found[torch.arange(6), last], 1 - classes[:, k])
    assert (found[tokens == SPEC.pad] == 0).all()


def test_an_earlier_words_penalty_is_that_of_what_its_own_generator_may_go_on_with():
    """On a world whose sentences can all be written down, and no generator is like another."""
    spec = LabelledSpec(**dataclasses.asdict(ENDING), categories=("a", "b"))
    game = built(spec, rollouts=4000, generator=dataclasses.replace(TINY.generator, init_std=1.0))
    game.eval()
    world = sentences(ENDING)
    sentence = torch.tensor([[3, 4, 2]])
    for k in range(2):
        with torch.no_grad():
            p = game.generators[k].log_probs(world).sum(1).exp()
            penalty = 1 - game.opponent.network(world).softmax(1)[:, k]
        found = game._penalties(sentence, k)
        for t in range(2):
            after = (world[:, : t + 1] == sentence[:, : t + 1]).all(1)
            exact = (p * penalty)[after].sum() / p[after].sum()
            assert found[0, t].item() == pytest.approx(exact.item(), abs=0.01)


def test_each_generator_learns_the_sentences_of_its_own_category():
    game = built().eval()
    real = batch(10)
    total = sum(
        game.generators[k].log_probs(tokens[None]).sum().item()
        for tokens, k in zip(real.tokens, real.category.tolist(), strict=True)
    )
    nll = game.likelihood(real, TURN).terms["nll"]
    assert nll.item() == pytest.approx(-total / int((real.tokens != SPEC.pad).sum()), rel=1e-5)
    one = Labelled(SPEC).take(torch.arange(0, 9, K))  # of category 0 alone
    game.likelihood(one, TURN).terms["nll"].backward()
    assert game.generators[0].output.bias.grad is not None
    assert game.generators[1].output.bias.grad is None


def test_the_discriminators_loss_is_half_of_each_cross_entropy_and_the_output_layers_norm():
    game = built()
    game.eval()
    real = batch(8)
    fake = game.opponent.pool.items[:8].long()
    loss = game.opponent.loss(real, TURN)
    of_real, of_fake = (game.opponent.network(tokens).log_softmax(1) for tokens in (real.tokens, fake))
    torch.testing.assert_close(loss.terms["real"], -of_real[torch.arange(8), real.category].mean() / 2)
    torch.testing.assert_close(loss.terms["fake"], -of_fake[:, K].mean() / 2)
    torch.testing.assert_close(loss.terms["l2"], 0.2 * game.opponent.network.output_penalty())


def test_after_likelihood_each_category_writes_its_own_words():
    config = dataclasses.replace(
        TINY, pretraining=Pretraining(epochs=60, learning_rate=1e-2), rounds=0, discriminator=OpponentConfig(rounds=0)
    )
    seed_everything(0)
    game = SentiGAN(config, SPEC)
    Trainer(game, Batches(Labelled(SPEC), 0), TrainerConfig(device="cpu")).play()
    for k in range(K):
        words = game.sample(100, category=k)
        words = words[words >= 4]
        assert ((words - 4) // 2 == k).float().mean() > 0.9


def test_a_constant_reward_is_a_penalty_of_one_at_every_word():
    game = built(reward="constant")
    tokens = game.sample(5)
    assert torch.equal(game._penalties(tokens, 0), (tokens != SPEC.pad).float())


def test_another_loss_of_the_discriminator_is_refused():
    with pytest.raises(UserError, match=r"game\.discriminator\.loss is 'hinge'; it must be standard"):
        Config(discriminator=OpponentConfig(loss="hinge"))
