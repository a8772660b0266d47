"""What makes CatGAN itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from tests.games.test_every_game import SPECS, Labelled
from tests.toys import assert_bitwise_equal
from textgan.data.batches import Batches
from textgan.game import Act, Turn
from textgan.games.catgan import TINY, CatGAN
from textgan.networks.modes import evaluating
from textgan.parts.text_game import Pretraining
from textgan.relaxation import relaxed_sample
from textgan.reproducibility import seed_everything
from textgan.trainer import Trainer, TrainerConfig

SPEC = SPECS["labelled"]["labelled"]
TURN = Turn("adversarial", 1, 0.5)
K = len(SPEC.categories)


def built(**changed) -> CatGAN:
    seed_everything(0)
    return CatGAN(dataclasses.replace(TINY, **changed), SPEC)


def batch(n: int):
    return Labelled(SPEC).take(torch.arange(n))


def votes(game: CatGAN, features: torch.Tensor, category: torch.Tensor) -> torch.Tensor:
    """Of each representation, the output of the sentence's category."""
    all_votes = game.opponent.network.output(features)  # (n, representations, K or 1)
    rows = torch.arange(len(category))
    return all_votes[rows, :, category if all_votes.shape[2] > 1 else 0]


@pytest.mark.parametrize("in_votes", [True, False])
def test_votes_are_compared_within_a_category_and_the_classes_losses_averaged(in_votes):
    game = built(categories_in_votes=in_votes)
    game.eval()
    real = batch(11)
    network = game.opponent.network
    seed_everything(5)
    loss = game._discriminate(real, TURN)
    seed_everything(5)
    fake = game._fakes(game.generator, real.category, TURN)
    of_real = votes(game, network.features(real.tokens), real.category)
    of_fake = votes(game, network.features_relaxed(fake.words, fake.lengths(SPEC)), real.category)
    on_real = on_fake = 0.0
    for k in range(K):
        r, f = of_real[real.category == k], of_fake[real.category == k]
        on_real += -F.logsigmoid(r - f.mean(0)).mean() / K
        on_fake += -torch.log(1 - torch.sigmoid(f - r.mean(0))).mean() / K
    torch.testing.assert_close(loss.terms["real"], on_real)
    torch.testing.assert_close(loss.terms["fake"], on_fake)


def test_children_differ_by_objective_and_temperature():
    game = built(mutations=("relativistic_average", "relativistic"), shifts=(0, 1))
    game.eval()
    game._bear(TURN)
    assert game.kinds == [(m, s) for m in ("relativistic_average", "relativistic") for s in (0, 1)]
    real = batch(9)
    for i, (mutation, shift) in enumerate(game.kinds):
        seed_everything(5)
        loss = game._growth(i).loss(real, TURN)
        seed_everything(5)
        fake = game._fakes(game.population[i], real.category, TURN, shift)
        found = []
        for r, f in game._votes(real, fake):
            if mutation == "relativistic":
                found.append(-F.logsigmoid(f - r).mean())
            else:
                found.append(-F.logsigmoid(f - r.mean(0)).mean() - F.logsigmoid(f.mean(0) - r).mean())
        torch.testing.assert_close(loss.terms["adversarial"], sum(found) / K)


def test_the_temperature_follows_the_schedule_ahead_of_it_or_behind(monkeypatch):
    game = built(beta=16.0, rounds=4)
    asked = []

    def spy(policy, spec, n, temperature, feedback):
        asked.append((temperature, feedback))
        return relaxed_sample(policy, spec, n, temperature, feedback)

    monkeypatch.setattr("textgan.games.catgan.relaxed_sample", spy)
    for shift in (0, 1, -1, -9, 9):
        game._fakes(game.generator, torch.zeros(2, dtype=torch.int64), TURN, shift)
    progress = [0.5, 0.75, 0.25, 0.0, 1.0]
    assert asked == [(pytest.approx(1 / 16**p), "hard") for p in progress]


def test_fitness_is_quality_plus_weighted_cross_entropy_of_own_samples():
    for weight in (0.0, 0.7):
        game = built(diversity=weight)
        game.eval()
        game._growth(0).loss(batch(32), TURN)
        seed_everything(5)
        found = game._fitness(0, TURN)
        seed_everything(5)
        real, child = batch(32), game.population[0]
        fake = game._fakes(child, real.category, TURN, game.kinds[0][1])
        quality = sum((f - r.mean(0)).sigmoid().mean() for r, f in game._votes(real, fake)) / K
        written = fake.tokens != SPEC.pad
        log_p = child.log_probs(fake.tokens, condition=F.one_hot(real.category, K).float()).sum()
        torch.testing.assert_close(found, quality - weight * log_p / written.sum())


@pytest.mark.parametrize("fittest", [0, 1])
def test_the_fittest_child_becomes_the_generator_and_the_parent_of_the_next_ones(fittest):
    game = built()
    before = {key: value.clone() for key, value in game.generator.state_dict().items()}
    game._bear(TURN)
    assert_bitwise_equal(before, game.population[0].state_dict())
    with torch.no_grad():
        for i, child in enumerate(game.population):
            for parameter in child.parameters():
                parameter += i + 1
    game._fitness = lambda i, turn: torch.tensor(float(i == fittest))
    game._select(TURN)
    assert_bitwise_equal(game.generator.state_dict(), game.population[fittest].state_dict())
    game._bear(TURN)
    assert_bitwise_equal(game.generator.state_dict(), game.population[1 - fittest].state_dict())


def test_a_round_bears_children_lets_them_grow_selects_and_then_the_discriminator_learns():
    stage = built(mutations=("hinge", "relativistic"), shifts=(-1, 0, 1)).stages()[1]
    players = [None if isinstance(move, Act) else move.player for move in stage.moves]
    assert players == [None, *[f"child_{i}" for i in range(6)], None, "discriminator"]


def test_the_condition_is_the_category_at_every_word():
    game = built().eval()
    real = batch(9)
    nll = game.likelihood(real, TURN).terms["nll"]
    total = torch.zeros(())
    with evaluating(game.generator):
        for row, k in zip(real.tokens, real.category, strict=True):
            policy = game.generator.given(F.one_hot(k, K).float()[None])
            state = policy.start(1)
            for token in row[row != SPEC.pad]:
                total += policy.logits(state).log_softmax(1)[0, token]
                state = policy.advance(token[None], state)
    torch.testing.assert_close(nll, -total / (real.tokens != SPEC.pad).sum())


def test_after_likelihood_each_category_writes_its_own_words():
    game = built(pretraining=Pretraining(epochs=60, learning_rate=1e-2), rounds=0)
    Trainer(game, Batches(Labelled(SPEC), 0), TrainerConfig(device="cpu")).play()
    for k in range(K):
        words = game.sample(100, category=k)
        words = words[words >= 4]
        assert ((words - 4) // 2 == k).float().mean() > 0.9


def test_under_running_averages_the_generator_is_the_fittest_child_as_it_was_selected():
    game = built(rounds=3)
    trainer = Trainer(game, Batches(Labelled(SPEC), 0), TrainerConfig(device="cpu", ema=0.9))
    trainer.play()
    selected = {key: value.clone() for key, value in game.generator.state_dict().items()}
    children = {key: value.clone() for key, value in game.population.state_dict().items()}
    with trainer.averaged():
        assert_bitwise_equal(selected, game.generator.state_dict())
        averaged = game.population.state_dict()
        assert any(not torch.equal(children[key], averaged[key]) for key in children)
