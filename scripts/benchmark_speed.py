"""Measures the speed of what training is made of: one table of seconds, rates, memory, baselines and floors.

    python scripts/benchmark_speed.py                                   # every row on the CPU
    python scripts/benchmark_speed.py --device cuda --only generator-update sampling
    python scripts/benchmark_speed.py --growth                          # how time and memory grow with B, T, N, V, ...

Each row is measured in a process of its own, so that its peak of memory is its own, on data drawn at random. What there
is a plain way of doing is also done in that way, in the same process, and the ratio is given. ``results.json`` in --out
holds every figure and the machine's description, ``speed.md`` the table; a row that is there is not measured again
unless --again. What the columns mean is in docs/speed.md.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from plain_ways import features_by_width, nested_loop, sample_by_multinomial
from torch import Tensor
from torch.utils._pytree import tree_map

from textgan import command_line, policy_gradient, registry
from textgan.checkpoint import write_atomically
from textgan.command_line import flags_of
from textgan.config import parse_train_command
from textgan.data.batches import Batches
from textgan.data.images.spec import ImageSpec
from textgan.data.spec import NONE, StorySpec, TextSpec
from textgan.data.stories import StoryBatch
from textgan.errors import UserError, check_at_least
from textgan.floors import Cost, counted, measured_speeds
from textgan.game import Move, Place
from textgan.networks.text_cnn import TextCNN
from textgan.networks.text_discriminator import TextDiscriminator
from textgan.networks.text_generator import TextGenerator
from textgan.precision import bfloat16
from textgan.profiling import amount_of, kinds, replaced
from textgan.reproducibility import seed_everything
from textgan.sampling import sample
from textgan.stopwatch import machine, now, peak_memory, seconds_of
from textgan.trainer import Trainer


@dataclass(frozen=True)
class Sizes:
    """Sizes of the data; those of networks are of the papers, or of the games' defaults."""

    batch: int = 64
    """B: sentences or images a step."""
    length: int = 20
    """T: words of a sentence."""
    rollouts: int = 16
    """N: completions of each prefix."""
    vocab: int = 5000
    """V: words of the vocabulary."""
    corpus: int = 10_000
    """Sentences of the corpus, and of a pool of fakes; also, sentences that are sampled."""
    image: int = 32
    """Side of an image of three colours."""

    def __post_init__(self) -> None:
        check_at_least(2, "sizes", self, "batch", "length", "vocab", "corpus")
        check_at_least(1, "sizes", self, "rollouts")
        check_at_least(8, "sizes", self, "image")


@dataclass(frozen=True)
class Options:
    """The speed of training."""

    only: tuple[str, ...] = ()
    """Rows to measure. None: all but those for a GPU, where there is none."""
    device: str = "cpu"
    """Where to run: cpu, cuda, cuda:1, ..."""
    threads: int | None = None
    """Threads on the CPU. None: as many as torch takes."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """bf16: everything runs under bfloat16 autocast."""
    repeats: int = 5
    """Times that each row is run; the table has the median, the fastest and the slowest."""
    tried: int = 1
    """Roll-outs of each prefix that the nested loop runs; its time is extrapolated to all of them."""
    growth: bool = False
    """Measure rows whose sizes are doubled one at a time, instead: see GROWTH."""
    doublings: int = 2
    """How often each of them is."""
    out: Path = Path("results/speed")
    """Folder of results.json and speed.md."""
    again: bool = False
    """Measure rows again that are there."""
    here: bool = False
    """Measure one row in this process and print its record as JSON: what the script calls itself with."""
    baselines: bool = True
    """Measure the baselines too."""
    sizes: Sizes = field(default_factory=Sizes)

    def __post_init__(self) -> None:
        check_at_least(1, "speed", self, "threads", "repeats", "tried", "doublings")


@dataclass(frozen=True)
class Work:
    """What a row measures."""

    steps: Sequence[tuple[Callable[[], Any], int]]
    """Each kind of step, and how often it is made in all."""
    amount: int
    """Tokens, images or examples of all of it."""
    unit: str
    rounds: int = 1
    """Seconds are told for one of so many."""
    baselines: Mapping[str, Callable[[], float]] = field(default_factory=dict)
    """Seconds of the same work in another way, by the name of that."""

    def run(self) -> None:
        for step, times in self.steps:
            for _ in range(times):
                step()


class Rows(NamedTuple):
    """A corpus of random examples."""

    examples: Any
    size: int

    def __len__(self) -> int:
        return self.size

    def take(self, indices: Tensor) -> Any:
        return tree_map(lambda tensor: tensor[indices], self.examples)


class Played(NamedTuple):
    """A game that can be played, on a corpus of random examples."""

    trainer: Trainer
    amount: int
    """Tokens or images of a batch."""
    unit: str

    def step(self, stage: int, move: int) -> Callable[[], None]:
        """A step of a move or act, always in the stage's first round."""
        return partial(self.trainer.make, Place(stage, 0, move))


