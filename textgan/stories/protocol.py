"""How endings are written to be held against each other."""

from __future__ import annotations

from dataclasses import dataclass

from textgan.errors import check_at_least, check_fields


@dataclass(frozen=True)
class Protocol:
    """How endings are written for the table."""

    temperatures: tuple[float, ...] = (1.0,)
    """Temperatures at which endings are drawn: a row each. Several make the quality-diversity curve."""
    top_p: float = 0.9
    """Nucleus that endings are drawn from in the row "nucleus", at `nucleus_temperature`."""
    nucleus_temperature: float = 0.8
    """Temperature of the row "nucleus", and of the candidates that are re-ranked."""
    n_best: int = 8
    """Endings of each context whose likeness is measured, and of which the best is chosen."""
    num_beams: int = 4
    """Beams of the row "beam"."""
    length_penalty: float = 1.0
    """What the row "beam" divides log-probabilities by: ``length ** length_penalty``; more makes endings longer."""
    batch_size: int = 64
    """Contexts at once."""
    seed: int = 0
    """Seed of all that is drawn."""

    def __post_init__(self) -> None:
        check_at_least(2, "protocol", self, "n_best", "num_beams")
        check_at_least(1, "protocol", self, "batch_size")
        check_fields("protocol", self, "numbers above 0", lambda t: not t or min(t) > 0, "temperatures")
