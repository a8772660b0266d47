"""What both sides minimise under each trick, against hand computation."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from textgan.errors import UserError
from textgan.game import Turn
from textgan.losses import OBJECTIVES, least_squares
from textgan.parts.referee import Referee, TricksConfig, labelled_loss, mode_seeking, with_noise

START = Turn("adversarial", 0, 0.0)
REAL, FAKE = torch.tensor([0.5, -1.0, 2.0]).view(3, 1, 1, 1), torch.tensor([-0.7, 0.2, 1.1]).view(3, 1, 1, 1)


def score(images: Tensor) -> Tensor:
    """Each image of one number is its own score."""
    return images.flatten()


class Counted:
    """A score that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Tensor] = []

    def __call__(self, images: Tensor) -> Tensor:
        self.asked.append(images)
        return images.flatten(1).mean(1)


def _loss(scores: Tensor, labels: list[float]) -> float:
    """``-[t log s + (1 - t) log (1 - s)]``, number by number."""
    found = [
        -(t * math.log(1 / (1 + math.exp(-x))) + (1 - t) * math.log(1 - 1 / (1 + math.exp(-x))))
        for x, t in zip(scores.flatten().tolist(), labels, strict=True)
    ]
    return sum(found) / len(found)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_without_tricks_the_losses_are_the_objectives(name):
    referee, objective = Referee(name, TricksConfig()), OBJECTIVES[name]
    loss = referee.discriminator(score, REAL, FAKE, START)
    expected = objective.discriminator(score(REAL), score(FAKE))
    assert list(loss.terms) == ["real", "fake"]
    torch.testing.assert_close(tuple(loss.terms.values()), expected)
    torch.testing.assert_close(loss.info["value"], -sum(expected))
    torch.testing.assert_close(
        referee.generator(score, REAL, FAKE, START), objective.generator(score(REAL), score(FAKE))
    )


def test_an_objective_of_ones_own_takes_the_place_of_the_named_one():
    referee = Referee("least_squares", TricksConfig(), least_squares(-1.0, 1.0, 0.0))
    terms = referee.discriminator(score, REAL, FAKE, START).terms
    assert terms["fake"].item() == pytest.approx(((0.3**2) + 1.2**2 + 2.1**2) / 6)
    assert referee.generator(score, REAL, FAKE, START).item() == pytest.approx((0.7**2 + 0.2**2 + 1.1**2) / 6)


def test_accuracy_is_the_share_on_the_right_side():
    info = Referee("standard", TricksConfig()).discriminator(score, REAL, FAKE, START).info
    assert info["accuracy"].item() == pytest.approx((2 / 3 + 1 / 3) / 2)


def test_smoothed_labels_are_those_of_the_cross_entropy():
    """A range of one number leaves nothing to chance; a label above 1 is taken as it is."""
    tricks = TricksConfig(real_labels=(0.9, 0.9), fake_labels=(0.2, 0.2))
    terms = Referee("standard", tricks).discriminator(score, REAL, FAKE, START).terms
    assert terms["real"].item() == pytest.approx(_loss(REAL, [0.9] * 3))
    assert terms["fake"].item() == pytest.approx(_loss(FAKE, [0.2] * 3))
    above = Referee("standard", TricksConfig(real_labels=(1.2, 1.2))).discriminator(score, REAL, FAKE, START).terms
    assert above["real"].item() == pytest.approx(_loss(REAL, [1.2] * 3))
    assert above["fake"].item() == pytest.approx(_loss(FAKE, [0.0] * 3))


def test_noisy_labels_are_drawn_for_each_image_from_their_range():
    """At score x the loss is linear in the label, softplus(-x) + (1 - t) x: labels can be read off the losses."""
    tricks = TricksConfig(real_labels=(0.7, 1.2), fake_labels=(0.0, 0.3))
    scores = torch.zeros(4000, requires_grad=True)
    for real, low, high in ((True, 0.7, 1.2), (False, 0.0, 0.3)):
        loss = Referee("standard", tricks)._against_labels(scores, real)
        (gradient,) = torch.autograd.grad(loss, scores)  # (1/2 - t) / n
        labels = 0.5 - gradient * len(scores)
        assert labels.min().item() == pytest.approx(low, abs=0.005)
        assert labels.max().item() == pytest.approx(high, abs=0.005)
        assert labels.mean().item() == pytest.approx((low + high) / 2, abs=0.02)


def test_flipped_labels_are_turned_round_for_that_share_of_the_images():
    tricks = TricksConfig(real_labels=(0.9, 0.9), fake_labels=(0.2, 0.2), flipped=0.25)
    scores = torch.zeros(4000, requires_grad=True)
    for real, plain in ((True, 0.9), (False, 0.2)):
        (gradient,) = torch.autograd.grad(Referee("standard", tricks)._against_labels(scores, real), scores)
        labels = 0.5 - gradient * len(scores)
        turned = (labels - (1 - plain)).abs() < 1e-4
        assert ((labels - plain).abs() < 1e-4).logical_or(turned).all()
        assert turned.float().mean().item() == pytest.approx(0.25, abs=0.03)


def test_the_loss_of_labels_is_the_cross_entropy_of_logits():
    scores, labels = torch.randn(5, 2), torch.rand(5, 2)
    torch.testing.assert_close(labelled_loss(scores, labels), cross_entropy(scores, labels))
    assert labelled_loss(torch.tensor([200.0]), torch.tensor([0.0])).item() == pytest.approx(200)
    assert labelled_loss(scores.bfloat16(), labels).dtype == torch.float32


