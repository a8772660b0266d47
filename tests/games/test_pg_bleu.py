"""What makes PG-BLEU itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from tests.games.test_every_game import SPECS, _sentences
from textgan.game import Act, Move, Turn
from textgan.games.pg_bleu import PGBLEU, TINY
from textgan.reproducibility import seed_everything

VARIABLE = SPECS["text"]["variable length"]
TURN = Turn("policy_gradient", 0, 0.0)
every_spec = pytest.mark.parametrize("spec", SPECS["text"].values(), ids=SPECS["text"])


def _game(spec=VARIABLE, shown: int = 30, **changes) -> PGBLEU:
    seed_everything(0)
    game = PGBLEU(dataclasses.replace(TINY, **changes), spec)
    game.likelihood(_sentences(spec)[:shown], TURN)
    return game


def _words(row: torch.Tensor, spec) -> list[int]:
    """What is before the end mark."""
    return [token for token in row.tolist() if token not in (spec.pad, spec.eos)]


def _nltk(row: torch.Tensor, references: list[list[int]], spec, order: int) -> float:
    weights = [1 / order] * order
    return sentence_bleu(references, _words(row, spec), weights, SmoothingFunction().method1)


@every_spec
@pytest.mark.parametrize("order", [2, 3])
def test_the_reward_of_a_sentence_is_its_bleu_against_the_references_without_end_marks(spec, order):
    game = _game(spec, order=order)
    tokens = game.sample(40)
    references = [_words(row, spec) for row in _sentences(spec)[:30]]
    expected = torch.tensor([_nltk(row, references, spec, order) for row in tokens])
    assert len({round(x, 4) for x in expected.tolist()}) > 5
    torch.testing.assert_close(game.bleu(tokens), expected)


@every_spec
def test_the_last_word_is_worth_the_sentence_and_the_others_their_completions(spec):
    game = _game(spec, rollouts=200)
    tokens = game.sample(3)
    rewards = game._rewards(tokens)
    last = (tokens != spec.pad).sum(1) - 1
    torch.testing.assert_close(rewards[torch.arange(3), last], game.bleu(tokens))
    many = game.sample(4000)
    many = many[many[:, 0] == tokens[0, 0]]
    if last[0] > 0 and len(many) > 100:
        of_prefix = game.bleu(many)
        assert rewards[0, 0].item() == pytest.approx(of_prefix.mean().item(), abs=5 * of_prefix.std().item() / 200**0.5)
    assert (rewards[tokens == spec.pad] == 0).all()


def test_references_are_the_first_sentences_shown_and_no_more_than_asked_for():
    real = _sentences(VARIABLE)
    game = _game(shown=12, references=20)
    assert game.known == 12
    game._reinforce(real[12:32], TURN)
    game.likelihood(real[32:], TURN)
    assert game.known == 20
    assert torch.equal(game.references.long(), real[:20])
    assert len(PGBLEU(TINY, VARIABLE).references) == VARIABLE.train_size


def test_new_references_count_at_once():
    game = _game(shown=5)
    unseen = _sentences(VARIABLE)[6:7]
    before = game.bleu(unseen)
    game._remember(unseen)
    assert game.bleu(unseen) > before
    assert game.bleu(unseen) == 1 or len(_words(unseen[0], VARIABLE)) < 3


def test_references_of_another_state_are_counted_anew():
    game, other = _game(shown=30), _game(shown=0)
    other.likelihood(_sentences(VARIABLE).flip(0)[:30], TURN)
    tokens = game.sample(20)
    expected = other.bleu(tokens)
    assert not torch.equal(game.bleu(tokens), expected)
    game.load_state_dict(other.state_dict())
    assert torch.equal(game.bleu(tokens), expected)


def test_a_constant_reward_is_one_at_every_word():
    game = _game(reward="constant")
    tokens = game.sample(5)
    assert torch.equal(game._rewards(tokens), (tokens != VARIABLE.pad).float())


def test_the_rollout_policy_becomes_the_generator_before_the_first_step_only_and_follows_each():
    game = _game(rounds=3)
    start, reinforce = game.stages()[1].moves
    assert isinstance(start, Act)
    assert isinstance(reinforce, Move)
    assert [r for r in range(3) if r % start.every == 0] == [0]
    with torch.no_grad():
        game.generator.output.weight += 1
    start.do(TURN)
    assert torch.equal(game.rollouts.network.output.weight, game.generator.output.weight)
    with torch.no_grad():
        game.generator.output.weight += 1
    reinforce.after()
    torch.testing.assert_close(game.rollouts.network.output.weight, game.generator.output.weight)  # rate 0


@every_spec
def test_policy_gradient_raises_bleu(spec):
    from textgan.data.batches import Batches
    from textgan.data.oracle import OracleSplit
    from textgan.trainer import Trainer, TrainerConfig

    scores = []
    for rounds in (0, 40):
        seed_everything(0)
        game = PGBLEU(dataclasses.replace(TINY, rounds=rounds, learning_rate=1e-2), spec)
        Trainer(game, Batches(OracleSplit(_sentences(spec)), 0), TrainerConfig(device="cpu")).play()
        scores.append(game.bleu(game.sample(500)).mean())
    assert scores[1] > scores[0] + 0.1
