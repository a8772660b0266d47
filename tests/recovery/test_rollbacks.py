"""What comes back after a collapse, what is cut and what goes on."""

from __future__ import annotations

import copy
import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.recovery.fragile import RATE, Fragile, by_hand, events, trainer_of
from tests.toys import assert_bitwise_equal, weights
from textgan.checkpoint import CheckpointStore
from textgan.collapse import CollapseConfig
from textgan.errors import UserError
from textgan.game import Stage
from textgan.progress import Progress
from textgan.recovery import SEEDS_APART
from textgan.reproducibility import seed_everything, seed_generators
from textgan.trainer import Measurement, Trainer

GOOD, BAD = 0.9, 0.1


def test_the_last_good_networks_come_back_learn_half_as_fast_and_the_plan_goes_on():
    game, records = Fragile(broken={2, 6}), []
    trainer = trainer_of(game, CollapseConfig(patience=1, cut=0.5), log=records.append)
    trainer.play()
    assert trainer.step == trainer.steps == 20
    rates_of_rounds = [RATE] * 3 + [RATE / 2] * 4 + [RATE / 4] * 3
    torch.testing.assert_close(game.w.detach(), by_hand(rates_of_rounds, game.broken))
    assert game.descents == 8  # of 10: a buffer comes back, too
    rates = [group["lr"] for optimizer in trainer.optimizers.values() for group in optimizer.param_groups]
    assert rates == [RATE / 4] * 2
    reason = "unique is 0.100; real data has 1.000, the limit is 0.500"
    assert events(records) == [
        f"rolled back to step 4 (1 of 3 times), learning rates are now 0.5 of those set: {reason}",
        f"rolled back to step 12 (2 of 3 times), learning rates are now 0.25 of those set: {reason}",
    ]
    marks = [(r["step"], r["stage"], r["round"], r["rollbacks"]) for r in records if "rollbacks" in r]
    assert marks == [(6, "first", 2, 1), (14, "second", 2, 2)]


def test_everything_that_was_learned_comes_back_bit_for_bit():
    game, seen, back = Fragile(broken={5}, noise=0.1), {}, []

    def log(record: dict[str, Any]) -> None:
        if record["kind"] in ("metrics", "test"):
            seen[record["step"]] = copy.deepcopy(trainer._learned.state_dict())
        if "rollbacks" in record:
            back.append((copy.deepcopy(trainer._learned.state_dict()), torch.get_rng_state()))

    trainer = trainer_of(game, CollapseConfig(patience=1, cut=0.1), log=log, ema=0.9)
    trainer.play()
    [(state, generator)] = back
    good = seen[10]
    assert_bitwise_equal(state["game"], good["game"])
    assert_bitwise_equal(state["averages"], good["averages"])
    moments, expected = state["optimizers"]["descent"]["state"][0], good["optimizers"]["descent"]["state"][0]
    assert moments.keys() >= {"step", "exp_avg", "exp_avg_sq"}
    assert_bitwise_equal(moments, expected)
    assert state["optimizers"]["descent"]["param_groups"][0]["lr"] == pytest.approx(RATE / 10)
    assert not torch.equal(seen[12]["game"]["w"], good["game"]["w"])
    seed_generators(SEEDS_APART + 12)
    assert torch.equal(generator, torch.get_rng_state())


def scripted(*unique: float) -> Any:
    """Measurements that say one after the other what they are told to."""
    values = iter(unique)
    return lambda game, ends_stage: Measurement({"unique": next(values)}, [])


def rollback_steps(collapse: CollapseConfig, measure: Any) -> list[int]:
    records: list[dict[str, Any]] = []
    trainer = trainer_of(Fragile(), collapse, log=records.append, measure=measure)
    trainer.play()
    assert trainer.step == 20
    return [record["step"] for record in records if "rollbacks" in record]


class _Unwatched(Fragile):
    """No collapse is looked for in its first stage."""

    def stages(self) -> list[Stage]:
        first, second = super().stages()
        return [dataclasses.replace(first, watched=False), second]


@pytest.mark.parametrize(("kind", "rollbacks"), [(Fragile, [4, 18]), (_Unwatched, [18])])
def test_a_stage_that_is_not_watched_does_not_collapse(kind, rollbacks):
    """The second round and the ninth throw the point away. What is not undone, it makes up for by the eighth."""
    records: list[dict[str, Any]] = []
    trainer = trainer_of(kind(broken=[1, 8]), CollapseConfig(patience=1), log=records.append)
    trainer.play()
    assert [record["step"] for record in records if "rollbacks" in record] == rollbacks


def test_so_many_broken_measurements_in_a_row_are_a_collapse():
    course = scripted(GOOD, BAD, GOOD, GOOD, BAD, GOOD, BAD, BAD, GOOD, GOOD)
    assert rollback_steps(CollapseConfig(patience=2), course) == [16]
    course = scripted(GOOD, BAD, BAD, GOOD, BAD, BAD, BAD, GOOD, GOOD, GOOD)
    assert rollback_steps(CollapseConfig(patience=3), course) == [14]


def test_at_the_end_of_a_stage_one_broken_measurement_is_enough_and_what_came_back_is_measured():
    first_stage_again = [GOOD]
    course = scripted(GOOD, GOOD, GOOD, BAD, *first_stage_again, *[GOOD] * 6)
    assert rollback_steps(CollapseConfig(patience=5), course) == [8]


