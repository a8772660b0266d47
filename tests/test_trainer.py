"""The trainer against what it promises, with a game of Gaussians: it must know nothing of text."""

from __future__ import annotations

import copy
import json
import math
import os
import signal
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim import SGD

from tests.toys import Gaussian, ToyGame, assert_bitwise_equal, weights
from textgan.checkpoint import CheckpointStore
from textgan.collapse import CollapseWatch, Limit
from textgan.errors import UserError
from textgan.game import Act, Game, Loss, Move, Place, Stage, walk
from textgan.processes import choose_device
from textgan.reproducibility import seed_everything
from textgan.signals import Interrupted
from textgan.trainer import Measurement, NonFiniteLoss, Trainer, TrainerConfig, channels_last

CPU = TrainerConfig(device="cpu", log_every=1)


def _trainer(folder: Path | None = None, config: TrainerConfig = CPU, seed: int = 0, **options) -> Trainer:
    seed_everything(seed)
    store = CheckpointStore(folder, keep=100) if folder else None
    return Trainer(ToyGame(), Gaussian(), config, store, **options)


class _Stop(Exception):
    """In place of a kill: ends play between two steps, with nothing done about it."""


def _play(trainer: Trainer, steps: int | None = None) -> None:
    """Play, or play until `steps` steps are made and then die."""
    made = 0
    make = trainer.make

    def counted(place: Place) -> None:
        nonlocal made
        if made == steps:
            raise _Stop
        made += 1
        make(place)

    trainer.make = counted  # type: ignore[method-assign]
    if steps is None:
        trainer.play()
    else:
        with pytest.raises(_Stop):
            trainer.play()


def test_the_same_seed_gives_bitwise_equal_weights_and_another_does_not():
    games = []
    for seed in (0, 0, 1):
        trainer = _trainer(seed=seed)
        trainer.play()
        games.append(weights(trainer.game))
    assert_bitwise_equal(games[0], games[1])
    assert any(not torch.equal(games[0][name], games[2][name]) for name in games[0])


@pytest.mark.parametrize(
    "config",
    [
        CPU,
        TrainerConfig(device="cpu", ema=0.9),
        TrainerConfig(device="cpu", micro_batch=3),
        TrainerConfig(device="cpu", shards=2),
    ],
)
def test_a_run_killed_after_any_step_resumes_to_the_same_weights(tmp_path, config):
    config = TrainerConfig(**{**config.__dict__, "checkpoint_every": 0.0})
    whole = _trainer(tmp_path / "whole", config)
    whole.play()
    for killed_after in range(1, whole.steps):
        folder = tmp_path / str(killed_after)
        _play(_trainer(folder, config), killed_after)
        resumed = _trainer(folder, config, seed=99)  # whatever the seed, the checkpoint has the generators' states
        assert resumed.resume()
        assert resumed.step == killed_after
        resumed.play()
        assert_bitwise_equal(weights(resumed.game), weights(whole.game))
        with resumed.averaged(), whole.averaged():
            assert_bitwise_equal(weights(resumed.game), weights(whole.game))


def test_an_old_checkpoint_resumes_to_the_same_weights(tmp_path):
    config = TrainerConfig(device="cpu", checkpoint_every=math.inf)  # only at the ends of stages
    whole = _trainer(tmp_path / "whole", config)
    whole.play()
    _play(_trainer(tmp_path / "killed", config), 11)
    resumed = _trainer(tmp_path / "killed", config)
    assert resumed.resume()
    assert resumed.step == 6
    resumed.play()
    assert_bitwise_equal(weights(resumed.game), weights(whole.game))


def test_a_finished_run_resumes_to_nothing_left_to_do(tmp_path):
    trainer = _trainer(tmp_path)
    trainer.play()
    again = _trainer(tmp_path)
    assert again.resume()
    again.play()
    assert again.step == trainer.steps
    assert_bitwise_equal(weights(again.game), weights(trainer.game))


def test_measuring_never_changes_training():
    def measure(game: Game, ends_stage: bool) -> Measurement:
        assert not game.training
        return Measurement({"mean": game.sample(100).mean().item()}, [])

    plain = _trainer()
    plain.play()
    measured = _trainer(measure=measure)
    measured.play()
    assert_bitwise_equal(weights(plain.game), weights(measured.game))


