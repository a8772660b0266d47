"""Through whose eyes images are compared: a small classifier that learns from the training images of their corpus.

Where images have categories it learns these; where they have none, to tell by how many quarters an image is turned
(Gidaris et al. 2018), which takes no labels. It is trained once for a corpus and kept in the cache. Distances between
its features are no "FID": every signature names it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim import Optimizer

from textgan.data.batches import Batches
from textgan.data.cache import cached
from textgan.data.images.corpus import ImageCorpus, LabelledImageSplit
from textgan.data.images.spec import ImageSpec, LabelledImages
from textgan.game import Game, Loss, Move, Stage, Turn
from textgan.networks.image_classifier import LARGE, ImageClassifier, rotations
from textgan.progress import Progress
from textgan.reproducibility import forked_rng
from textgan.trainer import Trainer, TrainerConfig

FORMAT, FORMAT_OF_LARGE = 1, 2
"""Raised whenever the same images, of less than `LARGE` pixels a side or more, may give another classifier."""
STEPS = 1200
"""Of its training, at most: 80 seconds on two cores for images of 28 x 28."""
EPOCHS = 30
ROWS = 500
"""Images that are looked at at once: bounds memory."""
WEIGHTS = "classifier.safetensors"


class _Learning(Game):
    """A classifier, played like any game: by cross-entropy, with a step size that falls to nothing."""

    batch_size = 128

    def __init__(self, spec: ImageSpec, classes: int, steps: int) -> None:
        super().__init__()
        self.network = ImageClassifier(spec.channels, min(spec.height, spec.width), classes)
        self._steps = steps

    def optimizers(self) -> dict[str, Optimizer]:
        self._adam = torch.optim.AdamW(self.network.parameters(), lr=2e-3, weight_decay=1e-3)
        return {"network": self._adam}

    def stages(self) -> Sequence[Stage]:
        return [Stage("classifier", self._steps, [Move("network", self._loss)])]

    def _loss(self, real: Tensor | LabelledImages, turn: Turn) -> Loss:
        for group in self._adam.param_groups:
            group["lr"] = 2e-3 * (1 + math.cos(math.pi * turn.progress)) / 2
        images, labels = (real.image, real.category) if isinstance(real, LabelledImages) else rotations(real)
        return Loss({"nll": F.cross_entropy(self.network(images), labels)})


class ImageFeatures:
    """The classifier of a corpus: features and probabilities of images."""

    def __init__(self, corpus: ImageCorpus, device: torch.device) -> None:
        self.knows_categories = bool(corpus.spec.categories)
        classes = len(corpus.spec.categories) if self.knows_categories else 4
        kind = "categories" if self.knows_categories else "turns"
        size = min(corpus.spec.height, corpus.spec.width)
        version = FORMAT_OF_LARGE if size >= LARGE else FORMAT
        identity = ["image classifier", version, corpus.identity, kind, torch.__version__]
        folder = cached(identity, partial(_train, corpus, classes, self.knows_categories))
        self.network = ImageClassifier(corpus.spec.channels, size, classes)
        self.network.load_state_dict(load_file(folder / WEIGHTS))
        self.network.to(device).eval().requires_grad_(False)
        self._device = device
        self.signature = f"cnn64.{kind}.{corpus.name}.{folder.name[:8]}"
        """What made the features: the network, what it was taught, on which images."""

    def look(
        self, images: Float[Tensor, "n channels height width"]
    ) -> tuple[Float32[np.ndarray, "n features"], Float32[np.ndarray, "n classes"]]:
        """Features and probabilities of images."""
        with torch.no_grad():
            features = torch.cat([self.network.features(part.to(self._device)) for part in images.split(ROWS)])
            probabilities = self.network.output(features).softmax(1)
        return features.cpu().numpy(), probabilities.cpu().numpy()


def _train(corpus: ImageCorpus, classes: int, by_category: bool, folder: Path) -> None:
    """Learn, with random numbers of its own, and write the weights."""
    train = corpus.train
    split = train if isinstance(train, LabelledImageSplit) or not by_category else train.labelled()
    steps = min(STEPS, EPOCHS * math.ceil(len(train) / _Learning.batch_size))
    with forked_rng(0):
        game = _Learning(corpus.spec, classes, steps)
        with Progress(steps) as progress:
            progress.note(f"measurements of {corpus.name} look through a classifier, which learns now and is kept")
            Trainer(game, Batches(split, 0), TrainerConfig(device="cpu")).play(progress)
    weights = game.network.state_dict()
    save_file({name: weight.contiguous() for name, weight in weights.items()}, folder / WEIGHTS)
