"""What makes ARAML itself: the distribution near the data, and the weights."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter

import pytest
import torch

from tests.games.test_every_game import SPECS, _sentences
from tests.policies import ENDING, FIXED, sentences
from tests.tables import TableGenerator
from textgan.game import Turn, walk
from textgan.games.araml import ARAML, TINY, payoff

TURN = Turn("adversarial", 0, 0.0)


def world(spec, **changes) -> ARAML:
    torch.manual_seed(0)
    return ARAML(dataclasses.replace(TINY, **changes), spec).eval()


@pytest.mark.parametrize("words", [2, 5, 5000])
@pytest.mark.parametrize("tau", [0.5, 0.85, 2.0])
def test_the_number_of_replaced_words_has_the_payoff_distribution(words, tau):
    table = payoff(6, words, tau)
    for length in range(7):
        counts = [
            math.comb(length, e) * math.exp(-e / tau) * (words - 1) ** (e - e / tau) if e <= length else 0.0
            for e in range(7)
        ]
        assert table[length].tolist() == pytest.approx([count / sum(counts) for count in counts], rel=1e-4)


def test_uniform_words_give_each_sentence_its_payoff():
    """exp(-e (1 + log(V - 1)) / tau) up to the sum, for a sentence that differs in e of three places; V = 3."""
    game = world(FIXED, neighbours=4000, tau=1.5, words="uniform")
    real = torch.tensor([[0, 1, 2]])
    drawn = Counter(map(tuple, game.perturb(real).tolist()))
    every = sentences(FIXED)
    mass = (-(every != real).sum(1) * (1 + math.log(2)) / 1.5).exp()
    for row, p in zip(every.tolist(), (mass / mass.sum()).tolist(), strict=True):
        assert drawn[tuple(row)] / 4000 == pytest.approx(p, abs=5 * math.sqrt(p * (1 - p) / 4000) + 1e-3)


def test_the_language_model_chooses_words_by_what_stands_before_them():
    game = world(FIXED, neighbours=6000, tau=5.0)
    game.language_model = TableGenerator(FIXED, seed=3)
    real = torch.tensor([[0, 1, 2]])
    rows = game.perturb(real)
    log_p = game.language_model.vocabulary(game.language_model.outputs(real)).log_softmax(-1)[0]
    for place, word in enumerate((0, 1, 2)):
        replaced = rows[rows[:, place] != word][:, place]
        others = [v for v in range(3) if v != word]
        p = log_p[place, others].softmax(0)[0].item()
        rate = (replaced == others[0]).double().mean().item()
        assert rate == pytest.approx(p, abs=5 * math.sqrt(p * (1 - p) / len(replaced)))


@pytest.mark.parametrize("spec", SPECS["text"].values(), ids=SPECS["text"])
@pytest.mark.parametrize("words", ["model", "uniform"])
def test_neighbours_have_the_lengths_of_their_sentences_and_one_is_the_sentence(spec, words):
    game, real = world(spec, neighbours=4, tau=3.0, words=words), _sentences(spec)
    rows = game.perturb(real)
    assert rows.shape == (4 * len(real), spec.length)
    originals = real.repeat_interleave(4, 0)
    fixed = (originals == spec.pad) | (originals == spec.eos)
    assert torch.equal(rows[fixed], originals[fixed])
    assert not any((rows[~fixed] == mark).any() for mark in {*spec.never, spec.eos})
    assert (rows == originals).all(1).view(-1, 4).any(1).all()
    assert 0 < (rows != originals).sum() < (~fixed).sum()


def test_a_sentence_without_words_stays():
    game = world(ENDING, neighbours=3)
    assert game.perturb(torch.tensor([[2, 0, 0]])).tolist() == [[2, 0, 0]] * 3


def test_weights_are_exponentials_of_the_reward_over_the_whole_batch():
    game, real = world(ENDING, alpha=0.3, neighbours=3), torch.tensor([[3, 4, 2], [4, 2, 0]])
    rows = torch.tensor([[3, 4, 2], [4, 4, 2], [3, 3, 2], [4, 2, 0], [3, 2, 0], [4, 2, 0]])
    game.perturb = lambda batch: rows
    weights = [math.exp(reward / 0.3) for reward in game.opponent.reward(rows).tolist()]
    nll = -game.generator.log_probs(rows).sum(1)
    by_hand = sum(w * one for w, one in zip(weights, nll, strict=True)) / sum(weights)
    loss = game._augmented(real, TURN)
    torch.testing.assert_close(loss.terms["weighted_nll"], by_hand)
    assert loss.info["replaced"].item() == pytest.approx(3 / 6)
    assert loss.info["largest_weight"].item() == pytest.approx(6 * max(weights) / sum(weights), rel=1e-5)


def test_no_gradient_flows_through_the_reward():
    game, real = world(ENDING), torch.tensor([[3, 4, 2], [4, 2, 0]])
    game._augmented(real, TURN).terms["weighted_nll"].backward()
    assert all(p.grad is None for p in game.opponent.parameters())
    assert all(p.grad is None for p in game.language_model.parameters())


def test_a_constant_reward_is_likelihood_of_the_neighbours():
    game, real = world(ENDING, reward="constant"), torch.tensor([[3, 4, 2], [4, 2, 0]])
    game.perturb = lambda batch: batch.repeat_interleave(3, 0)
    expected = -game.generator.log_probs(real).sum(1).mean()
    torch.testing.assert_close(game._augmented(real, TURN).terms["weighted_nll"], expected)


def test_the_distribution_is_that_of_the_generator_as_the_game_begins_and_stays_so():
    game = world(ENDING)
    with torch.no_grad():
        game.generator.output.bias += 1
    adversarial = game.stages()[-1]
    start = adversarial.moves[0]
    start.do(TURN)
    assert torch.equal(game.language_model.output.bias, game.generator.output.bias)
    made = [place.round for place in walk([adversarial]) if place.move == 0]
    assert adversarial.rounds > 1
    assert made == [0]