def test_each_measurement_draws_from_the_same_seed():
    drawn = []

    def measure(game: Game, ends_stage: bool) -> Measurement:
        drawn.append(torch.rand(()).item())
        return Measurement({}, [])

    _trainer(measure=measure).play()
    assert len(drawn) > 2
    assert len(set(drawn)) == 1


def test_measurements_are_spread_over_a_stage_and_one_ends_it():
    ends = []

    def measure(game: Game, ends_stage: bool) -> Measurement:
        ends.append((trainer.step, ends_stage))
        return Measurement({}, [])

    seed_everything(0)
    trainer = Trainer(ToyGame(rounds=5), Gaussian(), TrainerConfig(device="cpu", evaluations=2), measure=measure)
    trainer.play()
    rounds_end = [6 + 4, 6 + 4 + 3, 6 + 4 + 3 + 4, 6 + 4 + 3 + 4 + 3, 6 + 4 + 3 + 4 + 3 + 4]
    assert ends == [(3, False), (6, True), (rounds_end[2], False), (rounds_end[4], True)]


def test_only_the_mover_moves():
    trainer = _trainer()
    for place in walk(trainer.stages):
        before = weights(trainer.game)
        trainer.make(place)
        after = weights(trainer.game)
        move = trainer.stages[place.stage].moves[place.move]
        mover = {"critic": "critic", "generator": "generator", "warm_up": "generator"}.get(getattr(move, "player", ""))
        moved = {name for name, _ in trainer.game.named_parameters() if not torch.equal(before[name], after[name])}
        assert all(name.startswith(str(mover)) for name in moved)
        assert bool(moved) == (mover is not None)


def test_everybody_but_the_mover_is_frozen_while_a_loss_is_computed():
    seen = []

    class Watching(ToyGame):
        def _criticise(self, real, turn):
            seen.append([p.requires_grad for p in self.generator.parameters()])
            seen.append([not p.requires_grad for p in self.critic.parameters()])
            return super()._criticise(real, turn)

    seed_everything(0)
    Trainer(Watching(), Gaussian(), CPU).play()
    assert seen
    assert not any(any(flags) for flags in seen)


def test_turns_tell_stage_round_and_progress():
    trainer = _trainer()
    trainer.play()
    assert trainer.game.turns == [("warm_up", r, r / 2) for r in (0, 1) for _ in range(3)]


def test_after_is_called_once_a_step():
    trainer = _trainer()
    trainer.play()
    assert trainer.game.followed.item() == 2  # rounds 0 and 2 of 3


class _Quadratic(Game):
    """Minimises the mean of |w - x|^2 / 2 by SGD: every update has a closed form."""

    def __init__(self, clip: float | None = None, poison: int | None = None) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(2))
        self.batch_size, self.clip, self.poison, self.calls = 8, clip, poison, 0

    def optimizers(self):
        return {"w": SGD([self.w], lr=0.5)}

    def stages(self):
        return [Stage("descent", 4, [Move("w", self._loss, clip=self.clip)])]

    def _loss(self, x, turn):
        self.calls += 1
        distance = (self.w - x).square().sum(1).mean() / 2
        return Loss({"distance": distance / (0 if self.calls == self.poison else 1), "other": 0 * distance})


def test_the_update_is_gradient_descent_on_the_sum_of_the_terms():
    game, data = _Quadratic(), Gaussian()
    Trainer(game, data, CPU).play()
    w, again = torch.zeros(2), Gaussian()
    for _ in range(4):
        w = w - 0.5 * (w - again.next(8).mean(0))
    torch.testing.assert_close(game.w.detach(), w)


@pytest.mark.parametrize("size", [1, 3, 8, 100])
def test_micro_batches_add_up_to_the_whole_batch(size):
    whole, split = _Quadratic(), _Quadratic()
    Trainer(whole, Gaussian(), CPU).play()
    Trainer(split, Gaussian(), TrainerConfig(device="cpu", micro_batch=size)).play()
    torch.testing.assert_close(split.w, whole.w)
    assert split.calls == 4 * math.ceil(8 / size)


