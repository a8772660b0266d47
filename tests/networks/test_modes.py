from __future__ import annotations

import pytest
from torch import nn

from textgan.networks.modes import evaluating


def test_modes_are_restored_at_every_depth_even_after_an_error():
    tree = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Dropout(), nn.Linear(1, 1)))
    tree[1].eval()
    other = nn.Dropout()
    before = [module.training for module in tree.modules()]
    modes_inside = []

    def fail():
        with evaluating(tree, other):
            modes_inside.extend(module.training for module in [*tree.modules(), other])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert modes_inside == [False] * 6
    assert [module.training for module in tree.modules()] == before == [True, True, False, False, False]
    assert other.training
