"""MC-GAN: a whole ornamented alphabet from a few of its characters (Azadi, Fisher, Kim et al., 2018).

An alphabet x is a stack of K characters, one a channel. Of each, some characters are shown, x_o, the others black. The
glyph network G draws all of them; its discriminator is shown x_o too, and judges patches and the whole stack, by the
least-squares game::

    L_D = 1/2 E (D(x_o, x) - 1)^2 + 1/2 E D(x_o, G(x_o))^2        L_G = E (D(x_o, G(x_o)) - 1)^2 + 100 E |x - G(x_o)|

each for both discriminators. Then the ornament network O colours characters y of one alphabet, one by one. It learns
from those shown alone, whose colours c are known; y is drawn by G from the others that are shown, or, of a character
that is hidden, from all of them::

    L_D = 1/2 E_shown (D(y, c) - 1)^2 + 1/2 E_all D(y, O(y))^2
    L_O = E_all (D(y, O(y)) - 1)^2 + 300 E_shown |c - O(y)| + 300 E_shown (ink(c) - ink(O(y)))^2

ink is near 1 where there is light and near 0 where it is black.

Differs from the paper: alphabets come without colours, so a program ornaments one font, which G does not learn from;
how far O's hidden characters are from the truth is logged as ``hidden``, the same of black images as ``black``. The
paper has many ornamented alphabets, made by people, and a network each. G stays as it is while O learns, so that it
goes on drawing every font, where the paper trains both; O's discriminator is shown y, where the paper's is shown
another font; ink is held against that of the truth alone; no noisy labels; no dropout; G's maps are not convolved
channel by channel at first; widths and depth follow the size of the images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.optim import Optimizer

from textgan.data.images.glyphs import Alphabets, AlphabetSpec
from textgan.data.images.ornaments import OrnamentName, ornamented
from textgan.data.images.spec import ImageSpec
from textgan.errors import UserError, check_at_least
from textgan.game import Loss, Move, Stage, Turn
from textgan.losses import ObjectiveName
from textgan.networks.image_fonts import LocalGlobalDiscriminator
from textgan.networks.image_patches import PatchDiscriminatorConfig
from textgan.networks.image_resnet import ResnetConfig, ResnetGenerator
from textgan.networks.modes import evaluating
from textgan.parts.neighbours import next_allowed
from textgan.parts.optimizers import OptimizersConfig
from textgan.parts.referee import Score
from textgan.parts.translation_game import TranslationConfig, TranslationGame, beside, distance, squared_distance

DARK, SHARP = -0.8, 20.0
"""Where ink begins, and how sharply."""


@dataclass(frozen=True)
class Config(TranslationConfig):
    """Two networks, each against a discriminator of patches and of the whole."""

    batch_size: int = 16
    """Alphabets of each step."""
    rounds: int = 500
    """Rounds of the glyph network."""
    ornament_rounds: int = 240
    """Rounds of the ornament network."""
    loss: ObjectiveName = "least_squares"
    """The adversarial objective."""
    adversarial: float = 2.0
    """Weight of its half in a generator's loss: 2 for the paper's 1, as the objective is halved."""
    shown: int = 5
    """Characters of an alphabet that are shown, half of them at most."""
    font: int = 0
    """Number of the training font that is ornamented; the glyph network does not learn from it."""
    ornament: OrnamentName = "outline"
    """How: gradient, outline or shadow."""
    distance: float = 100.0
    """Weight of the glyph network's mean absolute error."""
    colour: float = 300.0
    """Weight of the ornament network's mean absolute error, and of that of its ink."""
    glyphs: ResnetConfig = field(default_factory=lambda: ResnetConfig(width=32, blocks=4))
    """The glyph network."""
    colours: ResnetConfig = field(default_factory=lambda: ResnetConfig(width=16, blocks=2, halvings=0, norm="none"))
    """The ornament network: without norms, and looking at no more than what is near, it goes on from few characters."""
    discriminator: PatchDiscriminatorConfig = field(default_factory=lambda: PatchDiscriminatorConfig(norm="instance"))
    """Of both."""
    optimizers: OptimizersConfig = field(default_factory=lambda: OptimizersConfig(generator=1e-3))
    """How all learn."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, "game", self, "ornament_rounds", "shown")
        check_at_least(0, "game", self, "font", "distance", "colour")
        if self.loss == "relativistic":
            raise UserError("game.loss is 'relativistic', which pairs images; there are more fakes here than real ones")


_small = ResnetConfig(width=8, blocks=1)
TINY = Config(
    batch_size=16,
    rounds=3,
    ornament_rounds=3,
    shown=3,
    glyphs=_small,
    colours=_small,
    discriminator=PatchDiscriminatorConfig(width=8, norm="instance"),
)


class MCGAN(TranslationGame):
    """A glyph network and an ornament network. A buffer holds the alphabet that is ornamented, once it has come by."""

    data: ClassVar[str] = "alphabets"
    config: Config
    spec: AlphabetSpec
    discriminator: LocalGlobalDiscriminator
    alphabet: Tensor

    def __init__(self, config: Config, spec: AlphabetSpec) -> None:
        super().__init__(config, spec)
        one = ImageSpec(1, spec.height, spec.width, spec.train_size)
        colour = ImageSpec(3, spec.height, spec.width, spec.train_size)
        bias = self.referee.objective.has_level
        self.colouring = ResnetGenerator(config.colours, one, colour)
        self.critic = LocalGlobalDiscriminator(config.discriminator, colour, 1, bias)
        self.register_buffer("alphabet", torch.full(spec.shape, -1.0))

    def make_generator(self) -> ResnetGenerator:
        return ResnetGenerator(self.config.glyphs, self.spec, self.spec)

    def make_discriminator(self) -> LocalGlobalDiscriminator:
        bias = self.referee.objective.has_level
        return LocalGlobalDiscriminator(self.config.discriminator, self.spec, self.spec.channels, bias)

    def optimizers(self) -> dict[str, Optimizer]:
        made = self.config.optimizers
        ornament = {"ornament": made.of_generator(self.colouring), "critic": made.of_discriminator(self.critic)}
        return super().optimizers() | ornament

    def stages(self) -> Sequence[Stage]:
        moves = [
            Move("critic", self.critic_loss, self.config.discriminator_steps),
            Move("ornament", self.ornament_loss),
        ]
        glyphs = self.adversarial()
        return [Stage("glyphs", glyphs.rounds, glyphs.moves), Stage("ornament", self.config.ornament_rounds, moves)]

    def sample(  # type: ignore[override]
        self,
        n: int,
        glyphs: Float[Tensor, "n characters height width"],
        observed: Bool[Tensor, "n characters"],
    ) -> Float[Tensor, "n characters height width"]:
        """All characters of `n` alphabets of which some are shown."""
        return self.generator(shown(glyphs, observed))

    def ornament(
        self, glyphs: Float[Tensor, "n characters height width"]
    ) -> Float[Tensor, "n characters 3 height width"]:
        """Characters in colour."""
        return self.colouring(glyphs.flatten(0, 1)[:, None]).unflatten(0, glyphs.shape[:2])

    # The glyph network.

    def discriminator_loss(self, batch: Alphabets, turn: Turn) -> Loss:  # type: ignore[override]
        real = self.learned_from(batch)
        given = shown(real, self.some(len(real)))
        with torch.no_grad():
            fake = self.generator(given)
        return self.told_apart(self.judges(given), real, fake, turn)

    def generator_loss(self, batch: Alphabets, turn: Turn) -> Loss:  # type: ignore[override]
        real = self.learned_from(batch)
        given = shown(real, self.some(len(real)))
        fake = self.generator(given)
        adversarial = self.deceived(self.judges(given), real, fake, turn)
        return Loss({"adversarial": adversarial, "distance": self.config.distance * distance(fake, real)})

    def judges(self, source: Tensor) -> Sequence[Score]:
        network = self.discriminator
        return [lambda x: network.local(beside(source, x)), lambda x: network(beside(source, x))]

    def learned_from(self, batch: Alphabets) -> Float[Tensor, "n characters height width"]:
        """Alphabets, the one that is ornamented replaced by the next other; it is put by."""
        is_other = batch.style != self.config.font
        self.alphabet.copy_(torch.where(is_other.all(), self.alphabet, batch.glyphs[is_other.to(torch.uint8).argmin()]))
        return batch.glyphs[next_allowed(is_other.expand(len(is_other), -1))]

    def some(self, n: int) -> Bool[Tensor, "n characters"]:
        """So many characters of each alphabet, drawn at random."""
        order = torch.rand(n, self.spec.channels, device=self.alphabet.device).argsort(1)
        return order < self.count

    @property
    def count(self) -> int:
        """Characters that are shown."""
        return min(self.config.shown, self.spec.channels // 2)

    # The ornament network.

    def critic_loss(self, batch: Alphabets, turn: Turn) -> Loss:
        """Its discriminator's. It looks at no batch."""
        glyphs, colours = self.drawn(), self.colours()
        with torch.no_grad():
            made = self.colouring(glyphs)
        real = torch.cat([glyphs, colours], 1)[self.places()]
        return self.told_apart(self.critics, real, torch.cat([glyphs, made], 1), turn)

    def ornament_loss(self, batch: Alphabets, turn: Turn) -> Loss:
        """Its own. It looks at no batch."""
        glyphs, colours, places = self.drawn(), self.colours(), self.places()
        made = self.colouring(glyphs)
        real = torch.cat([glyphs, colours], 1)[places]
        terms = {
            "adversarial": self.deceived(self.critics, real, torch.cat([glyphs, made], 1), turn),
            "colour": self.config.colour * distance(made[places], colours[places]),
            "ink": self.config.colour * squared_distance(ink(made[places]), ink(colours[places])),
        }
        hidden = torch.ones(len(made), dtype=torch.bool, device=made.device).index_fill(0, places, False)
        black = torch.full_like(colours[hidden], -1)
        info = {"hidden": distance(made[hidden], colours[hidden]), "black": distance(black, colours[hidden])}
        return Loss(terms, {name: value.detach() for name, value in info.items()})

    @property
    def critics(self) -> Sequence[Score]:
        """Scores of characters with their colours behind them."""
        return [self.critic.local, self.critic]

    def places(self) -> Tensor:
        """Of the characters that are shown in colour: evenly spaced."""
        return torch.arange(self.count, device=self.alphabet.device) * self.spec.channels // self.count

    def colours(self) -> Float[Tensor, "characters 3 height width"]:
        """The truth of all characters."""
        return ornamented(self.alphabet[:, None], self.config.ornament)

    @torch.no_grad()
    def drawn(self) -> Float[Tensor, "characters 1 height width"]:
        """What the glyph network draws: of a character that is shown, from the others; of all else, from all shown."""
        places = self.places()
        observed = torch.zeros(self.count + 1, self.spec.channels, dtype=torch.bool, device=places.device)
        observed[:, places] = True
        observed[torch.arange(self.count), places] = False
        with evaluating(self.generator):
            made = self.generator(shown(self.alphabet.expand(len(observed), -1, -1, -1), observed))
        glyphs = made[-1].clone()
        glyphs[places] = made[torch.arange(self.count), places]
        return glyphs[:, None]

    def sheets(self) -> dict[str, Float[Tensor, "rows columns 3 height width"]]:
        """The alphabet that is ornamented: what is drawn, the same in colour, the truth."""
        glyphs, colours = self.drawn(), self.colours()
        return {"ornament": torch.stack([glyphs.expand(-1, 3, -1, -1), self.colouring(glyphs), colours])}


def shown(
    glyphs: Float[Tensor, "n characters height width"], observed: Bool[Tensor, "n characters"]
) -> Float[Tensor, "n characters height width"]:
    """Alphabets in which the characters that are not observed are black."""
    return torch.where(observed[:, :, None, None], glyphs, -1.0)


def ink(images: Float[Tensor, "n 3 height width"]) -> Float[Tensor, "n height width"]:
    """Where there is light of any colour."""
    return (SHARP * (images.float().amax(1) - DARK)).sigmoid()
