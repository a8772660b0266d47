"""Where the time of a game's steps goes, seen from outside: the trainer plays, and what it calls is timed.

Nothing of the trainer is repeated here. The game's losses, its optimisers, the batches and `Tensor.backward` are
wrapped; the steps are those of `Trainer.make`.
"""

from __future__ import annotations

import functools
import math
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from textgan import policy_gradient
from textgan.data.spec import TextSpec
from textgan.floors import Cost, Counter, counted
from textgan.game import Act, Game, Move, Place, Stage, walk
from textgan.stopwatch import forget_peak, now, peak_memory, seconds_of
from textgan.trainer import Batches, Trainer, TrainerConfig

PARTS = ("batch", "loss", "backward", "optimizer")
"""What a step is split into, in this order; what is left is the rest."""
ROLLOUTS, REWARD = "roll-outs", "reward of roll-outs"
DECODE = "decode of roll-outs"


class Clock:
    """Adds up the seconds of named parts while it is `running`."""

    def __init__(self) -> None:
        self.device = torch.device("cpu")
        self.running = False
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """What is done inside is this part."""
        if not self.running:
            yield
            return
        started = now(self.device)
        try:
            yield
        finally:
            self.seconds[name] += now(self.device) - started

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """`call`, as a part."""

        @functools.wraps(call)
        def wrapped(*args: Any, **options: Any) -> Any:
            with self.part(name):
                return call(*args, **options)

        return wrapped

    def read(self) -> dict[str, float]:
        """Seconds since it was last read."""
        seconds, self.seconds = dict(self.seconds), defaultdict(float)
        return seconds


class TimedBatches:
    """Batches whose loading is the part ``batch``; it remembers the last one."""

    def __init__(self, batches: Batches, clock: Clock) -> None:
        self._batches, self._clock = batches, clock
        self.last: Any = None

    def next(self, n: int, part: slice = slice(None)) -> Any:
        with self._clock.part("batch"):
            self.last = self._batches.next(n, part)
        return self.last

    def state_dict(self) -> dict[str, Any]:
        return self._batches.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._batches.load_state_dict(state)


@dataclass(frozen=True)
class InnerPart:
    """A part of a loss."""

    name: str
    seconds: float
    """Of one step."""
    cost: Cost


@dataclass(frozen=True)
class StepProfile:
    """What one step of a move or act takes."""

    stage: str
    move: str
    times: float
    """Steps a round; below 1 for a move that is not made every round."""
    seconds: float
    """Of one step, a median. On a GPU, of steps that nobody looks into, so that the host may run ahead of it."""
    parts: dict[str, float]
    """Seconds of each of `PARTS` and of the ``rest`` in the step of median length; on a GPU, waiting for it after each
    part. Empty for an act."""
    amount: int
    """Tokens, images or examples of real data that are handed to the step."""
    unit: str
    peak: int
    """Most bytes held: on a GPU during these steps, on a CPU by the process so far."""
    cost: Cost
    inner: tuple[InnerPart, ...] = ()


