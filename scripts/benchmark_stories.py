"""The benchmark of story endings: likelihood, the game and its control, beside what takes no learning.

For each seed a generator is trained by likelihood (``mle_story``); from its weights start ``story_ending`` and the same
game with a constant reward, which has the same steps of teacher forcing and no discriminator to listen to:

    python scripts/benchmark_stories.py --out results/story_world
    python scripts/benchmark_stories.py --out results/rocstories --corpus rocstories:train.csv \\
        --preset story_ending-rocstories --stories valid.csv --cloze cloze.csv

Runs that have ended are not made again and runs that were killed go on, so the command may be repeated. ``table.md``,
``results.json`` (every number, a value a seed) and ``plot.svg`` (quality against diversity) are made of all runs there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from textgan import command_line
from textgan.checkpoint import write_atomically
from textgan.command_line import flags_of, read_preset
from textgan.config import Settings, defaults
from textgan.data.stories import Story, StoryCorpus, open_cloze, open_stories, open_story_source
from textgan.evaluation.stories import words
from textgan.metrics import interval, paired_bootstrap, paired_bootstrap_means
from textgan.registry import find
from textgan.stories import StoryEnder
from textgan.stories.protocol import Protocol
from textgan.stories.table import SHOWN, Judge, System, cloze_table, controls, systems, table

SYSTEMS = ("mle", "constant", "gan")
GAMES = {"mle": "mle_story", "constant": "story_ending", "gan": "story_ending"}
Values = dict[str, dict[str, list[float]]]
"""Row -> metric -> one value a seed."""


@dataclass(frozen=True)
class Command:
    """Story endings: maximum likelihood, the game, and the game with a constant reward."""

    out: Path = Path("results/stories")
    """Folder of the runs and of what is made of them."""
    corpus: str = "story_world"
    """What to learn from, as --corpus of textgan.train."""
    preset: Path | None = None
    """YAML file of options of story_ending, or its name in configs/. Those of the generator and the data are the
    likelihood model's, too."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """One repetition each."""
    systems: tuple[str, ...] = SYSTEMS
    """Which to train and to measure: mle comes first, the others start from it."""
    stories: Path | None = None
    """File of the held-out stories of the table. None: the corpus's test split."""
    num: int = 2000
    """Most stories of the table."""
    cloze: Path | None = None
    """Labelled cloze file. None: the corpus's own, where it has one."""
    protocol: Protocol = field(default_factory=lambda: Protocol(temperatures=(0.5, 0.7, 0.85, 1.0, 1.15)))
    """How endings are written."""
    parallel: int = 1
    """Seeds trained at the same time, each in a process of its own."""
    judge: bool = True
    """Let an independent judge score every row."""
    table_only: bool = False
    """Train nothing; make the table of the runs that are there."""


def main(args: list[str]) -> None:
    command = command_line.parse(Command, args, "python scripts/benchmark_stories.py", __doc__)
    if not command.table_only:
        with ThreadPoolExecutor(command.parallel) as pool:
            for _ in pool.map(partial(train_seed, command), command.seeds):
                pass
    summarise(command)


def train_seed(command: Command, seed: int) -> None:
    """Train the systems of one seed that have not been trained; go on with those that were killed."""
    for system in (system for system in SYSTEMS if system in command.systems):
        folder = run_folder(command, system, seed)
        if (folder / "model.safetensors").exists():
            continue
        options = options_of(command, system, seed)
        entry = find(GAMES[system])
        flags = flags_of(options, defaults(entry, Settings))
        if (folder / "checkpoints").is_dir():
            flags += ["--resume"]
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (folder.parent / f"{folder.name}.log").open("a") as log:
            line = [sys.executable, "-m", "textgan.train", entry.name, "--run", str(folder), *flags]
            subprocess.run(line, check=True, stderr=log, env=os.environ)


def run_folder(command: Command, system: str, seed: int) -> Path:
    return command.out / "runs" / f"{system}-{seed}"


