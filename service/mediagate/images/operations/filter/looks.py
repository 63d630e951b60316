"""The looks: pure functions from red, green and blue (0-1) to others, which may lie beyond 0-1."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import pi, sin

Colour = tuple[float, float, float]
Look = Callable[[float, float, float], Colour]


def _light(red: float, green: float, blue: float) -> float:
    """Return the luma of ITU-R BT.709."""
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _saturated(colour: Colour, amount: float) -> Colour:
    grey = _light(*colour)
    red, green, blue = (grey + (channel - grey) * amount for channel in colour)
    return red, green, blue


def _contrasted(channel: float, amount: float) -> float:
    """Return a channel on an S-shaped curve; black, middle grey and white stay."""
    channel = min(max(channel, 0.0), 1.0)
    return channel - amount * sin(2 * pi * channel) / (2 * pi)


def _each(colour: Colour, change: Callable[[float], float]) -> Colour:
    red, green, blue = map(change, colour)
    return red, green, blue


def cinematic(red: float, green: float, blue: float) -> Colour:
    """Teal shadows, orange lights, more contrast."""
    red, green, blue = _each((red, green, blue), lambda channel: _contrasted(channel, 0.35))
    shade = 1 - _light(red, green, blue)
    toned = red + 0.06 * (1 - shade) - 0.05 * shade, green + 0.01 * shade, blue + 0.07 * shade - 0.06 * (1 - shade)
    return _saturated(toned, 0.92)


def warm_film(red: float, green: float, blue: float) -> Colour:
    """Warm, with soft blacks."""
    red, green, blue = _saturated((red, green, blue), 0.95)
    return 0.04 + 0.98 * red, 0.03 + 0.94 * green, 0.03 + 0.84 * blue


def cool(red: float, green: float, blue: float) -> Colour:
    """Bluish and clear."""
    return red * 0.92, green * 0.99, blue * 0.94 + 0.06


def vintage(red: float, green: float, blue: float) -> Colour:
    """Faded colours of an old print."""
    red, green, blue = _saturated((red, green, blue), 0.7)
    return 0.08 + 0.88 * red, 0.06 + 0.84 * green, 0.10 + 0.68 * blue


def noir(red: float, green: float, blue: float) -> Colour:
    """Black and white with hard contrast."""
    grey = _contrasted(_light(red, green, blue), 0.8)
    return grey, grey, grey


def mono(red: float, green: float, blue: float) -> Colour:
    """Black and white."""
    grey = _light(red, green, blue)
    return grey, grey, grey


def sepia(red: float, green: float, blue: float) -> Colour:
    """Brown tones."""
    grey = _light(red, green, blue)
    return grey * 1.07 + 0.02, grey * 0.94 + 0.01, grey * 0.74


def fade(red: float, green: float, blue: float) -> Colour:
    """Lifted blacks, less contrast and colour."""
    return _each(_saturated((red, green, blue), 0.8), lambda channel: 0.10 + 0.84 * channel)


def vivid(red: float, green: float, blue: float) -> Colour:
    """Strong colours."""
    return _each(_saturated((red, green, blue), 1.4), lambda channel: _contrasted(channel, 0.15))


def matte(red: float, green: float, blue: float) -> Colour:
    """Soft blacks and whites, nearly full colours."""
    return _each(_saturated((red, green, blue), 0.9), lambda channel: 0.07 + 0.88 * _contrasted(min(channel, 1.0), 0.2))


LOOKS: Mapping[str, Look] = {
    look.__name__: look for look in (cinematic, warm_film, cool, vintage, noir, mono, sepia, fade, vivid, matte)
}
