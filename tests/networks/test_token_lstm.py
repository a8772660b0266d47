from __future__ import annotations

import math

import pytest
import torch

from tests.games.test_every_game import SPECS, _sentences
from textgan.networks.token_lstm import TokenLSTM, waves
from textgan.reproducibility import seed_everything

SPEC = SPECS["text"]["variable length"]


def _network(**options) -> TokenLSTM:
    seed_everything(0)
    return TokenLSTM(SPEC, **{"embedding": 4, "frozen": 4, "hidden": 8, "positions": 4, **options})


def test_a_score_knows_its_token_and_those_before_it_and_none_after():
    network = _network()
    tokens = torch.randint(4, SPEC.vocab_size, (1, SPEC.length))
    before = network(tokens)
    for place in range(SPEC.length):
        changed = tokens.clone()
        changed[0, place] = 4 + (changed[0, place] - 3) % (SPEC.vocab_size - 4)
        after = network(changed)
        assert torch.equal(after[0, :place], before[0, :place])
        assert (after[0, place:] != before[0, place:]).all()


def test_scores_do_not_depend_on_how_far_a_batch_is_padded():
    network = _network()
    rows = _sentences(SPEC)[:10]
    short = int((rows != SPEC.pad).sum(1).min())
    torch.testing.assert_close(network(rows)[:, :short], network(rows[:, :short]))


def test_the_same_word_scores_otherwise_at_another_place_and_with_dropout():
    network = _network()
    scores = network(torch.full((1, SPEC.length), 5))
    assert len(scores.unique()) == SPEC.length
    thinned = _network(dropout=0.5)
    tokens = torch.full((1, SPEC.length), 5)
    assert not torch.equal(thinned(tokens), thinned(tokens))
    thinned.eval()
    assert torch.equal(thinned(tokens), thinned(tokens))


def test_waves_are_sines_and_cosines_of_the_place():
    found = waves(5, 4)
    assert found.shape == (5, 4)
    assert found[3].tolist() == pytest.approx([math.sin(3), math.sin(3e-4), math.cos(3), math.cos(3e-4)], abs=1e-6)