def options_of(command: Command, system: str, seed: int) -> dict[str, Any]:
    """The options of a run: the preset's, and what makes the system what it is."""
    preset = {} if command.preset is None else read_preset(command.preset)
    game = dict(preset.get("game", {}))
    options = {key: value for key, value in preset.items() if key not in ("name", "game")}
    options |= {"corpus": command.corpus, "seed": seed}
    schooling = dict(game.get("pretraining", {}))
    if system == "mle":
        known = vars(find("mle_story").config()).keys() - {"epochs", "learning_rate"}
        default = find("story_ending").config().pretraining
        shared = {key: value for key, value in game.items() if key in known}
        shared |= {key: schooling.get(key, getattr(default, key)) for key in ("epochs", "learning_rate")}
        return {**options, "game": shared}
    game["pretraining"] = {**schooling, "epochs": 0}
    if system == "constant":  # the discriminator has no say: it need not be trained
        game["discriminator"] = {**game.get("discriminator", {}), "epochs": 0, "steps": 0}
        game |= {"reward": "constant", "baseline": "none", "whiten": False}
    return {**options, "game": game, "init": str(run_folder(command, "mle", seed))}


def summarise(command: Command) -> None:
    """``results.json``, ``table.md`` and ``plot.svg`` of the runs that have ended."""
    asked = [(system, seed) for seed in command.seeds for system in SYSTEMS if system in command.systems]
    ended = [(s, n) for s, n in asked if (run_folder(command, s, n) / "model.safetensors").exists()]
    if not ended:
        print(f"no run in {command.out / 'runs'} has ended yet")
        return
    first = StoryEnder.from_pretrained(run_folder(command, *ended[0]))
    corpus = open_stories(first.settings.corpus, first.settings.data)
    stories = corpus.test.stories(command.num)
    if command.stories is not None:
        stories = [story for story, _ in islice(open_story_source(str(command.stories)).rows(), command.num)]
    judge = Judge.of(corpus, progress=say_epoch) if command.judge else None
    cloze = open_cloze(command.cloze) if command.cloze else corpus.cloze

    rows: Values = defaultdict(lambda: defaultdict(list))
    chosen: Values = defaultdict(lambda: defaultdict(list))
    written: dict[int, list[System]] = defaultdict(list)
    written[-1] = controls(stories, corpus.train.stories())
    note(rows, table(written[-1], stories, corpus, judge))
    for name, seed in ended:
        ender = StoryEnder.from_pretrained(run_folder(command, name, seed))
        made = list(systems(name, ender, stories, command.protocol))
        written[seed] += made
        note(rows, table(made, stories, corpus, judge))
        note(chosen, {row: {"accuracy": score} for row, score in cloze_table({name: ender}, cloze).items()})
        print(f"measured: {name}, seed {seed}", file=sys.stderr, flush=True)
    for values in (values for name, values in chosen.items() if "with labels" in name):
        del values["accuracy"][1:]  # the same for every model

    lines = [f"{len(stories)} stories; mean and 95% interval over {len(command.seeds)} seeds.", "", *as_lines(rows)]
    if judge is not None:
        lines += ["", f"The judge prefers a held-out story's own ending to another's in {judge.accuracy.value:.3f}."]
    if chosen:
        lines += ["", "| cloze | accuracy |", "|---|---:|"]
        lines += [f"| {name} | {shown('accuracy', values['accuracy'])} |" for name, values in chosen.items()]
    lines += ["", *matched(rows, "mle", "constant"), *matched(rows, "mle", "gan"), *matched(rows, "constant", "gan")]
    lines += ["", *significance(written, corpus, stories)]
    write_atomically(command.out / "table.md", "\n".join(lines) + "\n")
    write_atomically(command.out / "results.json", json.dumps({"rows": rows, "cloze": chosen}, indent=1) + "\n")
    draw(rows).savefig(command.out / "plot.svg", bbox_inches="tight")
    print("\n".join(lines))


def note(rows: Values, found: Mapping[str, Mapping[str, Any]]) -> None:
    for row, scores in found.items():
        for metric, score in scores.items():
            rows[row][metric].append(score.value)


def as_lines(rows: Values) -> list[str]:
    """The table: mean and interval."""
    columns = [name for name in SHOWN if any(name in values for values in rows.values())]
    return [
        f"| | {' | '.join(SHOWN[name] for name in columns)} |",
        "|---" + "|---:" * len(columns) + "|",
        *(
            f"| {row} | {' | '.join(shown(name, values.get(name, [])) for name in columns)} |"
            for row, values in rows.items()
        ),
    ]


