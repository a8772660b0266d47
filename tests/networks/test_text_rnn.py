"""The recurrent discriminator against two LSTMs that read one sentence at a time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from textgan.data.spec import TextSpec
from textgan.networks.text_rnn import TextRNN

TEXT = TextSpec(30, 9, train_size=0)


def network(layers: int, dropout: float = 0.0) -> TextRNN:
    torch.manual_seed(0)
    return TextRNN(TEXT, 6, 5, layers, dropout).double()


def naive(built: TextRNN, row: Tensor) -> Tensor:
    """Features of one sentence, without padding."""
    outputs = built.embedding(row[row != TEXT.pad])[None]
    for ahead, back in zip(built.lstm.forwards, built.lstm.backwards, strict=True):
        assert isinstance(ahead, nn.LSTM)
        assert isinstance(back, nn.LSTM)
        outputs = torch.cat([ahead(outputs)[0], back(outputs.flip(1))[0].flip(1)], 2)
    return outputs[0].mean(0)


def batch() -> Tensor:
    torch.manual_seed(1)
    tokens = torch.randint(4, 30, (18, 9))
    for row in range(18):
        tokens[row, 1 + row % 9 :] = TEXT.pad
    return tokens


def test_features_are_the_mean_of_both_readings_over_the_sentence():
    for layers in (1, 2):
        built, tokens = network(layers), batch()
        torch.testing.assert_close(built.features(tokens), torch.stack([naive(built, row) for row in tokens]))


def test_a_sentence_without_words_has_a_finite_score():
    assert network(1)(torch.zeros(2, 9, dtype=torch.int64)).isfinite().all()


def test_dropout_acts_between_the_layers_and_before_the_score():
    built, tokens = network(2, dropout=0.5), batch()
    assert not torch.equal(built.features(tokens), built.features(tokens))
    assert not torch.equal(built(tokens), built(tokens))
    torch.testing.assert_close(built.eval()(tokens), network(2)(tokens))
