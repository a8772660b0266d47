from __future__ import annotations

import pytest
import torch

from textgan.data.spec import NONE, TextSpec
from textgan.networks.prefix_features import PrefixFeatures
from textgan.networks.text_cnn import TextCNN
from textgan.sampling import take

TEXT = TextSpec(30, 8, train_size=0)
ORACLE = TextSpec(30, 8, train_size=0, bos=0, eos=NONE, pad=NONE, unk=NONE)


def network(spec: TextSpec) -> TextCNN:
    torch.manual_seed(0)
    built = TextCNN(spec, widths=(1, 3, 8), filters=(4, 3, 5), embedding=6, dropout=0.5)
    for parameter in built.parameters():
        parameter.data.normal_()
    return built


@pytest.mark.parametrize("spec", [TEXT, ORACLE])
def test_features_of_every_prefix_are_those_that_the_network_has_of_it_alone(spec):
    built = network(spec)
    torch.manual_seed(1)
    tokens = torch.randint(3, 30, (5, 8))
    found = PrefixFeatures(built).of_rows(tokens)
    assert found.shape == (5, 9, 12)
    for length in range(9):
        embedded = built.embedding(tokens)
        alone = built.features_embedded(embedded, torch.full((5,), length))
        torch.testing.assert_close(found[:, length], alone)
    torch.testing.assert_close(found[:, 8], built.features(tokens))


def test_a_sentence_that_has_ended_keeps_its_features_where_the_network_ends_it():
    built = network(TEXT)
    tokens = torch.randint(3, 30, (4, 8))
    tokens[:, 5:] = TEXT.pad
    torch.testing.assert_close(PrefixFeatures(built).of_rows(tokens)[:, 5], built.features(tokens))


def test_rows_of_different_lengths_can_be_read_on_together():
    leak = PrefixFeatures(network(TEXT))
    tokens = torch.randint(3, 30, (2, 8))
    short, long = leak.start(1), leak.start(1)
    for t in range(2):
        short = leak.advance(tokens[:1, t], short)
    for t in range(6):
        long = leak.advance(tokens[1:, t], long)
    both = type(short)(*(torch.cat(pair) for pair in zip(short, long, strict=True)))
    both = leak.advance(torch.stack([tokens[0, 2], tokens[1, 6]]), both)
    whole = leak.of_rows(tokens)
    torch.testing.assert_close(leak.features(both.best), torch.stack([whole[0, 3], whole[1, 7]]))
    torch.testing.assert_close(leak.features(take(both, torch.tensor([1])).best), whole[1:, 7])


def test_no_gradient_reaches_the_network():
    built = network(TEXT)
    assert not PrefixFeatures(built).of_rows(torch.randint(3, 30, (2, 8))).requires_grad
