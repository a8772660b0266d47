from __future__ import annotations

import pytest
import torch
from scipy.stats import chisquare

from tests.policies import ENDING, FIXED, TablePolicy, sentences
from textgan.relaxation import gumbel, gumbel_softmax, one_hot, relaxed_sample, straight_through

SPECS = pytest.mark.parametrize("spec", [FIXED, ENDING], ids=["fixed", "ending"])


class HardTable(TablePolicy):
    """Reads words alone."""

    def advance_relaxed(self, words, state):
        raise AssertionError("hard feedback reads no mixtures")


class RelaxedTable(TablePolicy):
    """A table for hard words; a mixture of words moves a state of numbers: the sum of what each word adds."""

    def __init__(self, spec, seed=0):
        super().__init__(spec, seed)
        generator = torch.Generator().manual_seed(seed + 1)
        self.embedding = torch.randn(spec.vocab_size, 4, generator=generator, dtype=torch.float64)
        self.readout = torch.nn.Parameter(torch.randn(4, spec.vocab_size, generator=generator, dtype=torch.float64))

    def start(self, rows):
        return self.embedding[self.spec.bos].expand(rows, -1)

    def advance(self, tokens, state):
        return (0.5 * state + self.embedding[tokens]).tanh()

    def advance_relaxed(self, words, state):
        return (0.5 * state + words.double() @ self.embedding).tanh()

    def logits(self, state):
        never = torch.zeros(self.spec.vocab_size, dtype=torch.float64)
        never[list(self.spec.never)] = -torch.inf
        return state @ self.readout + never


def _noise(n, spec, seed=0):
    torch.manual_seed(seed)
    return gumbel(torch.zeros(n, spec.length, spec.vocab_size))


@pytest.mark.parametrize("temperature", [0.1, 1.0, 10.0])
def test_the_likeliest_entry_is_an_exact_draw_at_any_temperature(temperature):
    torch.manual_seed(0)
    logits = torch.tensor([1.0, -0.5, 0.3, -torch.inf, 2.0])
    drawn = gumbel_softmax(logits.expand(20_000, -1), temperature).argmax(-1).bincount(minlength=5)
    assert drawn[3] == 0
    possible = torch.tensor([0, 1, 2, 4])
    expected = 20_000 * logits.softmax(0)[possible].double()
    assert chisquare(drawn[possible].numpy(), (expected * 20_000 / expected.sum()).numpy()).pvalue > 1e-3


def test_gumbel_softmax_divides_logits_and_noise_by_the_temperature():
    logits, noise = torch.tensor([[0.5, -1.0]]), torch.tensor([[0.2, 0.9]])
    expected = torch.tensor([[0.7, -0.1]]).div(0.25).softmax(-1)
    torch.testing.assert_close(gumbel_softmax(logits, 0.25, noise), expected)


def test_straight_through_is_one_hot_with_the_gradient_of_the_soft_one():
    logits, weights = torch.randn(3, 4, requires_grad=True), torch.randn(3, 4)
    soft = logits.softmax(-1)
    hard = straight_through(soft)
    assert torch.equal(hard.detach().round(decimals=5), torch.eye(4)[soft.argmax(-1)])
    (through,) = torch.autograd.grad((hard * weights).sum(), logits, retain_graph=True)
    (direct,) = torch.autograd.grad((soft * weights).sum(), logits)
    torch.testing.assert_close(through, direct)


@SPECS
def test_one_hot_is_zero_at_padding_and_picks_the_token_elsewhere(spec):
    rows = sentences(spec)
    words = one_hot(rows, spec)
    for row, vectors in zip(rows, words, strict=True):
        for token, vector in zip(row, vectors, strict=True):
            expected = torch.zeros(spec.vocab_size)
            if token != spec.pad:
                expected[token] = 1
            assert torch.equal(vector, expected)


