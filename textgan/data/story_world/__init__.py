"""A small simulated world that tells five-sentence stories from its state, and judges any ending of them by program.

A story's state is a plot, two people, what the plot is about (things, places, ...) and what happens in each of its four
sentences. The card's laws say what the happenings lead to, for good or bad, and through whom: oneself, the other or
luck; and that decides the mood. `rules` reads the card, `telling` goes from states to text, `checking` from text back
to states, `world` is the face of all.
"""

from textgan.data.story_world.world import StoryWorld, Verdict, WorldStory, WrongEnding

__all__ = ["StoryWorld", "Verdict", "WorldStory", "WrongEnding"]
