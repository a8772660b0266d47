from __future__ import annotations

import math

import pytest
import torch

from tests.policies import ENDING, FIXED, sentences
from tests.tables import TableGenerator
from textgan.errors import UserError
from textgan.parts.proposals import ProposalConfig, cold_log_probs, effective_share, proposal_log_probs, propose

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
    found = cold_log_probs(generator, sentences(spec), CONFIG).sum(1)
    assert found.tolist() == pytest.approx(by_hand, abs=1e-5)
    assert found.isinf().any()


@every_world
@pytest.mark.parametrize("warm", [0.0, 0.25, 1.0])
def test_the_density_of_the_mixture_sums_to_one_and_is_that_of_its_parts(spec, warm):
    generator, every = TableGenerator(spec), sentences(spec)
    words = proposal_log_probs(generator, every, CONFIG, warm)
    assert words[every == spec.pad].eq(0).all()
    q = words.sum(1).exp()
    assert q.sum().item() == pytest.approx(1, abs=1e-5)
    f = cold_log_probs(generator, every, CONFIG).sum(1).exp()
    torch.testing.assert_close(q, (warm * generator.probabilities() + (1 - warm) * f).to(q.dtype), rtol=1e-4, atol=1e-6)


@every_world
def test_sentences_are_drawn_with_the_density_that_they_are_said_to_have(spec):
    generator, every, n = TableGenerator(spec), sentences(spec), 20_000
    torch.manual_seed(0)
    tokens, log_q = propose(generator, spec, n, CONFIG)
    q = proposal_log_probs(generator, every, CONFIG, 0.25).sum(1).exp().detach()
    rates = torch.stack([(tokens == row).all(1).to(q.dtype).mean() for row in every])
    assert ((rates - q).abs() <= 5 * (q * (1 - q) / n).sqrt() + 1e-6).all()
    place = {tuple(row): i for i, row in enumerate(every.tolist())}
    expected = torch.stack([q[place[tuple(row)]].log() for row in tokens[:100].tolist()])
    torch.testing.assert_close(log_q[:100].sum(1), expected, rtol=1e-4, atol=1e-5)


@every_world
def test_a_word_of_the_mixture_is_as_probable_as_the_sentences_that_go_on_with_it(spec):
    generator, every = TableGenerator(spec), sentences(spec)
    words = proposal_log_probs(generator, every, CONFIG, 0.25)
    q = words.sum(1).exp()
    for row, found in zip(every, words, strict=True):
        for t in range(spec.length):
            if row[t] != spec.pad:
                before, now = ((every[:, :n] == row[:n]).all(1) for n in (t, t + 1))
                assert found[t].item() == pytest.approx((q[now].sum() / q[before].sum()).log().item(), abs=1e-4)


def test_a_share_is_warm_in_random_order_and_a_lone_sentence_is():
    generator, never_warm = TableGenerator(ENDING), ProposalConfig(temperature=1e-4, top_p=1.0, warm=0.0)
    tokens, log_q = propose(generator, ENDING, 1, CONFIG)
    torch.testing.assert_close(log_q, generator.log_probs(tokens))
    cold = propose(generator, ENDING, 50, never_warm).tokens
    assert (cold == cold[0]).all()
    torch.manual_seed(0)
    mixed = propose(generator, ENDING, 2000, ProposalConfig(1e-4, 1.0, 0.5)).tokens
    p = generator.log_probs(cold[:1]).sum().exp().item()
    for half in mixed.chunk(2):
        assert (half == cold[0]).all(1).double().mean().item() == pytest.approx(0.5 + 0.5 * p, abs=0.08)


def test_the_effective_share_is_one_of_equal_weights_and_least_where_one_counts():
    assert effective_share(torch.tensor([2.0, 2.0, 2.0])).item() == pytest.approx(1)
    assert effective_share(torch.tensor([7.0, 0.0, 0.0, 0.0])).item() == pytest.approx(0.25)
    assert effective_share(torch.tensor([1.0, 3.0])).item() == pytest.approx(16 / 20)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, "game.proposal.temperature is 0.0; it must be above 0"),
        ({"top_p": 1.5}, r"game.proposal.top_p is 1.5; it must be in \(0, 1\]"),
        ({"warm": 1.5}, r"game.proposal.warm is 1.5; it must be in \[0, 1\]"),
        ({"warm": 0.0, "top_p": 0.9}, r"game.proposal.warm is 0.0; with game.proposal.top_p of 0.9 it must be above 0"),
    ],
)
def test_a_proposal_that_cannot_say_every_sentence_is_refused(options, message):
    with pytest.raises(UserError, match=message):
        ProposalConfig(**options)
