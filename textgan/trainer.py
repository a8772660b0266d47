"""Plays any game. Nothing in here has to do with text, with images or with any one GAN.

For each move: everybody but the mover is frozen; the loss is computed (autocast if asked, in shards and micro-batches
if asked); one backward pass of the sum of its terms; the gradient is clipped; one optimiser step; running averages;
`Move.after`; the log. Between steps: checkpoints, signals, and at the end of rounds measurements, which draw from a
forked random number generator and so never change training, unless they say that the game has collapsed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from textgan.averages import LossAverages, WeightAverages
from textgan.checkpoint import CheckpointStore
from textgan.collapse import CollapseConfig, Collapsed, CollapseWatch
from textgan.crew import Crew
from textgan.errors import UserError, check_at_least, check_share
from textgan.game import Act, Game, Move, Place, Turn, walk
from textgan.gradients import Gradients
from textgan.processes import Alone, Processes, choose_device
from textgan.progress import Progress
from textgan.recovery import Learned, Recovery
from textgan.reproducibility import forked_rng, restore_rng, rng_state
from textgan.signals import Interrupted, SignalFlag

MEASURING_SEED = 20_180_711
"""Measurements always draw from this seed, so that two of them differ by the networks alone."""


@dataclass(frozen=True)
class TrainerConfig:
    """How a game is played, whatever game it is."""

    device: str = "auto"
    """Where to train: auto (CUDA if there is one, else the CPU), cpu, cuda, cuda:1, ..."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16: networks run under bfloat16 autocast; weights, optimisers and gradient penalties stay float32."""
    devices: int = 1
    """Processes on each machine, a device each; torchrun says it itself. A batch is that of all processes together."""
    nodes: int = 1
    """Machines. On each of several the command is started by torchrun or a scheduler."""
    shards: int | None = None
    """Equal parts of a batch with random numbers of their own: a run has the same course on every number of processes
    that divides it. None: as many as there are processes."""
    micro_batch: int | None = None
    """Examples a backward pass; a larger batch is split and its gradients are added up. None: never split."""
    ema: float = 0.0
    """Decay of running averages of all weights, in [0, 1); what is sampled and saved is the average. 0: off."""
    evaluations: int = 10
    """Measurements a stage, evenly spaced over its rounds. There is always one at its end."""
    log_every: int = 10
    """Steps a record of the losses in metrics.jsonl; each record holds means since the one before."""
    checkpoint_every: float = 60.0
    """Seconds between checkpoints. There is also one at the end of each stage."""
    keep: int = 3
    """Newest checkpoints kept, beside the best."""
    best: str | None = None
    """Metric whose lowest value marks the best checkpoint. None: what the data's evaluation says."""
    final: Literal["last", "best"] = "last"
    """Which networks the run ends with: those of the last step, or those of the best checkpoint (early stopping)."""
    collapse: CollapseConfig = field(default_factory=CollapseConfig)

    def __post_init__(self) -> None:
        check_at_least(1, "trainer", self, "evaluations", "log_every", "keep", "micro_batch")
        check_at_least(1, "trainer", self, "devices", "nodes", "shards")
        check_at_least(0, "trainer", self, "checkpoint_every")
        check_share("trainer", self, "ema")


@runtime_checkable
class Batches(Protocol):
    """Where real examples come from; it knows its place and can be put back to it."""

    def next(self, n: int, part: slice = ...) -> Any: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Measurement(NamedTuple):
    """What was measured: a record for the log and the few numbers that are watched."""

    values: dict[str, float]
    records: Sequence[dict[str, Any]]


class NonFiniteLoss(Exception):
    """A loss or gradient is not a number any more. The message names the player, the terms and the step."""


