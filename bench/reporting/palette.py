"""One colour and one marker a variant, everywhere in a report."""

from __future__ import annotations

from dataclasses import dataclass

COLORS = (
    "#2f7fd1",  # blue
    "#d5632a",  # vermilion
    "#1d9a76",  # green
    "#b565b8",  # purple
    "#a8851a",  # ochre
    "#d14f72",  # rose
    "#3f97a6",  # teal
    "#7f858d",  # grey
)
"""After Okabe & Ito's colour-blind-safe set, darkened or lightened until each has a contrast of
at least 3 with the light and with the dark page."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
"""Matplotlib's names; a second way to tell the lines apart."""

LIGHT, DARK = "#fdfdfb", "#15171a"
"""The page's two grounds."""


@dataclass(frozen=True)
class Look:
    """The colour and the marker of each variant of a page, by its place among them all.

    Each further round of the colours is one marker on, so 8 colours × 8 markers make 64 distinct
    looks; from the ninth variant on, colour alone does not tell them apart.
    """

    variants: tuple[str, ...]

    @property
    def palette(self) -> dict[str, str]:
        """Variant → colour, as seaborn takes it."""
        return {name: self.color(name) for name in self.variants}

    @property
    def crowded(self) -> bool:
        """Whether variants share colours, so that every line needs its marker."""
        return len(self.variants) > len(COLORS)

    def color(self, variant: str) -> str:
        """The colour, as `#rrggbb`."""
        return COLORS[self.variants.index(variant) % len(COLORS)]

    def shape(self, variant: str) -> int:
        """Which of the markers; with more variants than colours, the two part ways."""
        place = self.variants.index(variant)
        return (place + place // len(COLORS)) % len(MARKERS)

    def marker(self, variant: str) -> str:
        """The marker, as matplotlib calls it."""
        return MARKERS[self.shape(variant)]
