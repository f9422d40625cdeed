"""How wide text is, without a font at hand.

The widths are those of DejaVu Sans, the widest of the faces that ``font-family: sans-serif`` commonly
means: what fits by them fits in Arial and Helvetica, too.
"""

from __future__ import annotations

# Thousandths of the font size, for the characters from space to tilde.
_WIDTHS = (
    318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337, 636, 636, 636, 636, 636,
    636, 636, 636, 636, 636, 337, 337, 838, 838, 838, 531, 1000, 684, 686, 698, 770, 632, 575, 775, 752, 295,
    295, 656, 557, 863, 748, 787, 603, 787, 695, 635, 611, 732, 684, 989, 685, 611, 685, 390, 337, 390, 838,
    500, 500, 613, 635, 550, 635, 615, 352, 635, 634, 278, 278, 579, 278, 974, 634, 612, 635, 635, 411, 521,
    392, 634, 592, 818, 592, 592, 525, 636, 337, 636, 838,
)  # fmt: skip
_OTHER = 1000
_BOLD = 1.18
ELLIPSIS = "…"


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Return the width of a line of text in pixels; an upper estimate for most faces."""
    total = 0
    for char in text:
        code = ord(char) - 32
        total += _WIDTHS[code] if 0 <= code < len(_WIDTHS) else _OTHER
    return total * size / 1000 * (_BOLD if bold else 1.0)


def cut(text: str, size: float, width: float) -> str:
    """Return the text, or as much of it as fits with an ellipsis."""
    if text_width(text, size) <= width:
        return text
    room = width - text_width(ELLIPSIS, size)
    kept = len(text)
    while kept and text_width(text[:kept], size) > room:
        kept -= 1
    return text[:kept].rstrip() + ELLIPSIS


def wrap(text: str, size: float, width: float) -> list[str]:
    """Return the text in lines of at most this width; a single word that is longer is cut."""
    lines: list[str] = []
    for word in text.split():
        if lines and text_width(f"{lines[-1]} {word}", size) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(cut(word, size, width))
    return lines
