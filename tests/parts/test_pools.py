from __future__ import annotations

import torch

from textgan.parts.pools import Pool


def test_samples_come_once_each_before_any_comes_again():
    pool = Pool(4, 1)
    pool.add(torch.arange(4)[:, None])
    assert torch.cat([pool.draw(3), pool.draw(3), pool.draw(2)]).flatten().tolist() == [0, 1, 2, 3, 0, 1, 2, 3]


def test_new_samples_replace_the_oldest():
    pool = Pool(4, 1)
    assert pool.is_empty
    pool.add(torch.arange(4)[:3, None])
    assert pool.held == 3
    pool.add(torch.tensor([[3]]))
    pool.add(torch.tensor([[10], [11], [12]]))
    pool.add(torch.tensor([[20], [21]]))
    assert not pool.is_empty
    assert pool.held == 4
    assert pool.items.flatten().tolist() == [21, 11, 12, 20]


def test_a_checkpoint_holds_contents_and_places():
    one, other = Pool(4, 2), Pool(4, 2)
    one.add(torch.arange(6).view(3, 2))
    one.draw(3)
    other.load_state_dict(one.state_dict())
    assert torch.equal(one.draw(4), other.draw(4))
    one.add(torch.ones(2, 2))
    other.add(torch.ones(2, 2))
    assert torch.equal(one.items, other.items)
