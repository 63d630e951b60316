"""The primaries and the white of a colour space, and the matrices between such spaces."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

Vector: TypeAlias = tuple[float, float, float]
Matrix: TypeAlias = tuple[Vector, Vector, Vector]
"""Three rows."""

D50: Vector = (0.9642, 1.0, 0.8249)
"""XYZ of the white of the profile connection space (ICC.1:2022, section 7.2.16)."""
_BRADFORD: Matrix = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
"""From XYZ to the cone responses of linear Bradford adaptation (ICC.1:2022, annex E.3)."""


class Primaries(NamedTuple):
    """CIE 1931 x and y of red, green, blue and white."""

    red: tuple[float, float]
    green: tuple[float, float]
    blue: tuple[float, float]
    white: tuple[float, float]

    def to_xyz(self) -> Matrix:
        """Return the matrix from linear RGB to XYZ, in which white has Y = 1 (SMPTE RP 177).

        Raises ``ValueError`` or ``ZeroDivisionError`` if the primaries span no triangle around white.
        """
        columns = _transposed((_xyz(self.red), _xyz(self.green), _xyz(self.blue)))
        scale = multiply(inverse(columns), _white(self.white))
        if min(scale) <= 0:
            raise ValueError("white lies outside the triangle of the primaries")
        return _product(columns, _diagonal(scale))

    def to_d50(self) -> Matrix:
        """Return the matrix from linear RGB to XYZ adapted to D50; raises like ``to_xyz``."""
        return _product(adaptation(self.white), self.to_xyz())

    def to(self, other: Primaries) -> Matrix:
        """Return the matrix to another linear RGB, in which white stays white."""
        return _product(inverse(other.to_d50()), self.to_d50())


D65 = (0.3127, 0.3290)
BT_709 = Primaries((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), D65)
BT_2020 = Primaries((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65)
DISPLAY_P3 = Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), D65)
"""The primaries of SMPTE EG 432-1 with the white of sRGB."""


def adaptation(white: tuple[float, float]) -> Matrix:
    """Return the matrix that adapts XYZ from a white to D50."""
    here, there = multiply(_BRADFORD, _white(white)), multiply(_BRADFORD, D50)
    scaled = _diagonal((there[0] / here[0], there[1] / here[1], there[2] / here[2]))
    return _product(inverse(_BRADFORD), _product(scaled, _BRADFORD))


def multiply(matrix: Matrix, vector: Vector) -> Vector:
    """Return the product of a matrix and a column."""
    x, y, z = vector
    (a, b, c), (d, e, f), (g, h, i) = matrix
    return a * x + b * y + c * z, d * x + e * y + f * z, g * x + h * y + i * z


def inverse(matrix: Matrix) -> Matrix:
    """Return the inverse by cofactors; raises ``ZeroDivisionError`` if there is none."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    k = 1 / (a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g))
    return (
        (k * (e * i - f * h), k * (c * h - b * i), k * (b * f - c * e)),
        (k * (f * g - d * i), k * (a * i - c * g), k * (c * d - a * f)),
        (k * (d * h - e * g), k * (b * g - a * h), k * (a * e - b * d)),
    )


def _product(left: Matrix, right: Matrix) -> Matrix:
    first, second, third = _transposed(right)
    return _transposed((multiply(left, first), multiply(left, second), multiply(left, third)))


def _transposed(matrix: Matrix) -> Matrix:
    (a, b, c), (d, e, f), (g, h, i) = matrix
    return (a, d, g), (b, e, h), (c, f, i)


def _diagonal(vector: Vector) -> Matrix:
    return (vector[0], 0, 0), (0, vector[1], 0), (0, 0, vector[2])


def _xyz(xy: tuple[float, float]) -> Vector:
    return xy[0], xy[1], 1 - xy[0] - xy[1]


def _white(xy: tuple[float, float]) -> Vector:
    x, y, z = _xyz(xy)
    return x / y, 1.0, z / y