class Trainer:
    """Plays `game` on `batches` from the beginning or, after `resume`, from a checkpoint.

    Args:
        log: takes each record (a JSON-able mapping) as it comes to be.
        measure: ``(game, at the end of a stage?) -> Measurement``; called with the game in eval mode. What it asks by
            `textgan.inference` all processes compute.
        watch: tells a collapse from the measured values.
        processes: those that play together, each with a trainer of its own. The first one measures, logs and saves.

    Raises:
        UserError: the processes do not divide the shards, or these the batch.
    """

    def __init__(
        self,
        game: Game,
        batches: Batches,
        config: TrainerConfig,
        checkpoints: CheckpointStore | None = None,
        log: Callable[[dict[str, Any]], None] = lambda record: None,
        measure: Callable[[Game, bool], Measurement] | None = None,
        watch: CollapseWatch | None = None,
        processes: Processes | None = None,
    ) -> None:
        self._processes = processes or Alone(choose_device(config.device))
        self.device = self._processes.device
        self.game = game.to(self.device)
        channels_last(self.game)
        self._gradients = Gradients(self.game, self._processes, config.shards, config.micro_batch, config.precision)
        self._crew = Crew(self.game, self._processes, self._gradients.shards, MEASURING_SEED)
        self.stages = game.stages()
        self.optimizers = {player: fused(optimizer) for player, optimizer in game.optimizers().items()}
        self.place = Place()
        self.step = 0
        self.seconds = 0.0
        self._batches, self._config, self._checkpoints = batches, config, checkpoints
        self._log, self._measure = log, measure
        self._watch = None if config.collapse.action == "off" else watch
        self._players = {
            player: [p for group in optimizer.param_groups for p in group["params"]]
            for player, optimizer in self.optimizers.items()
        }
        self._averages = WeightAverages(self._players, config.ema)
        self._losses = LossAverages()
        self._learned = Learned(self.game, self.optimizers, self._averages)
        self._recovery = Recovery(config.collapse, self._learned)
        self._best: float | None = None

    @property
    def steps(self) -> int:
        """Steps of the whole plan."""
        return sum(stage.steps for stage in self.stages)

    def play(self, progress: Progress | None = None) -> None:
        """Make every step of the plan that has not been made yet.

        Raises:
            Interrupted: on SIGINT or SIGTERM, after the step is finished and a checkpoint is written.
            Collapsed: the last rollback had not helped; with the last good networks, after a checkpoint of them.
            NonFiniteLoss: where there are no good networks to go back to, before a checkpoint could hold the damage.
        """
        self._progress = progress or Progress(self.steps, self.step, line_seconds=math.inf)
        started = last_checkpoint = time.monotonic()
        seconds_before = self.seconds
        plan = walk(self.stages, self.place)
        place = next(plan, None)
        with SignalFlag() as signals:
            while place is not None:
                with self._recovering(place):
                    try:
                        self.make(place)
                    finally:
                        self.step += 1
                self.seconds = seconds_before + time.monotonic() - started
                following = next(plan, None)
                ends_stage = following is None or following.stage != place.stage
                ends_round = ends_stage or following.round != place.round  # type: ignore[union-attr]
                self._progress.advance(self._where(place))
                if self.step % self._config.log_every == 0 or ends_stage:
                    self._flush_losses(place)
                self.place = following or Place(stage=len(self.stages))
                is_best = ends_round and self._look(place, ends_stage)
                due = time.monotonic() - last_checkpoint >= self._config.checkpoint_every
                signal, is_due = divmod(self._processes.largest(2 * (signals.received or 0) + due), 2)
                if ends_stage or is_best or is_due or signal or self._recovery.reason:
                    self._flush_losses(place)
                    self._save(is_best)
                    last_checkpoint = time.monotonic()
                if self._recovery.reason:
                    raise Collapsed(self._recovery.reason)
                if signal:
                    self._event(place, f"stopped by signal {signal}")
                    raise Interrupted(signal)
                place = following
            if self._config.final == "best":
                self._return_to_best()

    def resume(self) -> bool:
        """Continue from the newest whole checkpoint; False if there is none.

        Raises:
            UserError: no checkpoint is whole, or it is one of another game.
            Collapsed: the run was stopped, for the reason told then; everything is loaded nevertheless.
        """
        loaded = self._checkpoints.load() if self._checkpoints else None
        if loaded is None:
            return False
        self.step, state = loaded
        try:
            self._learned.load_state_dict(state)
        except RuntimeError as error:
            raise UserError(
                f"the checkpoint of step {self.step} does not fit: {' '.join(str(error).split())}"
            ) from error
        self.place = Place(*state["place"])
        self.seconds = state["seconds"]
        self._best = state["best"]
        self._gradients.seed = state["seed"]
        self._batches.load_state_dict(state["batches"])
        if self._watch:
            self._watch.load_state_dict(state["watch"])
        self._recovery.load_state_dict(state["recovery"], self.step)
        restore_rng(state["rng"])
        if self._recovery.reason:
            raise Collapsed(self._recovery.reason)
        return True

    def averaged(self) -> AbstractContextManager[None]:
        """Inside, the game's weights are their running averages (where these are kept)."""
        return self._averages.applied()

    def make(self, place: Place) -> None:
        """One step: the move or act at `place`."""
        stage = self.stages[place.stage]
        move = stage.moves[place.move]
        turn = Turn(stage.name, place.round, place.round / stage.rounds)
        if isinstance(move, Act):
            self._gradients.seed_whole(self._moment)
            with torch.no_grad(), self._averages.followed():
                move.do(turn)
                self._processes.as_first([*self.game.parameters(), *self.game.buffers()])
        else:
            self._update(move, turn)

    @property
    def _moment(self) -> tuple[int, int]:
        """What, with the seed, tells the random numbers of a step in shards from those of others."""
        return self._recovery.rollbacks, self.step

    def _update(self, move: Move, turn: Turn) -> None:
        mover = self._players[move.player]
        self.game.requires_grad_(False)
        for parameter in mover:
            parameter.requires_grad_(True)
        optimizer = self.optimizers[move.player]
        optimizer.zero_grad(set_to_none=True)
        batch = self._batches.next(self.game.batch_size, self._gradients.own)
        values = self._gradients.leave(move.loss, batch, turn, mover, self._moment)
        values["gradient_norm"] = norm = nn.utils.get_total_norm([p.grad for p in mover if p.grad is not None])
        if move.clip is not None:
            nn.utils.clip_grads_with_norm_(mover, move.clip, norm)
        # Reading a value makes the host wait for a GPU, which is therefore asked at log steps only; a checkpoint is
        # never written before it was asked (`_flush_losses`).
        if self.device.type == "cpu":
            self._check_finite(move.player, values, turn.stage)
        self._gradients.seed_whole(self._moment)  # an optimiser that draws draws the same everywhere
        optimizer.step()
        self._averages.update(move.player)
        if move.after is not None:
            with torch.no_grad():
                move.after()
        self._losses.add(move.player, values)

    def _flush_losses(self, place: Place) -> None:
        with self._recovering(place):
            self._log_losses(place)

    def _log_losses(self, place: Place) -> None:
        shown: dict[str, float] = {}
        for player, means in self._losses.take().items():
            self._check_finite(player, means, self.stages[place.stage].name)
            numbers = {name: value.item() for name, value in means.items()}
            self._record(place, kind="loss", player=player, values=numbers)
            shown |= {f"{player}/{name}": x for name, x in numbers.items() if name != "gradient_norm"}
        if shown:
            self._progress.values(shown)

    def _check_finite(self, player: str, values: dict[str, Tensor], stage: str) -> None:
        if torch.stack(list(values.values())).isfinite().all():
            return
        bad = ", ".join(f"{name} = {value.item():g}" for name, value in values.items() if not value.isfinite())
        raise NonFiniteLoss(f"{player}'s loss is not finite at step {self.step} ({stage}): {bad}")

    @contextmanager
    def _recovering(self, place: Place) -> Iterator[None]:
        """Inside, a loss that is not finite is answered by a rollback, where there is a state to go back to."""
        try:
            yield
        except NonFiniteLoss as error:
            if not self._recovery.is_possible:
                raise
            self._roll_back(place, str(error))

    def _roll_back(self, place: Place, why: str) -> None:
        said = self._recovery.roll_back(self.step, why)
        self._event(place, said, rollbacks=self._recovery.rollbacks)
        self._progress.note(f"collapse watch: {said}")
        if self._recovery.reason:
            self._measured(place, ends_stage=True)  # the last scores are of the networks that are kept

    def _look(self, place: Place, ends_stage: bool) -> bool:
        """Measure, if it is time to, and roll back from a collapse. True if this was the best measurement so far."""
        stage = self.stages[place.stage]
        due = ends_stage or (place.round + 1) % math.ceil(stage.rounds / self._config.evaluations) == 0
        if self._measure is None or not due:
            return False
        self._flush_losses(place)  # what is not finite is not measured, let alone remembered
        if self._recovery.reason:
            return False
        values = self._measured(place, ends_stage)
        broken = self._watch.check(values) if self._watch and stage.watched else []
        for message in broken:
            self._record(place, kind="warning", message=message)
            self._progress.note(f"collapse watch: {message}")
        if self._recovery.has_collapsed(bool(broken), ends_stage):
            self._roll_back(place, "; ".join(broken))
            if not ends_stage or self._recovery.reason:
                return False
            values = self._measured(place, ends_stage)  # what the stage ends with
        elif not broken:
            self._recovery.remember(self.step)
        value = values.get(self._config.best) if self._config.best else None
        if value is None or (self._best is not None and value >= self._best):
            return False
        self._best = value
        return True

    def _measured(self, place: Place, ends_stage: bool) -> dict[str, float]:
        """The values of a measurement, which is logged."""
        records: list[dict[str, Any]] = []

        def measure() -> dict[str, float]:
            assert self._measure is not None
            measurement = self._measure(self.game, ends_stage)
            records.extend(measurement.records)
            return measurement.values

        self.game.eval()
        with forked_rng(MEASURING_SEED), self.averaged(), torch.no_grad():
            values = self._crew.lead(measure)
        self.game.train()
        for record in records:
            self._record(place, **record)
        return values

    def _return_to_best(self) -> None:
        """What was best becomes what the run ends with, and its last scores are of it."""
        best = self._processes.from_first(lambda: self._checkpoints.best if self._checkpoints else None)
        if best is None or best["step"] == self.step:
            return
        assert self._checkpoints is not None
        self._learned.load_state_dict(self._checkpoints.load_step(best["step"]))
        end = Place(len(self.stages) - 1, max(0, self.stages[-1].rounds - 1))
        said = f"went back to the best checkpoint, step {best['step']:,}: {best['metric']} {best['value']:.4g}"
        self._event(end, said)
        self._measured(end, ends_stage=True)

    def _save(self, is_best: bool) -> None:
        self._processes.require_same(list(self.game.parameters()))
        if self._checkpoints is None or not self._processes.is_first:
            return
        state = {
            **self._learned.state_dict(),
            "place": tuple(self.place),
            "seconds": self.seconds,
            "best": self._best,
            "batches": self._batches.state_dict(),
            "watch": self._watch.state_dict() if self._watch else None,
            "recovery": self._recovery.state_dict(self.step),
            "rng": rng_state(),
            "seed": self._gradients.seed,
        }
        best = {"metric": self._config.best, "value": self._best} if is_best else None
        self._checkpoints.save(self.step, state, best)

    def _record(self, place: Place, **what: Any) -> None:
        if not self._processes.is_first:
            return
        where = {"step": self.step, "stage": self.stages[place.stage].name, "round": place.round}
        self._log({**what, **where, "seconds": round(self.seconds, 3)})

    def _event(self, place: Place, message: str, **more: Any) -> None:
        self._record(place, kind="event", message=message, **more)

    def _where(self, place: Place) -> str:
        stage, rollbacks = self.stages[place.stage], self._recovery.rollbacks
        rolled_back = f", {rollbacks} rollback{'s' * (rollbacks > 1)}" if rollbacks else ""
        return f"{stage.name} {place.round + 1}/{stage.rounds}{rolled_back}"


def channels_last(network: nn.Module) -> None:
    """Lay the weights of convolutions of images out as these are fastest; what they read follows them."""
    for parameter in network.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


def fused(optimizer: Optimizer) -> Optimizer:
    """Lets an optimiser that has made no step make each of them in one kernel, where torch has one for its kind."""
    if isinstance(optimizer, Adam | AdamW | SGD):
        for group in optimizer.param_groups:
            group["fused"] = True
    return optimizer