class Profiler:
    """Plays steps of `game`, which is changed by it: use it for nothing else."""

    def __init__(self, game: Game, batches: Batches, config: TrainerConfig) -> None:
        self._clock = clock = Clock()
        self._batches = TimedBatches(batches, clock)
        self._spec = getattr(game, "spec", None)
        self.stages = game.stages()
        """As the game has them."""
        timed_stages = [replace(stage, moves=[_timed(move, clock) for move in stage.moves]) for stage in self.stages]
        game.stages = lambda: timed_stages  # type: ignore[method-assign]
        self.trainer = Trainer(game, self._batches, config)
        clock.device = self.trainer.device
        for optimizer in self.trainer.optimizers.values():
            optimizer.step = clock.timed("optimizer", optimizer.step)  # type: ignore[method-assign]

    def profile(self, steps: int = 3) -> Iterator[StepProfile]:
        """Every kind of step of every stage that is played, in order; each is made once to warm up.

        It is made `steps` times for its seconds, as often for its parts, and once or twice for its costs.
        """
        for s, stage in enumerate(self.stages):
            for m, times in kinds(stage) if stage.rounds else ():
                yield self._profile(Place(s, 0, m), times, steps)

    def trace(self, file: Path, most: int = 3) -> str:
        """Write a Chrome trace of a round of the last stage, in which no move is made more than `most` times running.

        The name of the stage is returned.
        """
        last = max(s for s, stage in enumerate(self.stages) if stage.rounds)
        activities = [torch.profiler.ProfilerActivity.CPU]
        if self.trainer.device.type == "cuda":
            activities.append(torch.profiler.ProfilerActivity.CUDA)
        with torch.profiler.profile(activities=activities) as profile:
            for place in walk(self.stages, Place(last)):
                if place.round:
                    break
                if place.time < most:
                    with torch.profiler.record_function(describe(self.stages[last].moves[place.move])):
                        self.trainer.make(place)
        profile.export_chrome_trace(str(file))
        return self.stages[last].name

    def _profile(self, place: Place, times: float, steps: int) -> StepProfile:
        trainer, device = self.trainer, self.trainer.device
        stage = self.stages[place.stage]
        move = stage.moves[place.move]

        def step() -> None:
            trainer.make(place)

        step()
        forget_peak(device)
        split = self._split(step, steps)
        seconds = split["whole"]
        if device.type == "cuda":  # which runs ahead of the host where nobody waits for it
            seconds = statistics.median(seconds_of(step, device, steps))
        peak = peak_memory(device)
        cost, _ = counted(step)
        is_move = isinstance(move, Move)
        amount, unit = amount_of(self._batches.last, self._spec) if is_move else (0, "")
        names = (*PARTS, "rest")
        parts = {name: split.get(name, 0.0) for name in names} if is_move else {}
        inner: tuple[InnerPart, ...] = ()
        if ROLLOUTS in split:
            costs = rollout_costs(step)
            inner = (
                InnerPart(DECODE, split[ROLLOUTS] - split.get(REWARD, 0.0), costs[DECODE]),
                InnerPart(REWARD, split.get(REWARD, 0.0), costs[REWARD]),
            )
        return StepProfile(stage.name, describe(move), times, seconds, parts, amount, unit, peak, cost, inner)

    def _split(self, step: Callable[[], None], steps: int) -> dict[str, float]:
        """Seconds of the parts of the step that is the median of several, and of the ``whole``."""
        clock, found = self._clock, []
        rollouts, backward = _timed_rollouts(clock), clock.timed("backward", Tensor.backward)
        with replaced(policy_gradient.rollout_rewards, rollouts), _set(Tensor, "backward", backward):
            clock.running = True
            for _ in range(steps):
                (whole,) = seconds_of(step, clock.device)
                parts = clock.read()
                rest = whole - sum(parts.get(name, 0.0) for name in PARTS)
                found.append({**parts, "rest": rest, "whole": whole})
            clock.running = False
        return sorted(found, key=itemgetter("whole"))[steps // 2]


def kinds(stage: Stage) -> list[tuple[int, float]]:
    """The place of each different move among a stage's moves, and how many steps a round it makes, on average.

    The stage has rounds.
    """
    found: dict[int, tuple[int, float]] = {}
    for place, move in enumerate(stage.moves):
        first, times = found.get(id(move), (place, 0.0))
        found[id(move)] = first, times + move.times * math.ceil(stage.rounds / move.every) / stage.rounds
    return list(found.values())


def describe(move: Move | Act) -> str:
    """A move or act in a few words."""
    if isinstance(move, Act):
        return getattr(move.do, "__name__", "act").strip("_")
    return f"{move.player}: {getattr(move.loss, '__name__', 'loss').strip('_')}"


def amount_of(batch: Any, spec: Any) -> tuple[int, str]:
    """How much a batch of real examples is: tokens, padding left out; where there are none, images or examples."""
    leaves = tree_leaves(batch)
    if isinstance(spec, TextSpec):
        rows = [leaf for leaf in leaves if leaf.ndim > 1 and not leaf.is_floating_point()]
        return sum(int((leaf != spec.pad).sum()) for leaf in rows), "tokens"
    return len(leaves[0]), "images" if leaves[0].ndim == 4 else "examples"


@contextmanager
def replaced(function: Callable[..., Any], by: Callable[..., Any]) -> Iterator[None]:
    """Inside, every module of textgan that has `function` under its name has `by` in its place."""
    name = function.__name__
    with ExitStack() as stack:
        for module in [module for key, module in sys.modules.items() if key.startswith("textgan.")]:
            if vars(module).get(name) is function:
                stack.enter_context(_set(module, name, by))
        yield


def rollout_costs(step: Callable[[], Any]) -> dict[str, Cost]:
    """What the roll-outs of a step cost: completing the sentences, and rewarding them."""
    plain, counters = policy_gradient.rollout_rewards, {DECODE: Counter(), REWARD: Counter()}

    def counting(policy: Any, spec: Any, tokens: Tensor, reward: Any, *rest: Any, **options: Any) -> Tensor:
        shared_reward = options.pop("shared_reward", None)

        def nothing(sentences: Tensor, of: Any) -> Tensor:
            return torch.zeros(len(sentences), device=tokens.device)

        def counted_reward(call: Any) -> Any:
            return lambda *args: counters[REWARD].run(lambda: call(*args))

        counters[DECODE].run(lambda: plain(policy, spec, tokens, nothing, *rest, **options))
        if shared_reward is not None:
            options["shared_reward"] = counted_reward(shared_reward)
        return plain(policy, spec, tokens, counted_reward(reward), *rest, **options)

    with replaced(plain, counting):
        step()
    return {name: counter.cost for name, counter in counters.items()}


def _timed_rollouts(clock: Clock) -> Callable[..., Tensor]:
    """`rollout_rewards` as a part, and of it, again, the rewards."""
    plain = policy_gradient.rollout_rewards

    def timed(policy: Any, spec: Any, tokens: Tensor, reward: Any, *rest: Any, **options: Any) -> Tensor:
        if options.get("shared_reward") is not None:
            options["shared_reward"] = clock.timed(REWARD, options["shared_reward"])
        with clock.part(ROLLOUTS):
            return plain(policy, spec, tokens, clock.timed(REWARD, reward), *rest, **options)

    return timed


def _timed(move: Move | Act, clock: Clock) -> Move | Act:
    return replace(move, loss=clock.timed("loss", move.loss)) if isinstance(move, Move) else move


@contextmanager
def _set(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Inside, an attribute has another value."""
    former = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, former)
