from __future__ import annotations

import pytest
import torch

from tests.small_stories import SPEC, contexts, endings
from textgan.networks.hierarchical import HierarchicalDiscriminator


def network(matching: bool = True, dropout: float = 0.0) -> HierarchicalDiscriminator:
    torch.manual_seed(0)
    return HierarchicalDiscriminator(SPEC, embedding=5, hidden=8, dropout=dropout, matching=matching)


either = pytest.mark.parametrize("matching", [True, False])


def by_hand(network: HierarchicalDiscriminator, context: torch.Tensor, ending: torch.Tensor) -> torch.Tensor:
    """One story, one sentence at a time, no padding anywhere."""

    def embedded(sentence: torch.Tensor) -> torch.Tensor:
        return network.embedding(sentence[sentence != SPEC.pad])

    sentences = [*map(embedded, context), embedded(ending)]
    if network.match is not None:
        seen, words = torch.cat(sentences[:-1]), sentences[-1]
        matched = []
        for word in words:
            found = (network.sharpness * (seen @ word)).softmax(0) @ seen
            matched.append(word + network.match(torch.cat([word, found, word * found, (word - found).abs()])).relu())
        sentences[-1] = torch.stack(matched)
    vectors = []
    for words in sentences:
        outputs = network.words(words[None], torch.tensor([len(words)]))
        vectors.append(outputs.max(1).values)
    _, (h, _) = network.sentences(torch.stack(vectors, 1))
    return network.output(h[0]).squeeze()


@either
def test_the_score_is_that_of_the_sentences_read_one_by_one(matching):
    discriminator, context, ending = network(matching), contexts(6), endings(6)
    found = discriminator(discriminator.read(context), ending)
    for row in range(6):
        torch.testing.assert_close(found[row], by_hand(discriminator, context[row], ending[row]))


@either
def test_a_context_read_once_serves_all_its_endings(matching):
    discriminator, context, ending = network(matching), contexts(2), endings(6)
    story = discriminator.read(context).times(3)
    assert torch.equal(story.h, discriminator.read(context).of(torch.tensor([0, 0, 0, 1, 1, 1])).h)
    expected = discriminator(discriminator.read(context.repeat_interleave(3, 0)), ending)
    torch.testing.assert_close(discriminator(story, ending), expected)


@either
def test_every_sentence_and_every_word_counts(matching):
    discriminator, context, ending = network(matching), contexts(1), endings(1)
    score = discriminator(discriminator.read(context), ending)
    for place in range(SPEC.sentences):
        other = context.clone()
        other[0, place, 0] = 4 + (other[0, place, 0] - 3) % 10
        assert discriminator(discriminator.read(other), ending) != score
    other = ending.clone()
    other[0, 0] = 4 + (other[0, 0] - 3) % 10
    assert discriminator(discriminator.read(context), other) != score


@either
def test_gradients_reach_every_parameter(matching):
    discriminator = network(matching, dropout=0.1)
    discriminator(discriminator.read(contexts(8)), endings(8)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in discriminator.parameters())