def shown(metric: str, values: Sequence[float]) -> str:
    if not values:
        return ""
    scale = 100 if SHOWN.get(metric, "").endswith("%") else 1
    digits = 1 if scale == 100 else 2 if metric.startswith("corpus") or metric == "length" else 3
    if len(values) == 1:
        return f"{scale * values[0]:.{digits}f}"
    mean, half = interval(values)
    return f"{scale * mean:.{digits}f} ± {scale * half:.{digits}f}"


DIVERSITY = "distinct-2"
QUALITIES = ("consistency", "judge", "corpus-bleu-2")


def matched(rows: Values, one: str, other: str) -> list[str]:
    """How much better the other system is than the first one at equal distinct-2: its curve over temperatures against
    the first one's, between which values are interpolated, seed by seed."""
    lines = []
    for metric in QUALITIES:
        ours, theirs = curve(rows, other, metric), curve(rows, one, metric)
        differences = []
        for (x, y), (xs, ys) in zip(ours, theirs, strict=False):
            inside = (x >= xs.min()) & (x <= xs.max())
            if inside.any():
                order = np.argsort(xs)
                differences.append(float(np.mean(y[inside] - np.interp(x[inside], xs[order], ys[order]))))
        if len(differences) > 1:
            mean, half = interval(differences)
            lines.append(f"- {metric} of {other} less that of {one} at equal {DIVERSITY}: {mean:+.4f} ± {half:.4f}")
    return lines


def curve(rows: Values, system: str, metric: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Diversity and quality over the temperatures, one curve a seed."""
    at = [values for row, values in rows.items() if row.startswith(f"{system}, T ") and metric in values]
    seeds = min((len(values[metric]) for values in at), default=0)
    return [(np.array([v[DIVERSITY][s] for v in at]), np.array([v[metric][s] for v in at])) for s in range(seeds)]


def significance(written: Mapping[int, Sequence[System]], corpus: StoryCorpus, told: Sequence[Story]) -> list[str]:
    """Paired bootstrap over stories, first seed: BLEU-2 against the copied sentence, consistency against MLE."""
    seed = min(seed for seed in written if seed >= 0)
    rows = {system.name: system.endings for system in [*written[-1][1:], *written[seed]] if ", T " not in system.name}
    references = [words(story.ending) for story in told]
    cut = {name: [words(ending) or ["-"] for ending in endings] for name, endings in rows.items()}
    lines = [f"BLEU-2 against the copied fourth sentence, paired bootstrap (sacreBLEU's), seed {seed}:", ""]
    for name, found in paired_bootstrap(cut, written[-1][1].name, references, max_order=2).items():
        lines.append(f"- {name}: {found.score.value:.2f}" + ("" if found.p is None else f", p = {found.p:.3f}"))
    if corpus.check is None:
        return lines
    check = corpus.check

    def consistent(name: str) -> list[float]:
        return [float(check(s.sentences, e).consistent) for s, e in zip(told, rows[name], strict=True)]

    lines += ["", f"Consistency against likelihood, paired bootstrap over stories, seed {seed}:", ""]
    for name in rows:
        if (plain := "mle" + name.removeprefix(name.partition(",")[0])) in rows and not name.startswith("mle"):
            gap = paired_bootstrap_means(consistent(name), consistent(plain))
            lines.append(f"- {name}: {gap.value:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}], p = {gap.p:.3f}")
    return lines


def draw(rows: Values) -> Figure:
    """Quality against diversity over the temperatures, a line a system, a point a seed."""
    metric = next(name for name in QUALITIES if any(name in values for values in rows.values()))
    figure = Figure(figsize=(6, 4))
    axes = figure.add_subplot()
    for i, system in enumerate(SYSTEMS):
        curves = curve(rows, system, metric)
        for x, y in curves:
            axes.plot(x, y, ".", color=f"C{i}", alpha=0.5)
        if curves:
            xs, ys = np.mean([x for x, _ in curves], 0), np.mean([y for _, y in curves], 0)
            axes.plot(xs, ys, color=f"C{i}", label=system)
    axes.set(xlabel=f"{DIVERSITY} (more is more varied)", ylabel=metric, title="better: right and up")
    axes.legend()
    return figure


def say_epoch(epoch: int, loss: float) -> None:
    print(f"judge: epoch {epoch}, held-out loss {loss:.4f}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    command_line.run(main)
