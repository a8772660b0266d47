"""bfloat16 autocast, where oneDNN has it and where it has not."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from textgan import precision
from textgan.precision import bfloat16

CPU = torch.device("cpu")


@pytest.mark.parametrize("at_a_loss", [True, False])
def test_onednn_is_off_only_where_it_would_fail_and_only_inside(at_a_loss, monkeypatch):
    monkeypatch.setattr(precision, "_is_at_a_loss", lambda device: at_a_loss)
    before = torch.backends.mkldnn.enabled

    def fail_inside() -> None:
        with bfloat16(CPU):
            assert torch.is_autocast_enabled("cpu")
            assert torch.backends.mkldnn.enabled == (before and not at_a_loss)
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        fail_inside()
    assert torch.backends.mkldnn.enabled == before
    assert not torch.is_autocast_enabled("cpu")
    with bfloat16(CPU, wanted=False):
        assert torch.backends.mkldnn.enabled == before
        assert not torch.is_autocast_enabled("cpu")


def test_an_lstm_gives_what_it_gives_in_float32_but_for_rounding():
    torch.manual_seed(0)
    network, inputs = nn.LSTM(4, 8, batch_first=True), torch.randn(3, 5, 4)
    expected = network(inputs)[0]
    with bfloat16(CPU):
        found = network(inputs)[0].float()
    torch.testing.assert_close(found, expected, rtol=0, atol=0.02)
    assert not torch.equal(found, expected)
    found.square().sum().backward()
    lower = network.weight_ih_l0.grad.clone()
    network.zero_grad()
    expected.square().sum().backward()
    torch.testing.assert_close(lower, network.weight_ih_l0.grad, rtol=0.1, atol=0.05)
