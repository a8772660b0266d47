"""What must hold for every game there is. A new game is tested by being there."""

from __future__ import annotations

import dataclasses
import math
import shutil

import pytest
import torch

from tests.small_stories import contexts
from tests.toys import assert_bitwise_equal, weights
from textgan import registry
from textgan.checkpoint import CheckpointStore
from textgan.data.batches import Batches
from textgan.data.images.captions import CaptionedImages, CaptionedSpec
from textgan.data.images.domains import UnpairedImages
from textgan.data.images.glyphs import Alphabets, AlphabetSpec, Glyphs, GlyphSpec
from textgan.data.images.pairs import ImagePairs, PairSpec
from textgan.data.images.spec import ImageSpec, LabelledImages
from textgan.data.labelled import LabelledBatch
from textgan.data.oracle import OracleSplit
from textgan.data.series import SeriesSpec, SeriesSplit
from textgan.data.spec import LabelledSpec, StorySpec, TextSpec
from textgan.data.stories import StoryBatch
from textgan.game import Game, Move, Turn, walk
from textgan.reproducibility import seed_everything
from textgan.trainer import Trainer, TrainerConfig

V, T, N = 12, 7, 40
SPECS = {
    "text": {
        "variable length": TextSpec(vocab_size=V, length=T, train_size=N),
        "fixed length": TextSpec(vocab_size=V, length=T, train_size=N, bos=0, eos=-1, pad=-1, unk=-1),
    },
    "labelled": {"labelled": LabelledSpec(vocab_size=V, length=T, train_size=N, categories=("a", "b", "c"))},
    "stories": {"stories": StorySpec(vocab_size=V, length=T, train_size=N, sentences=3, sentence_length=5)},
    "images": {
        "grey": ImageSpec(channels=1, height=8, width=8, train_size=N),
        "colour, oblong": ImageSpec(channels=3, height=7, width=6, train_size=N),
    },
    "image_pairs": {
        "same size": PairSpec(1, 8, 8, train_size=N, source_channels=1, source_height=8, source_width=8),
        "half size": PairSpec(3, 8, 8, train_size=N, source_channels=3, source_height=4, source_width=4),
    },
    "image_domains": {"images": ImageSpec(1, 8, 8, train_size=N)},
    "labelled_images": {"images": ImageSpec(1, 8, 8, train_size=N, categories=("a", "b", "c"))},
    "captioned_images": {
        "grey": CaptionedSpec(1, 8, 8, train_size=N, vocab_size=V, length=4),
        "colour, oblong": CaptionedSpec(3, 7, 6, train_size=N, vocab_size=V, length=4),
    },
    "glyphs": {"glyphs": GlyphSpec(1, 8, 8, train_size=N, styles=("a", "b", "c"))},
    "alphabets": {"six characters": AlphabetSpec(6, 8, 8, train_size=N, characters="ABCDEF")},
    "series": {"series": SeriesSpec(length=6, channels=2, train_size=N)},
}
"""What games are played on here, by `Game.data`."""
CONFIG = TrainerConfig(device="cpu", checkpoint_every=0.0, log_every=1)


def _specs(name: str) -> dict[str, Spec]:
    """What a game is played on here. One that fills holes is given no sources of another size."""
    game = registry.find(name).game
    found = SPECS[game.data]
    if game.usual.get("data", {}).get("source") != "hole":
        return found
    return {kind: spec for kind, spec in found.items() if spec.source.shape == spec.shape}


PAIRS = [
    pytest.param(name, spec, id=f"{name}-{kind}") for name in registry.names() for kind, spec in _specs(name).items()
]
every_game_and_spec = pytest.mark.parametrize(("name", "spec"), PAIRS)


every_game = pytest.mark.parametrize("name", registry.names())


Spec = TextSpec | ImageSpec | SeriesSpec


def first_spec(name: str) -> Spec:
    return next(iter(_specs(name).values()))


class Stories:
    """Real stories: an ending begins with the last word of its context."""

    def __init__(self, spec: StorySpec) -> None:
        self._context = contexts(N, spec=spec)
        self._ending = _sentences(spec)
        self._ending[:, 0] = self._context[:, -1, 0]

    def __len__(self) -> int:
        return N

    def take(self, indices: torch.Tensor) -> StoryBatch:
        return StoryBatch(self._context[indices], self._ending[indices])


