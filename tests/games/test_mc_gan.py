"""What makes MC-GAN itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tests.games.test_every_game import SPECS, Images
from textgan.config import parse_train_command
from textgan.data.images.glyphs import Alphabets
from textgan.data.images.ornaments import ornamented
from textgan.errors import UserError
from textgan.game import Turn
from textgan.games.mc_gan import MCGAN, TINY, ink, shown
from textgan.networks.modes import evaluating
from textgan.registry import find
from textgan.reproducibility import seed_everything

SPEC = SPECS["alphabets"]["six characters"]
START = Turn("glyphs", 0, 0.0)
BATCH: Alphabets = Images(SPEC, "alphabets").take(torch.tensor([3, 0, 7, 5]))  # type: ignore[assignment]


def _game(**changes: object) -> MCGAN:
    """One that has seen the alphabet to be ornamented."""
    seed_everything(0)
    game = MCGAN(dataclasses.replace(TINY, **changes), SPEC)
    game.learned_from(BATCH)
    return game


def test_the_glyph_network_learns_first_and_is_no_player_of_the_second_stage():
    glyphs, ornament = _game().stages()
    assert [glyphs.name, ornament.name] == ["glyphs", "ornament"]
    players = [[move.player for move in stage.moves] for stage in (glyphs, ornament)]
    assert players == [["discriminator", "generator"], ["critic", "ornament"]]


class TestGlyphs:
    def test_the_ornamented_font_is_put_by_and_never_learned_from(self):
        game = _game()
        real = game.learned_from(BATCH)
        assert torch.equal(real, BATCH.glyphs[[0, 2, 2, 3]])
        assert torch.equal(game.alphabet, BATCH.glyphs[1])
        rest = Alphabets(BATCH.glyphs[2:], BATCH.style[2:])
        assert torch.equal(game.learned_from(rest), rest.glyphs)
        assert torch.equal(game.alphabet, BATCH.glyphs[1])  # still
        assert "alphabet" in game.state_dict()
        other = _game(font=7)
        assert torch.equal(other.alphabet, BATCH.glyphs[2])

    def test_so_many_characters_are_shown_and_which_is_drawn_anew(self):
        game = _game(shown=2)
        seed_everything(0)
        masks = game.some(400)
        assert masks.sum(1).tolist() == [2] * 400
        assert (masks.float().mean(0) - 1 / 3).abs().max() < 0.1
        assert _game(shown=5).count == 3  # half of six

    def test_what_is_hidden_is_black(self):
        masks = torch.tensor([[True, False, True, False, False, False]] * 4)
        given = shown(BATCH.glyphs, masks)
        assert torch.equal(given[:, [0, 2]], BATCH.glyphs[:, [0, 2]])
        assert (given[:, [1, 3, 4, 5]] == -1).all()
        game = _game().eval()
        made = game.sample(4, BATCH.glyphs, masks)
        assert torch.equal(made, game.generator(given))

    def _by_hand(self, game: MCGAN) -> tuple[torch.Tensor, ...]:
        seed_everything(1)
        real = BATCH.glyphs[[0, 2, 2, 3]]
        given = shown(real, game.some(4))
        return real, given, game.generator(given)

    def test_the_discriminators_play_the_least_squares_game_beside_what_is_shown(self):
        game = _game()
        seed_everything(1)
        loss = game.discriminator_loss(BATCH, START)
        real, given, fake = self._by_hand(game)
        real, fake = torch.cat([given, real], 1), torch.cat([given, fake.detach()], 1)
        judges = (game.discriminator.local, game.discriminator)
        torch.testing.assert_close(loss.terms["real"], sum((d(real) - 1).square().mean() / 2 for d in judges))
        torch.testing.assert_close(loss.terms["fake"], sum(d(fake).square().mean() / 2 for d in judges))

    def test_the_generator_deceives_both_and_is_near_the_truth_of_all_characters(self):
        game = _game()
        seed_everything(1)
        loss = game.generator_loss(BATCH, START)
        real, given, fake = self._by_hand(game)
        beside = torch.cat([given, fake], 1)
        judges = (game.discriminator.local, game.discriminator)
        torch.testing.assert_close(loss.terms["adversarial"], sum((d(beside) - 1).square().mean() for d in judges))
        torch.testing.assert_close(loss.terms["distance"], 100 * (fake - real).abs().mean())


class TestOrnament:
    def test_a_shown_character_is_drawn_from_the_others_and_a_hidden_one_from_all_shown(self):
        game = _game(shown=3)
        assert game.places().tolist() == [0, 2, 4]
        game.generator.eval()
        drawn = game.drawn()
        for k in range(6):
            seen = [p for p in (0, 2, 4) if p != k]
            mask = torch.tensor([[p in seen for p in range(6)]])
            torch.testing.assert_close(drawn[k], game.sample(1, game.alphabet[None], mask)[:, k])

    def test_nothing_that_is_learned_from_depends_on_a_hidden_character(self):
        """The truth of hidden characters shows in what is logged alone."""
        game = _game(shown=3)
        terms = []
        for _ in range(2):
            losses = [game.critic_loss(BATCH, START), game.ornament_loss(BATCH, START)]
            terms.append(({k: v for loss in losses for k, v in loss.terms.items()}, losses[1].info["hidden"]))
            game.alphabet[[1, 3, 5]] = -game.alphabet[[1, 3, 5]]
        assert terms[0][0].keys() == terms[1][0].keys()
        assert all(torch.equal(terms[0][0][name], terms[1][0][name]) for name in terms[0][0])
        assert terms[0][1] != terms[1][1]

    def test_it_depends_on_every_shown_character(self):
        for place in (0, 2, 4):
            game = _game(shown=3)
            before = game.ornament_loss(BATCH, START).terms["colour"]
            game.alphabet[place] = -game.alphabet[place]
            assert game.ornament_loss(BATCH, START).terms["colour"] != before

    def test_the_losses_are_of_shown_pairs_and_of_fakes_of_all_characters(self):
        game = _game(shown=3)
        loss, of_critic = game.ornament_loss(BATCH, START), game.critic_loss(BATCH, START)
        with evaluating(game.generator):
            drawn = game.drawn()
        truth = ornamented(game.alphabet[:, None], "outline")
        made, places = game.colouring(drawn), [0, 2, 4]
        fake, real = torch.cat([drawn, made], 1), torch.cat([drawn, truth], 1)[places]
        judges = (game.critic.local, game.critic)
        torch.testing.assert_close(loss.terms["adversarial"], sum((d(fake) - 1).square().mean() for d in judges))
        torch.testing.assert_close(of_critic.terms["real"], sum((d(real) - 1).square().mean() / 2 for d in judges))
        torch.testing.assert_close(of_critic.terms["fake"], sum(d(fake).square().mean() / 2 for d in judges))
        torch.testing.assert_close(loss.terms["colour"], 300 * (made[places] - truth[places]).abs().mean())
        apart = (ink(made[places]) - ink(truth[places])).square().mean()
        torch.testing.assert_close(loss.terms["ink"], 300 * apart)
        torch.testing.assert_close(loss.info["hidden"], (made - truth)[[1, 3, 5]].abs().mean())
        torch.testing.assert_close(loss.info["black"], (truth[[1, 3, 5]] + 1).abs().mean())

    def test_the_glyph_network_stays_as_it_is(self):
        """No gradient reaches it, and batch norm's running means are still."""
        game = _game(glyphs=dataclasses.replace(TINY.glyphs, norm="batch"))
        before = {name: value.clone() for name, value in game.generator.state_dict().items()}
        loss = game.ornament_loss(BATCH, START)
        game.critic_loss(BATCH, START)
        sum(loss.terms.values()).backward()
        assert all(p.grad is None for p in game.generator.parameters())
        assert all(p.grad is not None for p in game.colouring.parameters())
        assert all(torch.equal(value, before[name]) for name, value in game.generator.state_dict().items())
        assert game.generator.training

    def test_ink_is_light_of_any_colour(self):
        images = torch.full((1, 3, 1, 4), -1.0)
        images[0, 2, 0, 1] = 1  # blue
        images[0, :, 0, 2] = 1
        images[0, 0, 0, 3] = -0.8
        found = ink(images)[0, 0]
        assert found[0] < 0.02
        assert found[1:3].min() > 0.99
        assert found[3].item() == pytest.approx(0.5)

    def test_colours_are_of_each_character_by_itself(self):
        game = _game().eval()
        colours = game.ornament(BATCH.glyphs)
        assert colours.shape == (4, 6, 3, 8, 8)
        torch.testing.assert_close(colours[2, 3], game.colouring(BATCH.glyphs[2, 3][None, None])[0])

    def test_a_sheet_has_what_is_drawn_the_same_in_colour_and_the_truth(self):
        game = _game().eval()
        sheet = game.sheets()["ornament"]
        assert sheet.shape == (3, 6, 3, 8, 8)
        assert torch.equal(sheet[0], game.drawn().expand(-1, 3, -1, -1))
        torch.testing.assert_close(sheet[1], game.colouring(game.drawn()))
        assert torch.equal(sheet[2], ornamented(BATCH.glyphs[1][:, None], "outline"))


def test_an_objective_of_pairs_is_refused():
    with pytest.raises(UserError, match="relativistic"):
        _game(loss="relativistic")


def test_the_preset_has_the_papers_sizes():
    config = parse_train_command(find("mc_gan"), ["--preset", "mc_gan-fonts"], "test")
    assert (config.game.glyphs.blocks, config.game.colours.blocks, config.data.size) == (6, 6, 64)
    assert (config.game.distance, config.game.colour) == (100, 300)
