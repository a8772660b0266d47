from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from textgan.networks.recurrent import BidirectionalLSTM, ends, joined, lstm_step

PAD = 0


def test_both_directions_equal_torchs_own_over_packed_rows():
    torch.manual_seed(0)
    ours = BidirectionalLSTM(3, 4, layers=2)
    theirs = nn.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True)
    for layer in range(2):
        for mine, suffix in ((ours.forwards[layer], ""), (ours.backwards[layer], "_reverse")):
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(theirs, f"{name}_l{layer}{suffix}").data = getattr(mine, f"{name}_l0").data
    inputs, lengths = torch.randn(5, 7, 3), torch.tensor([7, 1, 3, 6, 2])
    packed = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
    found, (h, _) = theirs(packed)
    expected, _ = pad_packed_sequence(found, batch_first=True)
    outputs = ours(inputs, lengths)
    mask = torch.arange(7) < lengths[:, None]
    torch.testing.assert_close(outputs[mask], expected[mask])
    torch.testing.assert_close(ends(outputs, lengths), torch.cat([h[2], h[3]], 1))


def test_a_row_does_not_depend_on_how_far_it_is_padded():
    torch.manual_seed(0)
    network, inputs = BidirectionalLSTM(3, 4, layers=2), torch.randn(1, 4, 3)
    padded = torch.cat([inputs, torch.full((1, 3, 3), 100.0)], 1)
    torch.testing.assert_close(network(inputs, torch.tensor([4])), network(padded, torch.tensor([4]))[:, :4])


def test_a_step_is_one_step_of_the_layer():
    torch.manual_seed(0)
    lstm, inputs = nn.LSTM(3, 4, batch_first=True), torch.randn(2, 5, 3)
    outputs, (_, c) = lstm(inputs)
    state = (torch.zeros(2, 4), torch.zeros(2, 4))
    for position in range(5):
        state = lstm_step(lstm, inputs[:, position], state)
        torch.testing.assert_close(state[0], outputs[:, position])
    torch.testing.assert_close(state[1], c[0])


def test_sentences_are_joined_without_the_padding_between_them():
    context = torch.tensor([[[5, 6, 0], [7, 0, 0]], [[8, 0, 0], [0, 0, 0]]])
    tokens, mask = joined(context, PAD)
    assert tokens.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert mask.tolist() == [[True, True, True], [True, False, False]]


def test_an_empty_context_is_one_padding_token():
    tokens, mask = joined(torch.zeros(2, 4, 3, dtype=torch.int64), PAD)
    assert tokens.shape == (2, 1)
    assert not mask.any()
