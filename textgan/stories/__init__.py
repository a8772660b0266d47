"""Story endings as a library: four sentences in, the fifth out.

>>> from textgan.stories import StoryEnder
>>> ender = StoryEnder.from_pretrained("runs/story_ending-story_world-1")
>>> ender.generate("Four sentences ...", num_return_sequences=8, top_p=0.9, rerank="discriminator")
"""

from textgan.stories.ender import StoryEnder
from textgan.stories.results import Choice, Credit, Ending, Explanation

__all__ = ["Choice", "Credit", "Ending", "Explanation", "StoryEnder"]
