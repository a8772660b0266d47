"""What a run that was told few categories or none has made of them.

    python scripts/image_categories.py runs/infogan-digits-1

A game with codes (``codes_of``): the best match of its first code with the categories of held-out images, as the
discriminator reads it off them, and of generated images, as the corpus's classifier takes them. A game that classifies
(``classify``): how many held-out images it gets right.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import tyro

from textgan import command_line
from textgan.data.images.corpus import open_images
from textgan.errors import UserError
from textgan.evaluation.image_features import ImageFeatures
from textgan.metrics.matching import Match, best_match
from textgan.model import open_game
from textgan.processes import choose_device
from textgan.reproducibility import forked_rng
from textgan.run import Run


@dataclass(frozen=True)
class Arguments:
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the run."""
    samples: int = 2000
    """Images that are generated."""
    seed: int = 0
    """Of the generated images."""


def shown(what: str, match: Match, names: tuple[str, ...]) -> str:
    """The accuracy, and a row a value of the code: its category, and what its images are."""
    rows = [
        f"  {group} = {'nothing' if category is None else names[category]:>8}: "
        + " ".join(f"{n:5d}" for n in match.counts[group])
        for group, category in enumerate(match.category_of)
    ]
    return "\n".join([f"{what}: {match.accuracy.value:.4f}  {match.accuracy.signature}", *rows])


def main(args: list[str]) -> None:
    command = command_line.parse(Arguments, args, "python scripts/image_categories.py", __doc__ or "")
    opened = open_game(Run.open(command.run), "cpu")
    corpus = open_images(opened.settings.corpus, opened.settings.data, labelled=True)
    game: Any = opened.game
    names = corpus.spec.categories
    images, categories = corpus.test.images(), corpus.test.categories().numpy()
    if hasattr(game, "codes_of"):
        values = game.config.categorical[0]
        read = game.codes_of(images).numpy()
        print(shown("held-out images", best_match(read, categories, values, len(names), "codes"), names))
        with forked_rng(command.seed), torch.no_grad():
            latents = game.latents(command.samples)
            made = game.decode(latents)
        code = latents[:, game.config.latent : game.config.latent + values].argmax(1).numpy()
        look = ImageFeatures(corpus, choose_device("cpu"))
        taken = look.look(made)[1].argmax(1)
        print(shown("generated images", best_match(code, taken, values, len(names), look.signature), names))
    elif hasattr(game, "classify"):
        print(f"held-out images: {np.mean(game.classify(images).numpy() == categories):.4f} right of {len(images):,}")
    else:
        raise UserError(f"{command.run} is a run of {opened.name}, which neither reads codes nor classifies")


if __name__ == "__main__":
    command_line.run(main)