@pytest.mark.parametrize("trick", [{"real_labels": (0.9, 1.0)}, {"fake_labels": (0.0, 0.1)}, {"flipped": 0.1}])
def test_a_loss_without_labels_refuses_tricks_with_them(trick):
    for name in ("standard", "saturating"):
        Referee(name, TricksConfig(**trick))
    for name in ("wasserstein", "hinge", "least_squares", "pearson"):
        with pytest.raises(UserError, match=rf"loss is '{name}'.*standard or saturating"):
            Referee(name, TricksConfig(**trick))
    Referee("wasserstein", TricksConfig(instance_noise=0.1, diversity=1.0, together=True))


@pytest.mark.parametrize(
    ("field", "value"), [("real_labels", (1.2, 0.7)), ("flipped", 1.0), ("instance_noise", -0.1), ("diversity", -1.0)]
)
def test_a_trick_that_cannot_be_is_refused(field, value):
    with pytest.raises(UserError, match=f"tricks.{field}"):
        TricksConfig(**{field: value})


@pytest.mark.parametrize("progress", [0.0, 0.25, 0.9])
def test_instance_noise_is_on_all_images_and_falls_with_progress(progress):
    """Of both sides; what is left of 0.4 at the start is its share still to come."""
    torch.manual_seed(0)
    referee, turn = Referee("standard", TricksConfig(instance_noise=0.4)), Turn("adversarial", 0, progress)
    images = torch.rand(100, 1, 8, 8)
    counted = Counted()
    referee.discriminator(counted, images, images, turn)
    referee.generator(counted, images, images, turn)
    assert len(counted.asked) == 4
    for seen in counted.asked:
        assert (seen - images).std().item() == pytest.approx(0.4 * (1 - progress), rel=0.05)
        assert (seen - images).mean().abs() < 0.02


def test_without_instance_noise_nothing_is_drawn():
    images = torch.rand(2, 1, 3, 3)
    before = torch.get_rng_state()
    assert with_noise(images, 0.0) is images
    assert torch.equal(before, torch.get_rng_state())


def _network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.BatchNorm1d(3), nn.LeakyReLU(0.2), nn.Linear(3, 1))


def test_together_means_one_batch_with_common_statistics():
    real, fake = torch.randn(6, 1, 2, 2), torch.randn(4, 1, 2, 2) + 1
    network = _network()
    both = network(torch.cat([real, fake]))
    apart = network(real), network(fake)
    found = {}
    for together in (False, True):
        referee = Referee("least_squares", TricksConfig(together=together))
        found[together] = referee.scores(network, real, fake, START)
    torch.testing.assert_close(found[True], (both[:6], both[6:]))
    torch.testing.assert_close(found[False], apart)
    assert not torch.allclose(found[True][0], found[False][0])


def test_together_the_discriminator_is_asked_once_else_twice():
    for together, times in ((True, [7]), (False, [4, 3])):
        counted = Counted()
        referee = Referee("standard", TricksConfig(together=together))
        referee.discriminator(counted, torch.randn(4, 1, 2, 2), torch.randn(3, 1, 2, 2), START)
        assert [len(images) for images in counted.asked] == times


def test_fakes_are_held_fixed_for_the_discriminator_and_not_for_the_generator():
    referee = Referee("standard", TricksConfig(diversity=1.0))
    fake = FAKE.clone().requires_grad_(True)
    of_discriminator = referee.discriminator(score, REAL.clone().requires_grad_(True), fake, START)
    sum(of_discriminator.terms.values()).backward()
    assert fake.grad is None
    referee.generator(score, REAL, fake, START).backward()
    # -log s(x) has the slope s(x) - 1
    torch.testing.assert_close(fake.grad.flatten(), (score(FAKE).sigmoid() - 1) / 3)


def test_a_relativistic_generator_has_no_gradient_through_real_images():
    real = REAL.clone().requires_grad_(True)
    fake = FAKE.clone().requires_grad_(True)
    Referee("relativistic", TricksConfig()).generator(score, real, fake, START).backward()
    assert real.grad is None
    torch.testing.assert_close(fake.grad.flatten(), -(score(REAL) - score(FAKE)).sigmoid() / 3)


def test_mode_seeking_is_the_inverse_of_how_far_images_are_apart_for_their_latents():
    images, latents = torch.randn(4, 2, 3, 3), torch.randn(4, 5)
    ratios = []
    for i in range(4):
        j = (i - 1) % 4
        apart = sum(abs(a - b) for a, b in zip(images[i].flatten().tolist(), images[j].flatten().tolist(), strict=True))
        moved = sum(abs(a - b) for a, b in zip(latents[i].tolist(), latents[j].tolist(), strict=True))
        ratios.append((apart / 18) / (moved / 5))
    assert mode_seeking(images, latents).item() == pytest.approx(1 / (sum(ratios) / 4 + 1e-5), rel=1e-5)


def test_mode_seeking_falls_as_images_spread_and_is_finite_when_all_are_alike():
    images, latents = torch.randn(4, 1, 2, 2), torch.randn(4, 3)
    assert mode_seeking(2 * images, latents) < mode_seeking(images, latents)
    alike = torch.zeros(4, 1, 2, 2, requires_grad=True)
    assert mode_seeking(alike, latents).item() == pytest.approx(1e5)
    assert mode_seeking(images, latents[:1].expand(4, 3)).isfinite()


def test_the_diversity_term_is_there_when_it_has_a_weight():
    images, latents = torch.randn(4, 1, 2, 2), torch.randn(4, 3)
    assert Referee("standard", TricksConfig()).diversity(images, latents) == {}
    found = Referee("standard", TricksConfig(diversity=0.5)).diversity(images, latents)
    torch.testing.assert_close(found, {"diversity": 0.5 * mode_seeking(images, latents)})