# ---------------------------------------------------------------------------------------------------------- rows


def mle_epoch(options: Options) -> Work:
    """An epoch of likelihood of the generator of SeqGAN's paper."""
    return stage_work(seqgan(options), "pretrain_generator", "generator_mle")


def sampling(options: Options) -> Work:
    """As many sentences as the corpus has, of the same generator."""
    game, sizes = seqgan(options).trainer.game, options.sizes
    generator = game.get_submodule("generator")
    assert isinstance(generator, TextGenerator)
    generator.eval()
    device = torch.device(options.device)

    def ours() -> None:
        with bfloat16(device, options.precision == "bf16"):
            sample(generator, generator.spec, sizes.corpus)

    def multinomial() -> None:
        with bfloat16(device, options.precision == "bf16"):
            sample_by_multinomial(generator, sizes.corpus, sizes.length)

    baselines = {"multinomial over the softmax, a word at a time": lambda: seconds_of(multinomial, device)[0]}
    return Work([(ours, 1)], sizes.corpus * sizes.length, "tokens", baselines=baselines)


def generator_update(options: Options) -> Work:
    """A policy-gradient step of SeqGAN's paper: a batch is drawn, rolled out, rewarded and learned from."""
    game, rollouts = seqgan(options), options.sizes.rollouts
    step, _ = stage_work(game, "adversarial", "generator").steps[0]
    device, tried = game.trainer.device, min(options.tried, rollouts)
    network = text_cnn(game)

    def nested(usual: bool) -> float:
        spent = 0.0

        def rewards(policy: Any, spec: Any, tokens: Tensor, reward: Any, *_: Any, **__: Any) -> Tensor:
            nonlocal spent
            started = now(device)
            values = nested_loop(policy, tokens, lambda rows: reward(rows, None), tried, usual)
            spent += now(device) - started
            return values

        network.features = partial(TextDiscriminator.features, network)  # type: ignore[method-assign]  # no look-ups
        try:
            with replaced(policy_gradient.rollout_rewards, rewards):
                (whole,) = seconds_of(step, device)
        finally:
            del network.features
        return whole + spent * (rollouts / tried - 1)

    some = f", from {tried} of {rollouts} roll-outs" if tried < rollouts else ""
    baselines = {
        f"nested loop, no logits for the prefix{some}": partial(nested, False),
        f"nested loop, the whole step for every word{some}": partial(nested, True),
    }
    return Work([(step, 1)], game.amount, game.unit, baselines=baselines)


def discriminator_epoch(options: Options) -> Work:
    """A pass of the discriminator of SeqGAN's paper over as many real sentences as there are, and as many fakes."""
    game = seqgan(options)
    step, _ = stage_work(game, "pretrain_discriminator", "discriminator").steps[0]
    steps = math.ceil(options.sizes.corpus / options.sizes.batch)
    tried = min(STEPS_TRIED, steps)
    network = text_cnn(game)

    def by_width(of_image: bool, apart: bool) -> float:
        network.features_embedded = partial(features_by_width, network, of_image, apart)  # type: ignore[method-assign]
        try:
            step()
            return statistics.fmean(seconds_of(step, game.trainer.device, tried)) * steps
        finally:
            del network.features_embedded

    some = f", from {tried} of {steps} steps" if tried < steps else ""
    baselines = {
        f"a convolution for each width{some}": partial(by_width, False, False),
        f"the same, real and fake apart{some}": partial(by_width, False, True),
        f"a convolution of an image for each width, real and fake apart{some}": partial(by_width, True, True),
    }
    return Work([(step, steps)], steps * game.amount, game.unit, baselines=baselines)


def relgan(options: Options) -> Work:
    """A round of RelGAN with the paper's networks: a generator step and the discriminator's five."""
    return round_work(on_sentences("relgan", options, "relgan-oracle"))


