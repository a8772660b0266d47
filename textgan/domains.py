"""What games are played on, and all that follows from it. Nowhere else is that decided.

`textgan.game.Game.data` names a domain. It says what a corpus is opened from and with which options, what a game knows
of it, how games are measured and how a run is used afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, Protocol, runtime_checkable

from textgan.data.corpus import open_corpus
from textgan.data.images.captions import CaptionedSpec, open_captioned
from textgan.data.images.corpus import open_images
from textgan.data.images.domains import UnpairedConfig, open_domains
from textgan.data.images.glyphs import AlphabetSpec, GlyphConfig, GlyphSpec, open_alphabets, open_glyphs
from textgan.data.images.pairs import PairConfig, PairSpec, open_pairs
from textgan.data.images.settings import ImageConfig
from textgan.data.images.spec import ImageSpec
from textgan.data.labelled import open_labelled
from textgan.data.oracle import SEEDED, open_oracle
from textgan.data.series import SeriesConfig, SeriesSpec, open_series
from textgan.data.settings import DataConfig
from textgan.data.spec import LabelledSpec, StorySpec, TextSpec
from textgan.data.stories import open_stories
from textgan.errors import UserError
from textgan.evaluation import Corpus, EvaluationConfig
from textgan.evaluation.images import ImageEvaluationConfig
from textgan.evaluation.series import SeriesEvaluationConfig


@runtime_checkable
class Asked(Protocol):
    """What a user says of the data: the options of a run that are about it."""

    @property
    def corpus(self) -> str: ...
    @property
    def corpus_field(self) -> str | None: ...
    @property
    def label_field(self) -> str | None: ...
    @property
    def data(self) -> Any: ...


@dataclass(frozen=True)
class Domain:
    """One of the things that games are played on."""

    open: Callable[[Asked], Corpus]
    """The corpus that is asked for."""
    makes: Literal["sentences", "endings", "images", "images of images", "images of sentences", "series"]
    """What is generated."""
    spec: type[Any]
    """What a game knows of it."""
    embedded: str
    """The corpus that comes with textgan."""
    best: str
    """The metric whose lowest value marks the best checkpoint, unless the user names another."""
    use: tuple[str, ...]
    """Lines of Python that use the run ``{run}``."""
    data: type[Any] = DataConfig
    """How a corpus is prepared."""
    evaluation: type[Any] = EvaluationConfig
    """What is drawn to be measured."""
    tiny: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What ``--tiny`` makes of these two."""


TINY_TEXT: Mapping[str, Mapping[str, Any]] = {
    "data": {"limit": 600},
    "evaluation": {"samples": 100, "final_samples": 100, "references": 500, "temperatures": [0.8, 1.0]},
}

TINY_IMAGES: Mapping[str, Mapping[str, Any]] = {
    "data": {"limit": 600},
    "evaluation": {"samples": 100, "final_samples": 100, "references": 500},
}

TINY_FONTS: Mapping[str, Mapping[str, Any]] = {"data": {"limit": 8}}


def _open_text(asked: Asked) -> Corpus:
    _refuse_prompts(asked)
    _refuse_labels(asked, "text")
    if asked.corpus.partition(":")[0] == SEEDED:
        return open_oracle(asked.corpus, asked.data.max_length or 20, asked.data.limit or 10_000)
    return open_corpus(asked.corpus, asked.data, asked.corpus_field)


def _open_labelled(asked: Asked) -> Corpus:
    _refuse_prompts(asked)
    return open_labelled(asked.corpus, asked.data, asked.corpus_field, asked.label_field)


def _open_stories(asked: Asked) -> Corpus:
    if asked.corpus_field is not None:
        raise UserError(f"corpus_field is {asked.corpus_field!r}; stories are found by the names of their columns")
    _refuse_labels(asked, "stories")
    return open_stories(asked.corpus, asked.data)


def _by_name_alone(opened: Callable[[str, Any], Corpus]) -> Callable[[Asked], Corpus]:
    """What opens a corpus that has no fields."""

    def open_corpus(asked: Asked) -> Corpus:
        for name in ("corpus_field", "label_field"):
            if getattr(asked, name) is not None:
                raise UserError(f"{name} is {getattr(asked, name)!r}; this data has no fields: leave it out")
        return opened(asked.corpus, asked.data)

    return open_corpus


def _refuse_labels(asked: Asked, domain: str) -> None:
    if asked.label_field is not None:
        raise UserError(
            f"label_field is {asked.label_field!r}; a game that is played on {domain} reads no labels: leave it out"
        )


