"""The parts that all discriminators share, on a discriminator whose features can be worked out by hand."""

from __future__ import annotations

import pytest
import torch

from tests.policies import ENDING, FIXED
from textgan.networks.text_discriminator import TextDiscriminator, within


class Mean(TextDiscriminator):
    """Features: the mean embedding of the words; as two votes, of its halves, if asked."""

    split = False

    def features_embedded(self, inputs, lengths=None, shared=0, copies=1):
        inside = within(inputs, lengths)
        mean = (inputs * inside).sum(1) / inside.sum(1)
        return mean.unflatten(1, (2, -1)) if self.split else mean


def network(spec, size: int = 4, outputs: int = 1) -> Mean:
    torch.manual_seed(0)
    return Mean(spec, 4, size, outputs=outputs).double()


def test_the_score_is_linear_in_the_features():
    built = network(ENDING)
    tokens = torch.tensor([[3, 4, 2], [3, 2, 0]])
    e, w, b = built.embedding.weight, built.output.weight[0], built.output.bias[0]
    by_hand = torch.stack([(e[3] + e[4] + e[2]) / 3 @ w + b, (e[3] + e[2]) / 2 @ w + b])
    torch.testing.assert_close(built(tokens), by_hand)


def test_several_votes_are_scored_alike_and_averaged():
    built = network(ENDING, size=2)
    built.split = True
    tokens = torch.tensor([[3, 4, 2]])
    mean = built.embedding.weight[[3, 4, 2]].mean(0)
    votes = [half @ built.output.weight[0] + built.output.bias[0] for half in (mean[:2], mean[2:])]
    torch.testing.assert_close(built.votes(built.features(tokens))[0], torch.stack(votes))
    torch.testing.assert_close(built(tokens)[0], sum(votes) / 2)


def test_lengths_count_the_end_mark_and_there_are_none_without_padding():
    assert network(ENDING).lengths(torch.tensor([[3, 4, 2], [3, 2, 0], [2, 0, 0]])).tolist() == [3, 2, 1]
    assert network(FIXED).lengths(torch.tensor([[0, 1, 2]])) is None


def test_padding_that_no_embedding_has_can_be_read():
    assert network(FIXED)(torch.tensor([[0, 1, -1]])).isfinite().all()


def test_the_penalty_is_half_the_square_of_the_output_layer():
    built = network(ENDING, outputs=2)
    numbers = [*built.output.weight.flatten().tolist(), *built.output.bias.tolist()]
    assert built.output_penalty().item() == pytest.approx(sum(number**2 for number in numbers) / 2)


def test_within_marks_the_places_before_the_length():
    inputs = torch.zeros(3, 4, 5)
    assert within(inputs, torch.tensor([0, 2, 4])).squeeze(2).sum(1).tolist() == [0, 2, 4]
    assert within(inputs, torch.tensor([0, 2, 4]))[1, :, 0].tolist() == [True, True, False, False]
    assert within(inputs, None).all()