class Labelled:
    """Real sentences of categories: each has two words of its own."""

    def __init__(self, spec: LabelledSpec) -> None:
        sentences = _sentences(spec)
        self._category = torch.arange(N) % len(spec.categories)
        words = 4 + 2 * self._category[:, None] + sentences % 2
        self._tokens = torch.where(sentences < 4, sentences, words)

    def __len__(self) -> int:
        return N

    def take(self, indices: torch.Tensor) -> LabelledBatch:
        return LabelledBatch(self._tokens[indices], self._category[indices])


class Images:
    """Real images: a light square on a dark ground, in one of three places, which are the categories."""

    def __init__(self, spec: ImageSpec, data: str) -> None:
        noise = torch.rand(N, *spec.shape, generator=torch.Generator().manual_seed(0)) * 0.4 - 1
        self._category = torch.arange(N) % 3
        for image, place in zip(noise, self._category.tolist(), strict=True):
            image[:, 2 * place : 2 * place + 3, 2:5] += 1.5
        self._image, self._spec, self._data = noise, spec, data

    def __len__(self) -> int:
        return N

    def take(self, indices: torch.Tensor) -> object:
        image = self._image[indices]
        if self._data == "labelled_images":
            return LabelledImages(image, self._category[indices])
        if self._data == "image_pairs":
            return ImagePairs(_given(image, self._spec), image)
        if self._data == "image_domains":
            return UnpairedImages(image, -self._image[(indices + 3) % N])
        if self._data == "captioned_images":
            return CaptionedImages(image, _captions(self._category[indices]))
        if self._data == "glyphs":
            return Glyphs(image, -image, self._category[indices])
        if self._data == "alphabets":
            return Alphabets(image, indices)
        return image


def _given(image: torch.Tensor, spec: PairSpec) -> torch.Tensor:
    """A source: the negative, or the image shrunk."""
    same = spec.source.shape == spec.shape
    return -image if same else torch.nn.functional.adaptive_avg_pool2d(image, spec.source.shape[1:])


def _captions(category: torch.Tensor) -> torch.Tensor:
    """A word that all captions have, where the square is, unless it is in the first place, and the end."""
    words = torch.tensor([[4, 2, 0, 0], [4, 5, 2, 0], [4, 6, 2, 0]])
    return words[category]


def _waves(spec: SeriesSpec) -> SeriesSplit:
    """Real series: noisy sine waves, each channel later than the one before."""
    generator = torch.Generator().manual_seed(0)
    start = torch.rand(N, 1, 1, generator=generator) * 6
    waves = (start + torch.arange(spec.length)[:, None] + torch.arange(spec.channels)).sin()
    return SeriesSplit(waves + 0.1 * torch.randn(waves.shape, generator=generator))


def batches_of(spec: Spec, data: str) -> OracleSplit | Stories | Labelled | Images | SeriesSplit:
    if isinstance(spec, SeriesSpec):
        return _waves(spec)
    if isinstance(spec, ImageSpec):
        return Images(spec, data)
    if isinstance(spec, StorySpec):
        return Stories(spec)
    return Labelled(spec) if isinstance(spec, LabelledSpec) else OracleSplit(_sentences(spec))


def _samples(game: Game, n: int, **options: float) -> torch.Tensor:
    """Sentences (where they have categories, of each in turn), or endings of one context."""
    return game.sample(n, *_context(game), **options)


def _context(game: Game) -> tuple[torch.Tensor, ...]:
    """What a game must be given beside a number: a story, or images."""
    if game.data == "stories":
        return (contexts(1, spec=game.spec),)
    if game.data in ("image_pairs", "image_domains"):
        given = Images(game.spec, game.data).take(torch.arange(9))
        return (given[0],)
    if game.data == "captioned_images":
        return (Images(game.spec, game.data).take(torch.arange(9)).caption,)
    if game.data == "glyphs":
        given = Images(game.spec, game.data).take(torch.arange(9))
        return (given.source, given.style)
    if game.data == "alphabets":
        given, observed = Images(game.spec, game.data).take(torch.arange(9)), torch.arange(6).expand(9, -1) % 2 == 0
        return (torch.where(observed[:, :, None, None], given.glyphs, -1.0), observed)
    return ()


def _sentences(spec: TextSpec) -> torch.Tensor:
    """Real sentences with a pattern that can be learned: each word is followed by itself or the next one."""
    generator = torch.Generator().manual_seed(0)
    first = torch.randint(4, V, (N, 1), generator=generator)
    steps = torch.randint(0, 2, (N, T - 1), generator=generator).cumsum(1)
    words = torch.cat([first, (first + steps - 4) % (V - 4) + 4], 1)
    if spec.eos < 0:
        return words
    lengths = torch.randint(1, T, (N, 1), generator=generator)
    places = torch.arange(T)
    return torch.where(places < lengths, words, torch.where(places == lengths, spec.eos, spec.pad))


