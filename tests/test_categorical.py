from __future__ import annotations

import math

import pytest
import torch

from textgan import categorical
from textgan.categorical import Head, draw, draw_copies, draw_from

LARGEST = 1 - 2**-24  # the largest number that torch.rand gives


def assert_distributed(counts, probabilities) -> None:
    """Pearson's chi-square is within 5 standard deviations of its mean."""
    possible = probabilities > 0
    assert counts[~possible].sum() == 0
    expected = probabilities[possible] * counts.sum()
    statistic = ((counts[possible] - expected) ** 2 / expected).sum()
    freedom = int(possible.sum()) - 1
    assert statistic < freedom + 5 * math.sqrt(2 * freedom)


@pytest.mark.parametrize("vocab", [3, 7, 64, 65, 300])
@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0])
def test_draws_have_the_softmax_frequencies(vocab, temperature):
    torch.manual_seed(vocab)
    logits = torch.randn(vocab).mul(0.7)
    logits[vocab // 2] = -torch.inf
    tokens = draw(logits.expand(200_000, -1), temperature)
    probabilities = (logits.double() / temperature).softmax(-1)
    assert_distributed(torch.bincount(tokens, minlength=vocab).double(), probabilities)


@pytest.mark.parametrize("vocab", [3, 64, 200, 5000])
def test_draw_inverts_the_distribution_function(vocab):
    torch.manual_seed(0)
    logits, uniforms = torch.randn(2000, vocab) * 2, torch.rand(2000)
    function = logits.double().softmax(-1).cumsum(-1)
    token = torch.searchsorted(function, uniforms.double()[:, None]).squeeze(1)
    margin = (function - uniforms[:, None]).abs().amin(-1)
    clear = margin > 1e-6  # fp32 cannot tell the two tokens at a boundary apart
    assert clear.sum() > 0.9 * len(clear) or vocab == 5000
    assert torch.equal(draw(logits, uniforms=uniforms)[clear], token[clear])
    assert (draw(logits, uniforms=uniforms) - token).abs().max() <= 1


@pytest.mark.parametrize("uniform", [0.0, 1e-38, 2**-24, 0.5, LARGEST])
def test_impossible_tokens_are_never_drawn(uniform):
    torch.manual_seed(1)
    logits = torch.randn(4000, 517) * 5
    logits[torch.rand(4000, 517) < torch.rand(4000, 1)] = -torch.inf
    logits[:, 333] = 0.0
    tokens = draw(logits, uniforms=torch.full((4000,), uniform))
    assert logits.gather(1, tokens[:, None]).isfinite().all()


@pytest.mark.parametrize("place", [0, 63, 64, 199])
def test_the_only_possible_token_is_drawn_whatever_the_number(place):
    logits = torch.full((5, 200), -torch.inf)
    logits[:, place] = -3e4
    uniforms = torch.tensor([0.0, 2**-24, 0.5, 0.999, LARGEST])
    assert draw(logits, uniforms=uniforms).tolist() == [place] * 5


def test_extreme_logits_do_not_overflow():
    logits = torch.tensor([[3e38, -3e38, 0.0], [-3e38, -3e38, -3.1e38], [88.8, 90.0, -1e4]])
    uniforms = torch.tensor([0.9, 0.75, 0.99])
    assert draw(logits, uniforms=uniforms).tolist() == [0, 1, 1]


def test_draw_leaves_the_logits_alone():
    logits = torch.randn(3, 10)
    before = logits.clone()
    draw(logits, 0.5)
    assert torch.equal(logits, before)


def head_of(rows: int, width: int, vocab: int, std: float = 0.5) -> Head:
    """A layer by which one token, in the middle, is impossible."""
    torch.manual_seed(rows + vocab)
    bias = torch.randn(vocab)
    bias[vocab // 2] = -torch.inf
    return Head(torch.randn(rows, width), torch.randn(vocab, width) * std, bias)


class TestDrawFrom:
    """Drawing from a linear layer, against drawing from its logits."""

    @pytest.mark.parametrize("vocab", [3, 64, 65, 700])
    @pytest.mark.parametrize("std", [0.5, 20.0])
    @pytest.mark.parametrize("temperature", [1.0, 0.6])
    @pytest.mark.parametrize("at_once", [None, 1, 150])
    def test_the_same_numbers_draw_the_same_tokens(self, vocab, std, temperature, at_once):
        head, uniforms = head_of(200, 9, vocab, std), torch.rand(200, 3)
        overflow = (head.logits.amax(1) * categorical.LOG2_E > 128).any()  # 2^128 is no number of fp32
        assert overflow == (std > 1)
        function = (head.logits.double() / temperature).softmax(1).cumsum(1)
        clear = (function[:, None] - uniforms[:, :, None]).abs().amin(2) > 1e-5  # fp32 cannot tell at a boundary
        assert clear.double().mean() > 0.9
        drawn = draw_from(head, temperature, uniforms, at_once)
        assert torch.equal(drawn[clear], draw_copies(head.logits, temperature, uniforms)[clear])
        assert head.logits.gather(1, drawn).isfinite().all()

    def test_large_scores_do_not_overflow_nor_small_ones_vanish(self):
        bias = torch.tensor([0.0, 200.0, 199.0, -200.0])
        for shift in (0.0, -400.0):
            head = Head(torch.zeros(4, 2), torch.zeros(4, 2), bias + shift)
            drawn = draw_from(head, 1.0, torch.tensor([0.0, 0.7, 0.75, LARGEST])[:, None])  # 1 / (1 + 1/e) = 0.731
            assert drawn.flatten().tolist() == [1, 1, 2, 2]

    @pytest.mark.parametrize("copies", [1, 1000])
    def test_a_million_draws_have_the_softmax_frequencies(self, copies):
        head = head_of(1, 5, 100)
        many = head._replace(outputs=head.outputs.expand(1_000_000 // copies, -1))
        drawn = draw_from(many, 0.8, torch.rand(1_000_000 // copies, copies))
        probabilities = (head.logits[0].double() / 0.8).softmax(0)
        assert_distributed(torch.bincount(drawn.flatten(), minlength=100).double(), probabilities)

    @pytest.mark.parametrize("uniform", [0.0, 1e-38, 2**-24, 0.5, LARGEST])
    @pytest.mark.parametrize("place", [0, 63, 64, 199])
    @pytest.mark.parametrize("score", [0.0, -50.0, -3e4])
    def test_the_only_possible_token_is_drawn_whatever_the_number(self, uniform, place, score):
        bias = torch.full((200,), -torch.inf)
        bias[place] = score
        head = Head(torch.randn(5, 8), torch.randn(200, 8), bias)
        assert draw_from(head, 1.0, torch.full((5, 1), uniform)).flatten().tolist() == [place] * 5

    def test_other_precisions_draw_from_the_logits(self):
        head, uniforms = head_of(100, 9, 80), torch.rand(100, 1)
        double = Head(*(part.double() for part in head))
        assert torch.equal(draw_from(double, 1.0, uniforms), draw_copies(double.logits, 1.0, uniforms))
        with torch.autocast("cpu", torch.bfloat16):
            assert head.logits.dtype == torch.bfloat16
            assert torch.equal(draw_from(head, 1.0, uniforms), draw_copies(head.logits, 1.0, uniforms))