def story(options: Options) -> Work:
    """A round of story endings with the default networks: policy gradient, teacher forcing, discriminator steps."""
    sizes = options.sizes
    kinds_of_words = {"bos": 1, "eos": 2, "pad": 0, "unk": 3}
    spec = StorySpec(sizes.vocab, sizes.length, sizes.corpus, **kinds_of_words, sentence_length=sizes.length)
    first = min(4, sizes.vocab - 1)  # the marks are no words
    context = torch.randint(first, sizes.vocab, (sizes.corpus, spec.sentences, sizes.length))
    ending = torch.randint(first, sizes.vocab, (sizes.corpus, sizes.length))
    return round_work(played("story_ending", options, spec, StoryBatch(context, ending)))


def dcgan(options: Options) -> Work:
    """A round of DCGAN with the paper's widths: a discriminator step and a generator step."""
    return round_work(on_images("dcgan", options, ["--preset", "dcgan-faces"]))


def stylegan(options: Options) -> Work:
    """A round of StyleGAN with the default networks, its share of the penalties among it."""
    return round_work(on_images("stylegan", options, []))


def stylegan_paper(options: Options) -> Work:
    """A round of StyleGAN with the paper's networks, its share of the penalties among it."""
    return round_work(on_images("stylegan", options, ["--preset", "stylegan-faces"]))


ROWS: dict[str, Callable[[Options], Work]] = {
    "mle-epoch": mle_epoch,
    "sampling": sampling,
    "generator-update": generator_update,
    "discriminator-epoch": discriminator_epoch,
    "relgan-round": relgan,
    "story-round": story,
    "dcgan-round": dcgan,
    "stylegan-round": stylegan,
    "stylegan-paper-round": stylegan_paper,
}
FOR_GPUS = {"stylegan-paper-round"}
"""Rows that are too slow for a CPU; measured there where they are asked for."""
STEPS_TRIED = 10
"""Of the plain discriminator's epoch; the time is extrapolated to all of them."""
GROWTH = (
    ("generator-update", "batch"),
    ("generator-update", "length"),
    ("generator-update", "rollouts"),
    ("generator-update", "vocab"),
    ("mle-epoch", "corpus"),
)
"""Rows, and of each a size, whose growth is measured."""


def text_cnn(game: Played) -> TextCNN:
    """SeqGAN's discriminator."""
    network = game.trainer.game.get_submodule("opponent.network")
    assert isinstance(network, TextCNN)
    return network


def seqgan(options: Options) -> Played:
    """SeqGAN with the paper's networks, on sentences as long as the oracle's."""
    return on_sentences("seqgan", options, "seqgan-oracle")


def on_sentences(name: str, options: Options, preset: str) -> Played:
    """A game of sentences of full length, as the oracle's are."""
    sizes = options.sizes
    spec = TextSpec(sizes.vocab, sizes.length, sizes.corpus, bos=0, eos=NONE, pad=NONE, unk=NONE)
    sentences = torch.randint(sizes.vocab, (sizes.corpus, sizes.length))
    flags = ["--preset", preset]
    if "rollouts" in {field.name for field in dataclasses.fields(registry.find(name).config)}:
        flags += ["--game.rollouts", str(sizes.rollouts)]
    return played(name, options, spec, sentences, flags)


def on_images(name: str, options: Options, flags: Sequence[str]) -> Played:
    """A game of images of noise."""
    sizes = options.sizes
    count = 4 * sizes.batch
    spec = ImageSpec(3, sizes.image, sizes.image, count)
    return played(name, options, spec, torch.rand(count, *spec.shape) * 2 - 1, flags)


def played(name: str, options: Options, spec: Any, examples: Any, flags: Sequence[str] = ()) -> Played:
    """A game with its defaults, the flags and the batch size, on random examples."""
    entry = registry.find(name)
    flags = [*flags, "--game.batch-size", str(options.sizes.batch), "--trainer.device", options.device]
    settings = parse_train_command(entry, flags, name, add_help=False).settings
    seed_everything(0)
    game = entry.game(settings.game, spec)
    config = replace(settings.trainer, precision=options.precision)
    rows = Rows(examples, spec.train_size)
    trainer = Trainer(game, Batches(rows, 0), config)
    return Played(trainer, *amount_of(rows.take(torch.arange(game.batch_size)), spec))


def stage_work(game: Played, stage: str, player: str) -> Work:
    """The steps of a player's first move in a round of a stage. The acts before it are done."""
    stages = game.trainer.stages
    (s,) = (s for s, found in enumerate(stages) if found.name == stage)
    for m, move in enumerate(stages[s].moves):
        if isinstance(move, Move) and move.player == player:
            return Work([(game.step(s, m), move.times)], move.times * game.amount, game.unit)
        game.step(s, m)()
    raise AssertionError(f"{player} makes no move in {stage}")


