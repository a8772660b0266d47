from __future__ import annotations

import copy

import pytest
import torch

from tests.policies import ENDING, FIXED, sentences
from textgan.networks.tied_lstm import PartlyFrozenEmbedding, TiedLSTMGenerator
from textgan.reproducibility import seed_everything

SPECS = pytest.mark.parametrize("spec", [FIXED, ENDING], ids=["fixed", "ending"])


def _generator(spec, **options) -> TiedLSTMGenerator:
    seed_everything(0)
    return TiedLSTMGenerator(spec, **{"embedding": 3, "frozen": 4, "hidden": 6, "layers": 2, **options}).eval()


def test_an_embedding_is_its_frozen_part_beside_its_learned_part():
    embedding = PartlyFrozenEmbedding(5, 4, 3)
    tokens = torch.tensor([[1, 4, 0]])
    torch.testing.assert_close(embedding(tokens), embedding.weight[tokens])
    assert torch.equal(embedding.weight[:, :4], embedding.frozen)
    assert [name for name, _ in embedding.named_parameters()] == ["learned"]
    assert set(embedding.state_dict()) == {"frozen", "learned"}


@SPECS
def test_probabilities_of_all_sentences_sum_to_one(spec):
    generator = _generator(spec)
    rows = sentences(spec)
    assert generator.log_probs(rows).sum(1).exp().sum().item() == pytest.approx(1, abs=1e-5)


@SPECS
def test_reading_token_by_token_gives_the_outputs_of_whole_rows(spec):
    generator = _generator(spec)
    rows = sentences(spec)
    outputs = generator.outputs(rows.clamp(min=0))
    state = generator.start(len(rows))
    for t in range(spec.length):
        torch.testing.assert_close(generator.output_of(state), outputs[:, t])
        torch.testing.assert_close(generator.logits(state).detach(), generator.vocabulary(outputs[:, t]).detach())
        with torch.no_grad():
            torch.testing.assert_close(generator.logits(state), generator.vocabulary(outputs[:, t]))
        state = generator.advance(rows[:, t].clamp(min=0), state)


def test_the_output_layer_is_the_vectors_that_are_read():
    generator = _generator(FIXED)
    state = generator.start(2)
    by_hand = (generator.projection(state[-1][0]) @ generator.embedding.weight.t()) + generator.output.bias
    torch.testing.assert_close(generator.logits(state), by_hand)
    names = [name for name, _ in generator.named_parameters()]
    assert [name for name in names if "embedding" in name or "output" in name] == ["embedding.learned", "output.bias"]


def test_a_copy_is_tied_to_its_own_vectors():
    generator = _generator(FIXED)
    twin = copy.deepcopy(generator)
    with torch.no_grad():
        twin.embedding.learned.add_(1)
    assert torch.equal(twin.output.weight, twin.embedding.weight)
    assert torch.equal(generator.output.weight, generator.embedding.weight)
    assert not torch.equal(twin.output.weight, generator.output.weight)


def test_a_condition_is_added_to_every_input():
    generator, rows = _generator(FIXED, condition=2), sentences(FIXED)
    given = torch.randn(1, 2)
    added = generator.condition(given)[:, None]
    bos = rows.new_full((len(rows), 1), FIXED.bos)
    by_hand = generator.outputs_embedded(generator.embedding(torch.cat([bos, rows[:, :-1]], 1)) + added)
    torch.testing.assert_close(generator.outputs(rows, given.expand(len(rows), -1)), by_hand)
    state = generator.start(len(rows), given.expand(len(rows), -1))
    for t in range(FIXED.length):
        torch.testing.assert_close(generator.output_of(state.state), by_hand[:, t])
        state = generator.advance(rows[:, t], state)


def test_a_mixture_is_read_as_the_mean_of_its_words():
    generator = _generator(FIXED)
    words = torch.tensor([[0.25, 0.75, 0.0]])
    reached = generator.advance_relaxed(words, generator.start(1))
    mean = 0.25 * generator.embedding.weight[0] + 0.75 * generator.embedding.weight[1]
    torch.testing.assert_close(reached, generator.read(mean[None], generator.start(1)))