def test_a_gradient_longer_than_the_clip_is_scaled_down_and_its_true_norm_logged():
    records = []
    game = _Quadratic(clip=0.1)
    trainer = Trainer(game, Gaussian(), CPU, log=records.append)
    trainer.make(Place())
    gradient = -Gaussian().next(8).mean(0)
    torch.testing.assert_close(game.w.detach(), -0.5 * 0.1 * gradient / gradient.norm())
    Trainer(_Quadratic(clip=0.1), Gaussian(), CPU, log=records.append).play()
    assert records[0]["values"]["gradient_norm"] == pytest.approx(gradient.norm().item())


def test_the_running_average_is_the_exponential_one_of_the_movers_weights():
    game, history = _Quadratic(), []
    trainer = Trainer(game, Gaussian(), TrainerConfig(device="cpu", ema=0.5))
    for place in walk(trainer.stages):
        trainer.make(place)
        history.append(game.w.detach().clone())
    average = history[0]
    for w in history[1:]:
        average = 0.5 * average + 0.5 * w
    with trainer.averaged():
        torch.testing.assert_close(game.w.detach(), average)
    torch.testing.assert_close(game.w.detach(), history[-1])


def test_losses_are_logged_as_means_since_the_last_record():
    every, third = [], []
    for records, log_every in ((every, 1), (third, 3)):
        Trainer(_Quadratic(), Gaussian(), TrainerConfig(device="cpu", log_every=log_every), log=records.append).play()
    values = [record["values"]["distance"] for record in every]
    assert [record["step"] for record in third] == [3, 4]
    assert third[0]["values"]["distance"] == pytest.approx(sum(values[:3]) / 3)
    assert third[1]["values"]["distance"] == pytest.approx(values[3])
    assert all({"kind", "player", "step", "stage", "round", "seconds"} <= record.keys() for record in third)
    json.dumps(third)


def test_a_loss_that_is_not_finite_stops_before_the_update_and_names_the_term(tmp_path):
    game = _Quadratic(poison=3)
    trainer = Trainer(game, Gaussian(), TrainerConfig(device="cpu", checkpoint_every=0.0), CheckpointStore(tmp_path))
    with pytest.raises(NonFiniteLoss, match=r"w's loss is not finite at step 2 \(descent\): distance = inf"):
        trainer.play()
    assert game.w.isfinite().all()
    step, state = CheckpointStore(tmp_path).load()
    assert step == 2
    assert state["game"]["w"].isfinite().all()


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_finishes_the_step_saves_and_tells_the_exit_status(tmp_path, signum, status):
    whole = _trainer()
    whole.play()
    config = TrainerConfig(device="cpu", checkpoint_every=math.inf)
    trainer = _trainer(tmp_path, config)
    make = trainer.make

    def interrupting(place):
        if trainer.step == 8:
            os.kill(os.getpid(), signum)
        make(place)

    trainer.make = interrupting
    with pytest.raises(Interrupted) as stop:
        trainer.play()
    assert stop.value.status == status
    resumed = _trainer(tmp_path, config)
    assert resumed.resume()
    assert resumed.step == 9
    resumed.play()
    assert_bitwise_equal(weights(resumed.game), weights(whole.game))


def test_the_best_measurement_marks_its_checkpoint(tmp_path):
    values = iter([3.0, 1.0, 2.0, 5.0, 4.0])
    config = TrainerConfig(device="cpu", evaluations=100, best="loss", checkpoint_every=math.inf)
    seed_everything(0)
    store = CheckpointStore(tmp_path, keep=1)
    Trainer(ToyGame(), Gaussian(), config, store, measure=lambda *_: Measurement({"loss": next(values)}, [])).play()
    assert store.best == {"step": 6, "metric": "loss", "value": 1.0}
    assert store.steps() == [6, 17]