def round_work(game: Played) -> Work:
    """Rounds of the last stage: as many as it takes until every move has been made as often as it should be."""
    s = len(game.trainer.stages) - 1
    moves = game.trainer.stages[s].moves
    rounds = math.lcm(*(move.every for move in moves))
    steps, handed = [], 0
    for m, _ in kinds(game.trainer.stages[s]):
        times = sum(move.times * rounds // move.every for move in moves if move is moves[m])
        steps.append((game.step(s, m), times))
        handed += times * game.amount * isinstance(moves[m], Move)
    return Work(steps, handed, game.unit, rounds)


# ---------------------------------------------------------------------------------------------------- measurement


def measure(name: str, options: Options) -> dict[str, Any]:
    """The record of a row, measured in this process."""
    device = torch.device(options.device)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    before = peak_memory(torch.device("cpu"))
    work = ROWS[name](options)
    for step, _ in work.steps:
        step()  # kernels are loaded and chosen at first use
    seconds = [seconds / work.rounds for seconds in seconds_of(work.run, device, options.repeats)]
    peak = peak_memory(device)
    cost = sum((counted(step)[0].times(times) for step, times in work.steps), Cost()).times(1 / work.rounds)
    baselines = {
        way: [baseline() for _ in range(min(3, options.repeats))]
        for way, baseline in (work.baselines if options.baselines else {}).items()
    }
    speeds = measured_speeds(device, [torch.float32] + [torch.bfloat16] * (options.precision == "bf16"))
    return {
        **identity(name, options),
        "about": (ROWS[name].__doc__ or "").strip(),
        "seconds": seconds,
        "amount": work.amount / work.rounds,
        "unit": work.unit,
        "peak_bytes": peak,
        "process_bytes_before": before,
        "cost": asdict(cost),
        "speeds": asdict(speeds),
        "floor": speeds.floor(cost),
        "baselines": baselines,
    }


def identity(name: str, options: Options) -> dict[str, Any]:
    """What tells a record from all others."""
    return {
        "row": name,
        "device": torch.device(options.device).type,
        "threads": options.threads or torch.get_num_threads(),
        "precision": options.precision,
        "sizes": asdict(options.sizes),
    }


def is_of(record: Mapping[str, Any], name: str, options: Options) -> bool:
    """Whether a record is of this row with these options."""
    return all(record[key] == value for key, value in identity(name, options).items())


def measure_apart(name: str, options: Options) -> dict[str, Any]:
    """The record of a row, measured in a process of its own.

    Raises:
        subprocess.CalledProcessError: it has failed.
    """
    asked = {key: value for key, value in asdict(options).items() if value is not None and key not in ("only", "out")}
    flags = flags_of({**asked, "here": True, "growth": False}, Options())
    command = [sys.executable, __file__, "--only", name, *flags]
    threads = {} if options.threads is None else {"OMP_NUM_THREADS": str(options.threads)}
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env={**os.environ, **threads})
    return json.loads(done.stdout.splitlines()[-1])


def wanted(options: Options) -> list[tuple[str, Options]]:
    """What is to be measured, and with which options."""
    if not options.growth:
        names = options.only or [name for name in ROWS if name not in FOR_GPUS or options.device != "cpu"]
        return [(name, options) for name in names]
    found = []
    for name, size in GROWTH:
        if options.only and name not in options.only:
            continue
        found.append((name, replace(options, growth=False)))
        for doubling in range(1, options.doublings + 1):
            grown = replace(options.sizes, **{size: getattr(options.sizes, size) * 2**doubling})
            found.append((name, replace(options, growth=False, baselines=False, sizes=grown)))
    return found


# --------------------------------------------------------------------------------------------------------- tables


def markdown(described: Mapping[str, Any], records: Sequence[Mapping[str, Any]], usual: Sizes) -> str:
    """Tables of the rows with the usual sizes, one for each device, and of how rows grow."""
    lines = ["# Speed", "", f"{'; '.join(f'{key} {value}' for key, value in described.items())}."]
    ways = dict.fromkeys((r["device"], r["threads"], r["precision"]) for r in records)
    for device, threads, precision in ways:
        some = [r for r in records if (r["device"], r["threads"], r["precision"]) == (device, threads, precision)]
        lines += ["", f"## {device}, {threads} threads, {precision}", ""]
        lines += _rows([record for record in some if record["sizes"] == asdict(usual)])
        for name, size in dict.fromkeys(GROWTH):
            lines += _growth(name, size, some, usual)
    return "\n".join(lines) + "\n"


