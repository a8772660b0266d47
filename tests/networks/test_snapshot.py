from __future__ import annotations

import pytest
import torch
from torch import nn

from textgan.networks.snapshot import Snapshot


def test_inside_the_network_is_what_it_was_and_afterwards_what_it_is() -> None:
    network, x = nn.Linear(3, 2), torch.randn(4, 3)
    snapshot, before = Snapshot(list(network.parameters())), network(x)
    with torch.no_grad():
        network.weight.add_(1.0)
    now = network(x)
    with snapshot.applied():
        assert torch.equal(network(x), before)
        assert not network(x).requires_grad
    assert torch.equal(network(x), now)
    snapshot.take()
    with snapshot.applied():
        assert torch.equal(network(x), now)


def test_the_network_comes_back_after_an_error() -> None:
    network = nn.Linear(3, 2)
    snapshot = Snapshot(list(network.parameters()))
    nn.init.zeros_(network.weight)

    def fail() -> None:
        with snapshot.applied():
            assert network.weight.any()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not network.weight.any()


def test_a_gradient_recorded_before_is_that_of_the_network_as_it_is() -> None:
    network, x = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 1)), torch.randn(4, 3)
    snapshot = Snapshot(list(network.parameters()))
    nn.init.normal_(network[2].weight)
    expected = torch.autograd.grad(network(x).sum(), network[0].weight)[0]
    loss = network(x).sum()
    with snapshot.applied():
        network(x)
    assert torch.equal(torch.autograd.grad(loss, network[0].weight)[0], expected)


def test_a_lower_precision_sees_the_change_of_weights() -> None:
    """Autocast keeps the casts of weights: those of the network as it is are not those of what it was."""
    network, x = nn.Linear(3, 2, bias=False), torch.randn(4, 3)
    snapshot = Snapshot(list(network.parameters()))
    nn.init.zeros_(network.weight)
    with torch.autocast("cpu", torch.bfloat16):
        assert not network(x).any()
        with snapshot.applied():
            assert network(x).any()
        assert not network(x).any()


def test_its_state_is_the_copies_alone() -> None:
    network = nn.Linear(3, 2)
    snapshot = Snapshot([network.bias])
    assert list(snapshot.parameters()) == []
    assert [tuple(x.shape) for x in snapshot.state_dict().values()] == [(2,)]
