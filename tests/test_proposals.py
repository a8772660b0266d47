from __future__ import annotations

import math

import pytest
import torch

from tests.policies import ENDING, FIXED, sentences
from tests.tables import TableGenerator
from textgan.errors import UserError
from textgan.proposals import ProposalConfig, cold_log_probs, mixture_log_probs, propose

CONFIG = ProposalConfig(temperature=0.6, top_p=0.8, warm=0.25)
every_world = pytest.mark.parametrize("spec", [ENDING, FIXED], ids=["ending", "fixed"])


def cold_by_hand(generator: TableGenerator, row: list[int], config: ProposalConfig) -> float:
    """log f of a sentence: at each place the words in order of probability until top_p is reached."""
    total, state = 0.0, torch.zeros(1, dtype=torch.int64)
    for token in row:
        if token == generator.spec.pad:
            break
        p = (generator.logits(state)[0] / config.temperature).softmax(0)
        kept, mass = [], 0.0
        for word in p.argsort(descending=True).tolist():
            if mass < config.top_p:
                kept.append(word)
                mass += p[word].item()
        if token not in kept:
            return -math.inf
        total += math.log(p[token].item() / mass)
        state = generator.advance(torch.tensor([token]), state)
    return total


@every_world
def test_cold_sentences_keep_to_the_nucleus_of_every_word(spec):
    generator = TableGenerator(spec)
    by_hand = [cold_by_hand(generator, row, CONFIG) for row in sentences(spec).tolist()]
    found = cold_log_probs(generator, sentences(spec), CONFIG)
    assert found.tolist() == pytest.approx(by_hand, abs=1e-5)
    assert found.isinf().any()


@every_world
@pytest.mark.parametrize("warm", [0.0, 0.25, 1.0])
def test_the_density_of_the_mixture_sums_to_one_and_is_that_of_its_parts(spec, warm):
    generator, every = TableGenerator(spec), sentences(spec)
    q = mixture_log_probs(generator, every, CONFIG, warm).exp()
    assert q.sum().item() == pytest.approx(1, abs=1e-5)
    f = cold_log_probs(generator, every, CONFIG).exp()
    torch.testing.assert_close(q, (warm * generator.probabilities() + (1 - warm) * f).to(q.dtype), rtol=1e-4, atol=1e-6)


@every_world
def test_sentences_are_drawn_with_the_density_that_they_are_said_to_have(spec):
    generator, every, n = TableGenerator(spec), sentences(spec), 20_000
    torch.manual_seed(0)
    tokens, log_q = propose(generator, spec, n, CONFIG)
    q = mixture_log_probs(generator, every, CONFIG, 0.25).exp().detach()
    rates = torch.stack([(tokens == row).all(1).to(q.dtype).mean() for row in every])
    assert ((rates - q).abs() <= 5 * (q * (1 - q) / n).sqrt() + 1e-6).all()
    place = {tuple(row): i for i, row in enumerate(every.tolist())}
    expected = torch.stack([q[place[tuple(row)]].log() for row in tokens[:100].tolist()])
    torch.testing.assert_close(log_q[:100], expected)


def test_the_first_sentences_are_warm_and_a_lone_one_is():
    generator, never_warm = TableGenerator(ENDING), ProposalConfig(temperature=1e-4, top_p=1.0, warm=0.0)
    tokens, log_q = propose(generator, ENDING, 1, CONFIG)
    torch.testing.assert_close(log_q, generator.log_probs(tokens).sum(1))
    cold = propose(generator, ENDING, 50, never_warm).tokens
    assert (cold == cold[0]).all()
    mixed = propose(generator, ENDING, 50, ProposalConfig(1e-4, 1.0, 0.5)).tokens
    assert (mixed[25:] == cold[0]).all()
    assert (mixed[:25] != cold[0]).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, "game.proposal.temperature is 0.0; it must be above 0"),
        ({"top_p": 1.5}, r"game.proposal.top_p is 1.5; it must be in \(0, 1\]"),
        ({"warm": 1.5}, r"game.proposal.warm is 1.5; it must be in \[0, 1\]"),
        ({"warm": 0.0}, r"game.proposal.warm is 0.0; with game.proposal.top_p of 0.9 it must be above 0"),
    ],
)
def test_a_proposal_that_cannot_say_every_sentence_is_refused(options, message):
    with pytest.raises(UserError, match=message):
        ProposalConfig(**options)
