"""The 'model': guesses a tag from what you type.  Small enough to read, slow enough to load."""

import asyncio
import re

KEYWORDS = {
    "work": "bug code deploy email meeting merged paired project release review ship test",
    "people": "birthday call called dinner friend letter mother party talked visit",
    "outdoors": "bird bridge canal cycled frost garden heron rain river run sun tree walk walked",
    "food": "baked bread coffee cooked lemon lunch recipe soup sourdough supper tea",
    "reading": "article book chapter essay library novel page poem read story",
    "rest": "bath early film nap nothing quiet sleep slept sofa tired",
}


class Tagger:
    """Finds the tag whose words a text has most of."""

    def __init__(self) -> None:
        self.words = {word: tag for tag, words in KEYWORDS.items() for word in words.split()}

    @classmethod
    async def load(cls, seconds: float) -> "Tagger":
        """Stand in for weights that take a while: the reason to care what a reload restarts."""
        await asyncio.sleep(seconds)
        return cls()

    def suggest(self, text: str) -> str:
        """Return the most likely tag, or an empty string."""
        votes = [self.words[word] for word in re.findall(r"[a-z]+", text.lower()) if word in self.words]
        return max(votes, key=votes.count, default="")
