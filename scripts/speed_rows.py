"""What `benchmark_speed.py` measures: the steps of each row, on random data, and the plain ways beside them."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from plain_ways import features_by_width, nested_loop, sample_by_multinomial
from torch import Tensor
from torch.utils._pytree import tree_map

from textgan import policy_gradient, registry
from textgan.config import parse_train_command
from textgan.data.batches import Batches
from textgan.data.images.spec import ImageSpec
from textgan.data.spec import NONE, StorySpec, TextSpec
from textgan.data.stories import StoryBatch
from textgan.errors import check_at_least
from textgan.game import Move, Place
from textgan.networks.text_cnn import TextCNN
from textgan.networks.text_discriminator import TextDiscriminator
from textgan.networks.text_generator import TextGenerator
from textgan.precision import bfloat16
from textgan.profiling import amount_of, kinds, replaced
from textgan.reproducibility import seed_everything
from textgan.sampling import sample
from textgan.stopwatch import now, seconds_of
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
