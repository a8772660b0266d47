"""Runs that end because rolling back does not help, and losses that are not finite."""

from __future__ import annotations

import pytest
import torch

from tests.recovery.fragile import RATE, Fragile, by_hand, events, trainer_of
from tests.toys import Gaussian, assert_bitwise_equal, weights
from textgan.checkpoint import CheckpointStore
from textgan.collapse import CollapseConfig, Collapsed
from textgan.trainer import NonFiniteLoss, Trainer


def test_the_collapse_after_the_last_rollback_ends_the_run_with_its_reason(tmp_path):
    game, records = Fragile(broken={1, 2, 3, 5, 6}), []
    collapse = CollapseConfig(patience=1, rollbacks=2)
    trainer = trainer_of(game, collapse, tmp_path, log=records.append)
    reason = (
        "unique is 0.100; real data has 1.000, the limit is 0.500; rollbacks before: 2; the networks of step 2 are kept"
    )
    with pytest.raises(Collapsed) as stopped:
        trainer.play()
    assert str(stopped.value) == reason
    assert trainer.step == 8
    assert game.descents == 1
    torch.testing.assert_close(game.w.detach(), RATE * Gaussian().next(8).mean(0))
    assert events(records)[-1] == f"stopped: {reason}"
    assert [record["rollbacks"] for record in records if "rollbacks" in record] == [1, 2, 2]
    last = [record for record in records if record["kind"] == "test"][-1]
    assert last["scores"]["distance"]["value"] == game.w.abs().max()

    resumed = trainer_of(Fragile(), collapse, tmp_path)
    with pytest.raises(Collapsed) as stopped:
        resumed.resume()
    assert str(stopped.value) == reason
    assert_bitwise_equal(weights(resumed.game), weights(game))


def test_without_rollbacks_the_first_collapse_ends_the_run():
    with pytest.raises(Collapsed, match="rollbacks before: 0; the networks of step 4 are kept"):
        trainer_of(Fragile(broken={2}), CollapseConfig(rollbacks=0, patience=1)).play()


class CheckedWhenLogged(Trainer):
    """Looks at losses when they are logged, as on a GPU: the damage is done by then."""

    _updating = False

    def _update(self, *given):
        self._updating = True
        super()._update(*given)
        self._updating = False

    def _check_finite(self, *given):
        if not self._updating:
            super()._check_finite(*given)


@pytest.mark.parametrize("kind", [Trainer, CheckedWhenLogged])
@pytest.mark.parametrize("log_every", [1, 100])
def test_a_loss_that_is_not_finite_is_a_collapse(kind, log_every, tmp_path):
    game, records = Fragile(poisoned={2, 7}), []
    trainer = trainer_of(game, CollapseConfig(cut=0.5), tmp_path, kind, records.append, log_every=log_every)
    trainer.play()
    assert trainer.step == 20
    rates = [RATE] * 3 + [RATE / 2] * 5 + [RATE / 4] * 2
    torch.testing.assert_close(game.w.detach(), by_hand(rates, game.poisoned))
    assert [said.partition(": ")[2].partition(" at ")[0] for said in events(records)] == [
        "breaker's loss is not finite"
    ] * 2
    assert all(state["game"]["w"].isfinite().all() for state in map(CheckpointStore(tmp_path).load_step, range(1, 21)))


@pytest.mark.parametrize("kind", [Trainer, CheckedWhenLogged])
def test_a_loss_that_is_never_finite_again_ends_the_run(kind):
    game = Fragile(poisoned=range(3, 10))
    trainer = trainer_of(game, CollapseConfig(), kind=kind, log_every=100)
    with pytest.raises(Collapsed, match=r"gradient_norm = nan; rollbacks before: 3; the networks of step \d+ are kept"):
        trainer.play()
    assert game.w.isfinite().all()


@pytest.mark.parametrize("action", ["warn", "recover"])
def test_a_loss_that_is_not_finite_ends_the_run_where_there_is_nothing_to_go_back_to(action):
    poisoned = {0} if action == "recover" else {4}
    with pytest.raises(NonFiniteLoss):
        trainer_of(Fragile(poisoned=poisoned), CollapseConfig(action)).play()