def test_a_run_may_end_with_what_was_best(tmp_path):
    """The networks are those of the best checkpoint, and the last scores are measured of them."""
    values = iter([3.0, 1.0, 2.0, 5.0, 4.0, 1.5])
    records, measured = [], []

    def measure(game: Game, ends_stage: bool) -> Measurement:
        measured.append(weights(game))
        return Measurement({"loss": next(values)}, [{"kind": "test", "scores": {}}] if ends_stage else [])

    config = TrainerConfig(device="cpu", evaluations=100, best="loss", final="best")
    seed_everything(0)
    trainer = Trainer(ToyGame(), Gaussian(), config, CheckpointStore(tmp_path), records.append, measure)
    trainer.play()
    assert_bitwise_equal(weights(trainer.game), measured[1])
    assert_bitwise_equal(measured[-1], measured[1])
    assert [r["message"] for r in records if r["kind"] == "event"] == [
        "went back to the best checkpoint, step 6: loss 1"
    ]
    assert (records[-1]["kind"], records[-1]["stage"]) == ("test", "adversarial")


def test_the_watch_warns_in_the_log():
    records = []
    seed_everything(0)
    values = iter([0.9, 0.9, 0.1, 0.1, 0.9])
    Trainer(
        ToyGame(), Gaussian(), CPU, log=records.append,
        measure=lambda *_: Measurement({"unique": next(values)}, []),
        watch=CollapseWatch({"unique": 1.0}, [Limit("unique", worst=0.0)], []),
    ).play()  # fmt: skip
    assert [r["message"] for r in records if r["kind"] == "warning"] == [
        "unique is 0.100; real data has 1.000, the limit is 0.500"
    ] * 2


def test_bf16_runs_networks_in_bfloat16_and_keeps_weights_in_float32():
    dtypes = []

    class Looking(ToyGame):
        def _generate(self, real, turn):
            dtypes.append(self.critic(real).dtype)
            return super()._generate(real, turn)

        def _criticise(self, real, turn):
            loss = super()._criticise(real, turn)
            dtypes.append(loss.terms["penalty"].dtype)
            return loss

    seed_everything(0)
    trainer = Trainer(Looking(), Gaussian(), TrainerConfig(device="cpu", precision="bf16"))
    trainer.play()
    assert set(dtypes) == {torch.bfloat16, torch.float32}
    assert dtypes[0] == torch.float32
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in trainer.game.parameters())


def test_an_act_makes_no_gradient():
    seen = []

    class Acting(_Quadratic):
        def stages(self):
            return [Stage("one", 1, [Act(lambda turn: seen.append((torch.is_grad_enabled(), turn)))])]

    Trainer(Acting(), Gaussian(), CPU).play()
    assert seen == [(False, ("one", 0, 0.0))]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ema": 1.0}, r"trainer\.ema is 1\.0; it must be in \[0, 1\)"),
        ({"log_every": 0}, r"trainer\.log_every is 0; it must be at least 1"),
        ({"micro_batch": -1}, r"trainer\.micro_batch is -1"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        TrainerConfig(**options)


def test_devices():
    assert choose_device("cpu").type == "cpu"
    with pytest.raises(UserError, match=r"device is 'gpu'; it must be auto"):
        choose_device("gpu")
    with pytest.raises(UserError, match="device is 'meta'"):
        choose_device("meta")
    with pytest.raises(UserError, match="the number of CUDA devices here is 0"):
        choose_device("cuda:99")


def test_the_toy_learns():
    seed_everything(0)
    game = ToyGame(rounds=400, learning_rate=3e-3)
    Trainer(game, Gaussian(), TrainerConfig(device="cpu")).play()
    game.eval()
    assert (copy.deepcopy(game).sample(2000).mean(0) - 3).abs().max() < 0.7


def test_the_layout_of_convolutions_changes_no_value_and_touches_nothing_else():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 2)).double()
    network.register_buffer("five", torch.randn(1, 2, 3, 4, 5))
    images, weight = torch.randn(2, 3, 8, 8, dtype=torch.float64), network[0].weight
    outcomes = []
    for lay_out in (lambda network: None, channels_last):
        lay_out(network)
        network.zero_grad()
        found = network(images)
        found.square().sum().backward()
        outcomes.append((found.detach(), *(p.grad.clone() for p in network.parameters())))
    assert network[0].weight is weight  # the optimiser's
    assert weight.is_contiguous(memory_format=torch.channels_last)
    for plain, ours in zip(*outcomes, strict=True):
        torch.testing.assert_close(ours, plain)