@SPECS
def test_the_tokens_are_what_the_gumbel_max_trick_draws_from_the_policy(spec):
    policy, noise = HardTable(spec), _noise(200, spec)
    relaxed = relaxed_sample(policy, spec, 200, 0.7, "hard", noise)
    for row, numbers in zip(relaxed.tokens, noise, strict=True):
        state, ended = policy.start(1), False
        for t in range(spec.length):
            if ended:
                assert row[t] == spec.pad
                continue
            token = (policy.logits(state)[0] + numbers[t]).argmax()
            assert row[t] == token
            ended = bool(token == spec.eos)
            state = policy.advance(token[None], state)


@SPECS
def test_hard_feedback_draws_every_sentence_at_its_probability(spec):
    torch.manual_seed(0)
    policy = HardTable(spec)
    rows = sentences(spec)
    drawn = relaxed_sample(policy, spec, 20_000, 0.3).tokens
    counts = (drawn[:, None] == rows).all(2).sum(0)
    assert counts.sum() == 20_000
    expected = 20_000 * policy.log_probs(rows).sum(1).exp().detach()
    rare = expected < 5
    counts, expected = (torch.cat([x[~rare], x[rare].sum()[None]]).double() + 1e-9 for x in (counts, expected))
    assert chisquare(counts.numpy(), expected.numpy() * (counts.sum() / expected.sum()).item()).pvalue > 1e-3


@SPECS
def test_words_are_distributions_up_to_the_end_mark_and_zero_after_it(spec):
    relaxed = relaxed_sample(RelaxedTable(spec), spec, 100, 0.5, "soft")
    mask = relaxed.tokens != spec.pad
    torch.testing.assert_close(relaxed.words.sum(-1), mask.float())
    assert torch.equal(relaxed.words.argmax(-1)[mask], relaxed.tokens[mask])
    lengths = relaxed.lengths(spec)
    assert (lengths is None) if spec.eos < 0 else torch.equal(lengths, mask.sum(1))


def test_soft_feedback_reads_the_mixture_and_hard_feedback_its_likeliest_word():
    policy, noise = RelaxedTable(FIXED), _noise(1, FIXED)
    for feedback in ("hard", "soft"):
        relaxed = relaxed_sample(policy, FIXED, 1, 2.0, feedback, noise)
        state = policy.start(1)
        for t in range(FIXED.length):
            word = gumbel_softmax(policy.logits(state), 2.0, noise[:, t])
            torch.testing.assert_close(relaxed.words[:, t], word)
            token = word.argmax(-1)
            state = policy.advance(token, state) if feedback == "hard" else policy.advance_relaxed(word, state)


@SPECS
def test_the_gradient_through_soft_feedback_is_that_of_finite_differences(spec):
    policy, noise = RelaxedTable(spec), _noise(6, spec).double()
    weights = torch.randn(6, spec.length, spec.vocab_size, dtype=torch.float64)

    def value():
        return (relaxed_sample(policy, spec, 6, 1.5, "soft", noise).words * weights).sum()

    (gradient,) = torch.autograd.grad(value(), policy.readout)
    for place in [(0, 2), (1, 1), (3, 2), (2, 0)]:
        if place[1] in spec.never:
            continue
        with torch.no_grad():
            values = []
            for nudge in (1e-3, -2e-3):
                policy.readout[place] += nudge
                values.append(value().item())
            policy.readout[place] += 1e-3
        assert gradient[place].item() == pytest.approx((values[0] - values[1]) / 2e-3, rel=1e-2, abs=1e-3)


def test_hard_feedback_carries_no_gradient_from_a_word_to_those_after_it():
    """The last word depends on the first one's logits through what is read only: not at all with hard feedback."""
    policy, noise = HardTable(FIXED), _noise(4, FIXED)
    relaxed = relaxed_sample(policy, FIXED, 4, 1.0, "hard", noise)
    (gradient,) = torch.autograd.grad(relaxed.words[:, -1, 0].sum(), policy.table)
    assert gradient[0].abs().sum() == 0  # row 0: the first word's logits
    assert gradient.abs().sum() > 0