def _refuse_prompts(asked: Asked) -> None:
    for name in ("max_prompt", "chat_template"):
        if getattr(asked.data, name):
            raise UserError(f"data.{name} is {getattr(asked.data, name)}; it is for prompts with answers")


DOMAINS = {
    "text": Domain(
        open=_open_text,
        makes="sentences",
        spec=TextSpec,
        embedded="bbe",
        best="nll-valid",
        use=("import textgan", 'textgan.load("{run}").sample(8, temperature=1.0)'),
        tiny=TINY_TEXT,
    ),
    "labelled": Domain(
        open=_open_labelled,
        makes="sentences",
        spec=LabelledSpec,
        embedded="bbe",
        best="nll-valid",
        use=("import textgan", 'model = textgan.load("{run}")', "model.sample(8, category=model.categories[0])"),
        tiny=TINY_TEXT,
    ),
    "stories": Domain(
        open=_open_stories,
        makes="endings",
        spec=StorySpec,
        embedded="story_world",
        best="nll-valid",
        use=(
            "from textgan.stories import StoryEnder",
            'StoryEnder.from_pretrained("{run}")("Four sentences. Of a story. In one text. Like this.")',
        ),
        tiny=TINY_TEXT,
    ),
    "images": Domain(
        open=_by_name_alone(partial(open_images, labelled=False)),
        makes="images",
        spec=ImageSpec,
        embedded="digits",
        best="frechet-distance",
        use=("import textgan", 'textgan.load("{run}").grid(64).save("grid.png")'),
        data=ImageConfig,
        evaluation=ImageEvaluationConfig,
        tiny=TINY_IMAGES,
    ),
    "labelled_images": Domain(
        open=_by_name_alone(partial(open_images, labelled=True)),
        makes="images",
        spec=ImageSpec,
        embedded="digits",
        best="frechet-distance",
        use=("import textgan", 'model = textgan.load("{run}")', "model.sample(8, category=model.categories[0])"),
        data=ImageConfig,
        evaluation=ImageEvaluationConfig,
        tiny=TINY_IMAGES,
    ),
    "image_pairs": Domain(
        open=_by_name_alone(open_pairs),
        makes="images of images",
        spec=PairSpec,
        embedded="digits",
        best="mae",
        use=("import textgan", 'model = textgan.load("{run}")', 'model(model.read("images/"))'),
        data=PairConfig,
        evaluation=ImageEvaluationConfig,
        tiny=TINY_IMAGES,
    ),
    "image_domains": Domain(
        open=_by_name_alone(open_domains),
        makes="images of images",
        spec=ImageSpec,
        embedded="digits",
        best="frechet-distance",
        use=("import textgan", 'model = textgan.load("{run}")', 'model(model.read("images/"))'),
        data=UnpairedConfig,
        evaluation=ImageEvaluationConfig,
        tiny=TINY_IMAGES,
    ),
    "captioned_images": Domain(
        open=_by_name_alone(open_captioned),
        makes="images of sentences",
        spec=CaptionedSpec,
        embedded="digits",
        best="frechet-distance",
        use=("import textgan", 'textgan.load("{run}").sample(8, "a bold wide seven")'),
        data=ImageConfig,
        evaluation=ImageEvaluationConfig,
        tiny=TINY_IMAGES,
    ),
    "glyphs": Domain(
        open=_by_name_alone(open_glyphs),
        makes="images of images",
        spec=GlyphSpec,
        embedded="fonts",
        best="mae",
        use=("import textgan", 'model = textgan.load("{run}")', 'model(model.read("a.png"), model.categories[0])'),
        data=GlyphConfig,
        evaluation=ImageEvaluationConfig,
        tiny=TINY_FONTS,
    ),
    "alphabets": Domain(
        open=_by_name_alone(open_alphabets),
        makes="images of images",
        spec=AlphabetSpec,
        embedded="fonts",
        best="mae",
        use=("import textgan", 'textgan.load("{run}").game.sample(n, glyphs, observed)'),
        data=GlyphConfig,
        evaluation=ImageEvaluationConfig,
        tiny=TINY_FONTS,
    ),
    "series": Domain(
        open=_by_name_alone(open_series),
        makes="series",
        spec=SeriesSpec,
        embedded="stocks",
        best="frechet-distance",
        use=("import textgan", 'textgan.load("{run}").sample(8)'),
        data=SeriesConfig,
        evaluation=SeriesEvaluationConfig,
        tiny=TINY_IMAGES,
    ),
}
"""Every domain by its name."""