def _trainer(
    name: str, spec: Spec, store: CheckpointStore | None = None, seed: int = 0, config: TrainerConfig = CONFIG
) -> Trainer:
    entry = registry.find(name)
    seed_everything(seed)
    game = entry.game(entry.tiny, spec)
    batches = Batches(batches_of(spec, entry.game.data), seed)
    return Trainer(game, batches, config, store)


def _parameters(game: Game) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in game.named_parameters()}


@every_game_and_spec
def test_each_move_changes_its_own_players_parameters_and_nobody_elses(name, spec):
    trainer = _trainer(name, spec)
    moved = dict.fromkeys(trainer.optimizers, False)
    for place in walk(trainer.stages):
        move = trainer.stages[place.stage].moves[place.move]
        if not isinstance(move, Move):
            trainer.make(place)
            continue
        own = {id(p) for group in trainer.optimizers[move.player].param_groups for p in group["params"]}
        before = _parameters(trainer.game)
        bare = dataclasses.replace(move, after=None)
        trainer._update(bare, Turn("stage", place.round, 0.0))
        for key, parameter in trainer.game.named_parameters():
            changed = not torch.equal(before[key], parameter)
            assert not (changed and id(parameter) not in own), f"{move.player} moved {key}"
            moved[move.player] |= changed
        if move.after is not None:
            with torch.no_grad():
                move.after()
    assert all(moved.values()), moved


@every_game_and_spec
def test_every_loss_is_finite_and_its_gradient_reaches_every_parameter_of_its_player(name, spec):
    trainer = _trainer(name, spec)
    reached: dict[str, set[str]] = {player: set() for player in trainer.optimizers}
    for place in walk(trainer.stages):
        trainer.make(place)
        move = trainer.stages[place.stage].moves[place.move]
        if isinstance(move, Move):
            own = {id(p) for group in trainer.optimizers[move.player].param_groups for p in group["params"]}
            for key, parameter in trainer.game.named_parameters():
                if id(parameter) in own and parameter.grad is not None and parameter.grad.abs().sum() > 0:
                    reached[move.player].add(key)
    for player, optimizer in trainer.optimizers.items():
        own = {id(p) for group in optimizer.param_groups for p in group["params"]}
        expected = {key for key, parameter in trainer.game.named_parameters() if id(parameter) in own}
        assert reached[player] == expected, player


@every_game_and_spec
def test_the_same_seed_gives_bitwise_equal_weights_and_another_does_not(name, spec):
    played = []
    for seed in (0, 0, 1):
        trainer = _trainer(name, spec, seed=seed)
        trainer.play()
        played.append(weights(trainer.game))
    assert_bitwise_equal(played[0], played[1])
    assert any(not torch.equal(played[0][key], played[2][key]) for key in played[0])


class _Killed(Exception):
    pass