def test_a_rollback_forgives_the_broken_measurements_before_it():
    course = scripted(GOOD, BAD, BAD, GOOD, GOOD, BAD, BAD, BAD, GOOD, GOOD)
    assert rollback_steps(CollapseConfig(patience=2), course) == [6, 14]


def test_a_generator_that_was_never_good_is_not_rolled_back():
    assert rollback_steps(CollapseConfig(patience=1), scripted(*[BAD] * 10)) == []


@pytest.mark.parametrize("action", ["off", "warn"])
def test_warnings_alone_change_nothing_and_off_says_nothing(action):
    game, records = Fragile(broken={2}), []
    trainer_of(game, CollapseConfig(action), log=records.append).play()
    warned = [record["step"] for record in records if record["kind"] == "warning"]
    # 5,000 away and half as far each round: within 100 after six.
    assert warned == ([6, 8, 10, 12, 14, 16] if action == "warn" else [])
    assert events(records) == []
    assert game.descents == 10


def test_measurements_that_are_good_change_nothing():
    played = []
    for action in ("off", "recover"):
        trainer = trainer_of(game := Fragile(noise=0.1), CollapseConfig(action))
        trainer.play()
        played.append(weights(game) | {"generator": torch.get_rng_state()})
    assert_bitwise_equal(*played)


def test_a_run_killed_after_any_step_collapses_and_recovers_as_if_it_had_not_been(tmp_path):
    class Killed(Exception):
        pass

    collapse = CollapseConfig(patience=2, cut=0.5)

    def trained(folder: Path, end: int | None = None) -> Trainer:
        game = Fragile(broken={1, 2, 5, 6, 9}, noise=0.1)
        trainer = trainer_of(game, collapse, folder, ema=0.9)
        if folder.exists():
            seed_everything(99)
            assert trainer.resume()
        make = trainer.make

        def until_killed(place):
            if trainer.step == end:
                raise Killed
            make(place)

        trainer.make = until_killed
        if end is None:
            trainer.play()
        else:
            with pytest.raises(Killed):
                trainer.play()
        return trainer

    whole = trained(tmp_path / "whole")
    assert whole._recovery.rollbacks == 3
    for killed_after in range(1, 20):
        folder = tmp_path / str(killed_after)
        trained(folder, killed_after)
        resumed = trained(folder)
        assert_bitwise_equal(weights(resumed.game), weights(whole.game))
        rates = [[optimizer.param_groups[0]["lr"] for optimizer in t.optimizers.values()] for t in (resumed, whole)]
        assert rates[0] == rates[1]
        states = [t._recovery.state_dict(0) for t in (resumed, whole)]
        goods = [state.pop("good") for state in states]
        assert states[0] == states[1]
        assert_bitwise_equal(goods[0]["game"], goods[1]["game"])


def test_a_checkpoint_holds_the_last_good_state_only_where_it_differs_from_its_own(tmp_path):
    trainer_of(Fragile(broken={2}), CollapseConfig(patience=1), tmp_path).play()
    store = CheckpointStore(tmp_path)
    states = {step: store.load_step(step)["recovery"] for step in store.steps()}
    held = [step for step, state in states.items() if state["good"] is not None]
    assert held == [step for step in range(3, 20) if step % 2]  # step 6 has what it went back to, step 1 nothing yet
    assert [states[step]["good_step"] for step in (3, 4, 5, 6, 7, 8)] == [2, 4, 4, 4, 4, 8]
    bytes_of = [(tmp_path / str(step) / "state.pt").stat().st_size for step in (5, 6)]
    assert bytes_of[1] < bytes_of[0]


def test_the_best_checkpoint_is_never_one_of_a_collapse(tmp_path):
    distances = iter([5.0, 4.0, 1.0, 3.0, *[9.0] * 6])  # the lowest is that of the collapsed networks
    unique = iter([GOOD, GOOD, BAD, GOOD, *[GOOD] * 6])
    course = lambda game, ends_stage: Measurement({"unique": next(unique), "distance": next(distances)}, [])  # noqa: E731
    trainer_of(Fragile(), CollapseConfig(patience=1), tmp_path, measure=course, best="distance").play()
    assert CheckpointStore(tmp_path).best == {"step": 8, "metric": "distance", "value": 3.0}


def test_the_bar_counts_rollbacks():
    places: list[str] = []
    notes: list[str] = []

    class Shown(Progress):
        def advance(self, where: str) -> None:
            places.append(where)

        def note(self, message: str) -> None:
            notes.append(message)

    trainer = trainer_of(Fragile(broken={1, 4}), CollapseConfig(patience=1))
    trainer.play(Shown(20, line_seconds=math.inf))
    assert places[2:6:2] == ["first 2/4", "first 3/4, 1 rollback"]
    assert places[-1] == "second 6/6, 2 rollbacks"
    assert [note.partition(" (")[0] for note in notes if "rolled" in note] == [
        "collapse watch: rolled back to step 2",
        "collapse watch: rolled back to step 8",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patience": 0}, r"trainer\.collapse\.patience is 0; it must be at least 1"),
        ({"rollbacks": -1}, r"trainer\.collapse\.rollbacks is -1; it must be at least 0"),
        ({"cut": 0.0}, r"trainer\.collapse\.cut is 0\.0; it must be in \(0, 1\]"),
        ({"cut": 1.5}, r"trainer\.collapse\.cut is 1\.5"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        CollapseConfig(**options)
