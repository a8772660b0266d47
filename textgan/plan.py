"""The plan of a run, printed before it is run: stages, moves, steps, and what they will cost."""

from __future__ import annotations

from collections.abc import Iterator

from textgan.data.batches import Batches
from textgan.experiment import Parts
from textgan.game import Act, Move, Place
from textgan.stopwatch import peak_memory, seconds_of
from textgan.trainer import Trainer

GIGABYTE = 1e9


def plan_lines(parts: Parts) -> Iterator[str]:
    """The plan in lines for people. Every kind of step is made twice on this machine to see time and memory.

    Nothing is written anywhere.
    """
    game, corpus = parts.game, parts.corpus
    yield f"corpus      {corpus.name}"
    for line in corpus.report.lines():
        yield f"            {line}"
    yield ""
    for name, module in game.named_children():
        parameters = sum(p.numel() for p in module.parameters())
        buffers = sum(b.numel() * b.element_size() for b in module.buffers())
        yield f"{name:22s} {parameters:14,d} parameters" + (f", {buffers / 1e6:.1f} MB of buffers" if buffers else "")
    yield ""
    trainer = Trainer(game, Batches(corpus.train, parts.settings.seed), parts.settings.trainer)
    total = 0.0
    yield f"{'stage':24s}{'rounds':>8s}  {'move':32s}{'steps':>10s}{'s/step':>10s}{'time':>10s}"
    for s, stage in enumerate(trainer.stages):
        if not stage.rounds:
            continue
        seconds: dict[int, float] = {}
        for m, move in enumerate(stage.moves):
            same = next((k for k in range(m) if stage.moves[k] is move), m)
            if same not in seconds:
                seconds[same] = _seconds(trainer, Place(s, 0, m))
            steps = move.times * -(-stage.rounds // move.every)
            total += steps * seconds[same]
            title, rounds = (stage.name, f"{stage.rounds:,}") if m == 0 else ("", "")
            costs = f"{steps:>10,d}{seconds[same]:>10.3f}{_clock(steps * seconds[same]):>10s}"
            yield f"{title:24s}{rounds:>8s}  {_describe(move):32s}{costs}"
    yield ""
    yield f"{trainer.steps:,} steps, about {_clock(total)} on {trainer.device} without measurements"
    yield f"about {peak_memory(trainer.device) / GIGABYTE:.1f} GB of memory on {trainer.device}"


def _seconds(trainer: Trainer, place: Place) -> float:
    """Time of one step, the second of two: the first one warms caches up."""
    return seconds_of(lambda: trainer.make(place), trainer.device, 2)[-1]


def _describe(move: Move | Act) -> str:
    if isinstance(move, Act):
        return getattr(move.do, "__name__", "act").strip("_")
    return f"{move.player}: {getattr(move.loss, '__name__', 'loss').strip('_')}"


def _clock(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