@every_game
def test_a_run_killed_inside_any_stage_resumes_to_the_same_weights(name, tmp_path):
    spec = first_spec(name)
    whole = _trainer(name, spec)
    whole.play()
    ends = [sum(stage.steps for stage in whole.stages[: k + 1]) for k in range(len(whole.stages))]
    middles = [end - max(1, stage.steps // 2) for end, stage in zip(ends, whole.stages, strict=True)]
    places = sorted({*ends[:-1], *middles})
    # The run that is killed last has been at every other place: its checkpoint of there is that of a run killed there.
    every = CheckpointStore(tmp_path / "every", keep=whole.steps)
    trainer = _trainer(name, spec, every)
    make = trainer.make

    def until_killed(place):
        if trainer.step == places[-1]:
            raise _Killed
        make(place)

    trainer.make = until_killed
    with pytest.raises(_Killed):
        trainer.play()
    seldom = dataclasses.replace(CONFIG, checkpoint_every=math.inf)
    for killed_after in places:
        store = CheckpointStore(tmp_path / f"killed after {killed_after}")
        shutil.copytree(every.folder / str(killed_after), store.folder / str(killed_after))
        resumed = _trainer(name, spec, store, seed=123, config=seldom)
        # The batches' order depends on the run's seed, which a resumed run has from its config.
        resumed._batches = Batches(batches_of(spec, resumed.game.data), 0)
        assert resumed.resume()
        assert resumed.step == killed_after
        resumed.play()
        assert_bitwise_equal(weights(whole.game), weights(resumed.game))


@every_game_and_spec
def test_it_plays_in_bfloat16(name, spec):
    trainer = _trainer(name, spec, config=dataclasses.replace(CONFIG, precision="bf16"))
    trainer.play()
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in trainer.game.parameters())


OF_TEXT = [p for p in PAIRS if isinstance(p.values[1], TextSpec)]
OF_SERIES = [p for p in PAIRS if isinstance(p.values[1], SeriesSpec)]
OF_IMAGES = [p for p in PAIRS if isinstance(p.values[1], ImageSpec)]


@pytest.mark.parametrize(("name", "spec"), OF_IMAGES)
def test_samples_are_images(name, spec):
    trainer = _trainer(name, spec)
    trainer.play()
    images = _samples(trainer.game.eval(), 9)
    assert images.shape == (9, *spec.shape)
    assert images.abs().max() <= 1
    assert not torch.equal(images[0], images[3])


@pytest.mark.parametrize(("name", "spec"), OF_SERIES)
def test_samples_are_series(name, spec):
    trainer = _trainer(name, spec)
    trainer.play()
    windows = trainer.game.eval().sample(9)
    assert windows.shape == (9, spec.length, spec.channels)
    assert windows.isfinite().all()
    assert not torch.equal(windows[0], windows[3])


@pytest.mark.parametrize(("name", "spec"), OF_TEXT)
def test_samples_are_sentences(name, spec):
    trainer = _trainer(name, spec)
    trainer.play()
    tokens = _samples(trainer.game, 50)
    assert tokens.shape == (50, spec.length)
    assert tokens.dtype == torch.int64
    assert tokens.min() >= 0
    assert tokens.max() < spec.vocab_size
    if spec.eos >= 0:
        assert not (tokens == spec.bos).any()
        ended = ((tokens == spec.eos).cumsum(1) - (tokens == spec.eos).long()) > 0
        assert torch.equal(tokens == spec.pad, ended)


CATEGORIES = [p for p in PAIRS if isinstance(p.values[1], LabelledSpec)]


@pytest.mark.parametrize(("name", "spec"), CATEGORIES)
def test_categories_are_sampled_in_turn_or_one_alone(name, spec):
    """Every k-th sentence begins as sentences of its category do when they are asked for: equal, within the error."""
    trainer = _trainer(name, spec)
    trainer.play()
    game, k = trainer.game.eval(), len(spec.categories)
    mixed = game.sample(1000 * k + 1)
    assert mixed.shape == (1000 * k + 1, spec.length)
    for category in range(k):
        alone = game.sample(1000, category=category)
        rates = [torch.bincount(t[:1000, 0], minlength=V) / 1000 for t in (mixed[category::k], alone)]
        p = sum(rates) / 2
        assert ((rates[0] - rates[1]).abs() <= 5 * (2 * p * (1 - p) / 1000).sqrt() + 1e-3).all()


@pytest.mark.parametrize(("name", "spec"), [p for p in PAIRS if hasattr(registry.find(p.values[0]).game, "log_probs")])
@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_the_likelihood_is_that_of_what_is_sampled(name, spec, temperature):
    """The mean of log p over samples is minus the entropy: equal, within the error, to a sum over all first words."""
    trainer = _trainer(name, spec)
    trainer.play()
    game = trainer.game.eval()
    with torch.no_grad():
        tokens = _samples(game, 4000, temperature=temperature)
        rate = torch.stack([(tokens[:, 0] == word).float().mean() for word in range(V)])
        rows = torch.full((V, spec.length), max(spec.pad, 0))
        rows[:, 0] = torch.arange(V)
        p = game.log_probs(*_context(game), rows, temperature)[:, 0].exp()
    p[list(spec.never)] = 0
    assert p.sum().item() == pytest.approx(1, abs=1e-4)
    error = (p * (1 - p) / 4000).sqrt()
    assert ((rate - p).abs() <= 5 * error + 1e-3).all()


@every_game
def test_the_plan_is_made_of_players_that_have_optimisers(name):
    trainer = _trainer(name, first_spec(name))
    moves = [move for stage in trainer.stages for move in stage.moves if isinstance(move, Move)]
    assert {move.player for move in moves} == set(trainer.optimizers)
    assert all(math.isfinite(move.times) and move.times > 0 for move in moves)