def _rows(records: Iterable[Mapping[str, Any]]) -> list[str]:
    lines = [
        "| | seconds | fastest to slowest | a second | peak MB | floor, seconds | of the floor | times faster than |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for record in sorted(records, key=lambda record: list(ROWS).index(record["row"])):
        seconds = statistics.median(record["seconds"])
        spread = f"{_number(min(record['seconds']))} to {_number(max(record['seconds']))}"
        rate = f"{record['amount'] / seconds:,.0f} {record['unit']}"
        ratios = [
            f"{statistics.median(values) / seconds:.1f}: {way} ({_number(statistics.median(values))} s)"
            for way, values in record["baselines"].items()
        ]
        lines.append(
            f"| `{record['row']}` | {_number(seconds)} | {spread} | {rate} | {record['peak_bytes'] / 1e6:,.0f} | "
            f"{_number(record['floor'])} | {record['floor'] / seconds:.1%} | {'; '.join(ratios)} |"
        )
    return lines


def _growth(name: str, size: str, records: Iterable[Mapping[str, Any]], usual: Sizes) -> list[str]:
    """The table of a row whose size grows, all others being the usual ones. Nothing, if it was not measured."""
    others = {key: value for key, value in asdict(usual).items() if key != size}
    some = [r for r in records if r["row"] == name and others.items() <= r["sizes"].items()]
    if len(some) < 2:
        return []
    some = sorted(some, key=lambda record: record["sizes"][size])
    first, before = statistics.median(some[0]["seconds"]), None
    lines = ["", f"`{name}`, growing {size}:", ""]
    lines += [f"| {size} | seconds | times the first | exponent | peak MB |", "| ---: | ---: | ---: | ---: | ---: |"]
    for record in some:
        seconds, value = statistics.median(record["seconds"]), record["sizes"][size]
        exponent = "" if before is None else f"{math.log(seconds / before[0], value / before[1]):.2f}"
        peak = record["peak_bytes"] / 1e6
        lines.append(f"| {value:,} | {_number(seconds)} | {seconds / first:.2f} | {exponent} | {peak:,.0f} |")
        before = seconds, value
    return lines


def _number(seconds: float) -> str:
    """Three digits that count."""
    return f"{seconds:.3g}" if seconds < 100 else f"{seconds:,.0f}"


# -------------------------------------------------------------------------------------------------------- command


def main(args: list[str]) -> None:
    options = command_line.parse(Options, args, "python scripts/benchmark_speed.py", __doc__)
    if unknown := set(options.only) - ROWS.keys():
        raise UserError(f"--only has {', '.join(sorted(unknown))}; there are: {', '.join(ROWS)}")
    if options.here:
        (name,) = options.only
        print(json.dumps(measure(name, options)))
        return
    described, records = read(options.out, options)
    failed = []
    for name, asked in wanted(options):
        there = [record for record in records if is_of(record, name, asked)]
        if there and not options.again:
            continue
        print(f"{name} {changed(asked.sizes)}", file=sys.stderr, flush=True)
        try:
            record = measure_apart(name, asked)
        except subprocess.CalledProcessError as error:
            failed.append(f"{name} (exit status {error.returncode})")
            continue
        records = [record for record in records if record not in there] + [record]
        options.out.mkdir(parents=True, exist_ok=True)
        results = {"machine": described, "rows": records}
        write_atomically(options.out / "results.json", json.dumps(results, indent=1) + "\n")
    table = markdown(described, records, options.sizes)
    if records:
        write_atomically(options.out / "speed.md", table)
    print(table)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


def read(folder: Path, options: Options) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The machine's description, and the records that are there already.

    Raises:
        UserError: they are of another machine.
    """
    described = machine(torch.device(options.device))
    file = folder / "results.json"
    if not file.exists():
        return described, []
    results = json.loads(file.read_text(encoding="utf-8"))
    there = results["machine"]
    different = [key for key in there.keys() & described.keys() if there[key] != described[key]]
    if different:
        key = min(different)
        raise UserError(
            f"--out {folder} has measurements of another machine ({key} {there[key]}, here {described[key]}); it must "
            "be a folder of its own"
        )
    return {**there, **described}, results["rows"]


def changed(sizes: Sizes) -> str:
    """The sizes that are not the defaults."""
    usual = asdict(Sizes())
    return " ".join(f"{key}={value}" for key, value in asdict(sizes).items() if value != usual[key])


if __name__ == "__main__":
    command_line.run(main)
