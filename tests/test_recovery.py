"""Collapses that are provoked: what comes back, what is cut, what goes on, and when it ends."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

import textgan
from tests.toys import Gaussian, assert_bitwise_equal, weights
from textgan.checkpoint import CheckpointStore
from textgan.collapse import CollapseConfig, Collapsed, CollapseWatch, Limit
from textgan.errors import UserError
from textgan.game import Game, Loss, Move, Stage, Turn
from textgan.progress import Progress
from textgan.recovery import SEEDS_APART
from textgan.reproducibility import seed_everything, seed_generators
from textgan.train import STOPPED, main
from textgan.trainer import Measurement, NonFiniteLoss, Trainer, TrainerConfig

RATE = 0.5


class Fragile(Game):
    """A point `w` descends to its data in the first move; the second, in the rounds `broken`, throws it far away.

    Rounds are counted through both stages. `poisoned` ones have a loss that is not finite in the second move.
    """

    batch_size = 8

    def __init__(self, broken: Collection[int] = (), poisoned: Collection[int] = (), noise: float = 0.0) -> None:
        super().__init__()
        self.broken, self.poisoned, self.noise = broken, poisoned, noise
        self.w = nn.Parameter(torch.zeros(2))
        self.register_buffer("descents", torch.zeros((), dtype=torch.int64))

    def optimizers(self) -> dict[str, Optimizer]:
        kind = Adam if self.noise else SGD
        return {"descent": kind([self.w], lr=RATE), "breaker": SGD([self.w], lr=RATE)}

    def stages(self) -> list[Stage]:
        moves = [Move("descent", self._descend, after=self._count), Move("breaker", self._break)]
        return [Stage("first", 4, moves), Stage("second", 6, moves)]

    def _descend(self, x: Tensor, turn: Turn) -> Loss:
        noise = self.noise * torch.randn(2) if self.noise else 0.0
        return Loss({"distance": (self.w - x + noise).square().sum(1).mean() / 2})

    def _count(self) -> None:
        self.descents += 1

    def _break(self, x: Tensor, turn: Turn) -> Loss:
        now = turn.round + (4 if turn.stage == "second" else 0)
        push = -1e4 * self.w.sum() if now in self.broken else 0.0 * self.w.sum()
        return Loss({"push": push / (0.0 if now in self.poisoned else 1.0)})


def measure(game: Game, ends_stage: bool) -> Measurement:
    """All is well where the point is near."""
    assert isinstance(game, Fragile)
    values = {"unique": 1.0 if game.w.abs().max() < 100 else 0.1, "distance": game.w.abs().max().item()}
    scores = {name: {"value": value} for name, value in values.items()}
    return Measurement(values, [{"kind": "test" if ends_stage else "metrics", "scores": scores}])


def trainer_of(
    game: Fragile,
    collapse: CollapseConfig,
    folder: Path | None = None,
    kind: type[Trainer] = Trainer,
    log: Any = lambda record: None,
    measure: Any = measure,
    **options: Any,
) -> Trainer:
    """Measures every round and, in a folder, saves at every step."""
    config = TrainerConfig(
        **{"device": "cpu", "evaluations": 100, "checkpoint_every": 0.0, "collapse": collapse, **options}
    )
    store = CheckpointStore(folder, keep=100) if folder else None
    watch = CollapseWatch({"unique": 1.0}, [Limit("unique", worst=0.0)], [])
    seed_everything(0)
    return kind(game, Gaussian(), config, store, log, measure, watch)


def by_hand(rates: list[float], broken: Collection[int]) -> Tensor:
    """Where the point ends: `rates` of the rounds, of which those `broken` are undone."""
    batches = Gaussian()
    w = torch.zeros(2)
    for now, rate in enumerate(rates):
        descended = w - rate * (w - batches.next(8).mean(0))
        batches.next(8)
        w = w if now in broken else descended
    return w


def events(records: list[dict[str, Any]]) -> list[str]:
    return [record["message"] for record in records if record["kind"] == "event"]


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


GOOD, BAD = 0.9, 0.1


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


class TestSeqGAN:
    """Played at a hundred times its rate and without a baseline, on sentences of which none comes twice."""

    LIMIT = 0.5
    """Of the share of different sentences; it is 1 in the data."""

    @pytest.fixture
    def play(self, corpus_file: Path, tmp_path: Path) -> Any:
        options = (
            f"seqgan --tiny --corpus {corpus_file} --seed 2 --game.pretraining.epochs 25 "
            "--game.pretraining.learning-rate 0.01 --game.rounds 9 --game.learning-rate 0.1 --game.baseline none "
            "--trainer.evaluations 9 --evaluation.samples 100 --evaluation.final-samples 50 "
            "--evaluation.temperatures 1"
        )

        def play(name: str, *more: object) -> tuple[int, list[dict[str, Any]]]:
            status = 0
            try:
                main([*options.split(), "--run", str(tmp_path / name), *map(str, more)])
            except SystemExit as stop:
                status = int(stop.code or 0)
            return status, [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]

        return play

    @staticmethod
    def unique(records: list[dict[str, Any]]) -> dict[int, float]:
        measured = [record for record in records if record["kind"] == "metrics"]
        return {record["step"]: record["scores"]["unique"]["value"] for record in measured}

    def test_collapses_without_the_watch_and_not_with_it(self, play: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("textgan.experiment.build_report", lambda folders: "")  # most of a short run's time
        status, records = play("warned", "--trainer.collapse.action", "warn")
        assert status == 0
        warned = self.unique(records)
        assert max(list(warned.values())[-5:]) < self.LIMIT
        assert not [record for record in records if "rollbacks" in record]

        status, records = play("recovered")
        recovered = self.unique(records)
        first = next(record for record in records if "rollbacks" in record)["step"]
        until_then = [step for step in recovered if step < first]
        assert [recovered[step] for step in until_then] == [warned[step] for step in until_then]
        assert status == 0 or [r for r in records if r["kind"] == "event"][-1]["message"].startswith("stopped: ")
        assert list(recovered.values())[-1] > self.LIMIT

    def test_stops_with_the_reason_and_leaves_a_model_that_works(
        self, play: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        status, records = play("run", "--trainer.collapse.rollbacks", 0)
        assert status == STOPPED == 3
        event = [record for record in records if record["kind"] == "event"][-1]
        assert event["message"].startswith("stopped: ")
        reason = event["message"].removeprefix("stopped: ")
        assert "rollbacks before: 0; the networks of step " in reason
        line = capsys.readouterr().err.splitlines()[-1]
        assert line.startswith(f"textgan: stopped: {reason}; ")

        run = tmp_path / "run"
        assert len(set(textgan.load(run).sample(100, seed=0))) > 100 * self.LIMIT
        assert reason.partition(";")[0] in (run / "report.html").read_text()
        assert reason in (run / "README.md").read_text()
        assert {"test", "sweep"} == {record["kind"] for record in records[-2:]}  # of what is kept

        before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
        weights_before = load_file(run / "model.safetensors")
        assert play("run", "--trainer.collapse.rollbacks", 0, "--resume") == (3, records)
        assert capsys.readouterr().err.splitlines()[-1] == line
        assert_bitwise_equal(load_file(run / "model.safetensors"), weights_before)
        assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
