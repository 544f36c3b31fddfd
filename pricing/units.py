"""The units that usage is counted in.

They are disjoint: a cached prompt token is in `cached_input_tokens` and not in `input_tokens` as well, a
reasoning token is not in `output_tokens`. Every unit has a bound, the most that one call may report; a
larger quantity is taken for a mistake of the reporter and never charged.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Family(StrEnum):
    """What a unit counts; decides its bound and how its price is shown."""

    TOKENS = "tokens"
    IMAGES = "images"
    SECONDS = "seconds"
    CHARACTERS = "characters"
    PAGES = "pages"
    SEARCHES = "searches"
    CALLS = "calls"


# The most one call may report of a unit of this family.
BOUNDS: Mapping[Family, int] = MappingProxyType(
    {
        Family.TOKENS: 100_000_000,
        Family.CHARACTERS: 100_000_000,
        Family.IMAGES: 10_000,
        Family.SECONDS: 1_000_000,
        Family.PAGES: 1_000_000,
        Family.SEARCHES: 100_000,
        Family.CALLS: 10_000,
    }
)


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit: its code in the API, and its names for people."""

    code: str
    label: str
    singular: str
    plural: str
    family: Family
    is_input: bool = False
    """Whether it counts towards the total input of a call, which decides the context tier."""

    @property
    def bound(self) -> int:
        """The most that one call may report."""
        return BOUNDS[self.family]

    @property
    def is_per_million(self) -> bool:
        """Whether people read its price per million (tokens, characters) or per single unit."""
        return self.family in (Family.TOKENS, Family.CHARACTERS)

    @property
    def is_per_use(self) -> bool:
        """Whether a price for it alone makes a model sellable; a search is an extra, never the product."""
        return self.family not in (Family.TOKENS, Family.SEARCHES)

    @property
    def per(self) -> str:
        """What the shown price is for: "1M tokens", "image", "second"."""
        return f"1M {self.family}" if self.is_per_million else self.singular

    def noun(self, quantity: int) -> str:
        """The word after a number: 1 image, 2 images."""
        return self.singular if quantity == 1 else self.plural


def _tokens(code: str, label: str, *, is_input: bool = False) -> Unit:
    word = label[0].lower() + label[1:]
    return Unit(code, label, f"{word} token", f"{word} tokens", Family.TOKENS, is_input)


_ALL = (
    _tokens("input_tokens", "Prompt", is_input=True),
    _tokens("cached_input_tokens", "Cached prompt", is_input=True),
    _tokens("cache_write_tokens", "Cache write", is_input=True),
    _tokens("cache_write_1h_tokens", "Cache write (1 hour)", is_input=True),
    _tokens("output_tokens", "Completion"),
    _tokens("reasoning_tokens", "Reasoning"),
    _tokens("input_audio_tokens", "Audio prompt", is_input=True),
    _tokens("cached_input_audio_tokens", "Cached audio prompt", is_input=True),
    _tokens("output_audio_tokens", "Audio completion"),
    _tokens("input_image_tokens", "Image prompt", is_input=True),
    _tokens("cached_input_image_tokens", "Cached image prompt", is_input=True),
    _tokens("output_image_tokens", "Image completion"),
    Unit("images", "Images", "image", "images", Family.IMAGES),
    Unit("seconds", "Seconds", "second", "seconds", Family.SECONDS),
    Unit("characters", "Characters", "character", "characters", Family.CHARACTERS),
    Unit("pages", "Pages", "page", "pages", Family.PAGES),
    Unit("web_searches", "Web searches", "web search", "web searches", Family.SEARCHES),
    Unit("storage_searches", "Storage searches", "storage search", "storage searches", Family.SEARCHES),
    Unit("calls", "Calls", "call", "calls", Family.CALLS),
)

UNITS: Mapping[str, Unit] = MappingProxyType({unit.code: unit for unit in _ALL})
"""Every unit by its code, in the order in which receipts and price lists show them."""

TOKEN_UNITS = frozenset(unit.code for unit in _ALL if unit.family is Family.TOKENS)
"""What counts as tokens wherever tokens are counted; each is either of INPUT_UNITS or of OUTPUT_UNITS."""
INPUT_UNITS = frozenset(unit.code for unit in _ALL if unit.is_input)
CACHED_UNITS = frozenset({"cached_input_tokens", "cached_input_audio_tokens", "cached_input_image_tokens"})
"""Input that was read from a cache."""
OUTPUT_UNITS = TOKEN_UNITS - INPUT_UNITS
"""Text, whether it is shown or not, audio and images."""
PER_USE_UNITS = frozenset(unit.code for unit in _ALL if unit.is_per_use)
