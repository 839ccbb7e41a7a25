"""Draws faces of 32 × 32 pixels from their parameters.

Lengths are in pixels for `size` 1, and y points down. All outlines have the same area and contain all parts of a face,
so that a face is equally easy to read in every outline.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

SIDE = 32
RADIUS = 11.0
"""Radius of the circle; the other outlines have the same area."""
WAVES = (2, 3, 4, 5)
"""Harmonics of the bent outlines, which have no name."""
CORNERS = {"circle": 0, "square": 4, "hexagon": 6, "triangle": 3}
BADGE = np.array([40.0, 70.0, 220.0])
INK = np.array([30.0, 25.0, 20.0])
MIDDLE = np.array([16.0, 17.5])
"""The average centre of faces: a little low, because a triangle's tip is far above its centre."""
GRAIN = 16.0
"""Standard deviation of the pixels' noise, in grey levels."""


@dataclass(frozen=True, eq=False)
class Faces:
    """The parameters of n drawings.

    Attributes:
        centre: float [n, 2], x and y.
        size: float [n], 1 on average.
        smile: float [n] from -1 (mouth down) to 1 (mouth up).
        brow: float [n] from -1 (brows drawn together) to 1 (raised).
        spacing: float [n], from the middle to an eye.
        skin, backdrop: float [n, 3], colours from 0 to 255.
        corners: int [n], number of corners of the outline; 0: a circle.
        waves: float [n, 4, 2], cosine and sine amplitudes of the harmonics `WAVES` that bend the outline.
        badge: bool [n], whether the badge is on the right.
        grain: float [n, 32, 32], noise of unit variance.
    """

    centre: np.ndarray
    size: np.ndarray
    smile: np.ndarray
    brow: np.ndarray
    spacing: np.ndarray
    skin: np.ndarray
    backdrop: np.ndarray
    corners: np.ndarray
    waves: np.ndarray
    badge: np.ndarray
    grain: np.ndarray

    def __len__(self) -> int:
        return len(self.size)

    def take(self, rows: np.ndarray) -> Faces:
        """Return the drawings at these positions."""
        return Faces(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def random_faces(rng: np.random.Generator, n: int) -> Faces:
    """Draw the parameters of round faces, all random and independent."""
    return Faces(
        centre=MIDDLE + rng.uniform(-2, 2, (n, 2)),
        size=rng.uniform(0.85, 1.1, n),
        smile=rng.uniform(-1, 1, n),
        brow=rng.uniform(-1, 1, n),
        spacing=rng.uniform(3.2, 4.4, n),
        skin=rng.uniform(150, 250, (n, 3)),
        backdrop=rng.uniform(40, 130, (n, 3)),
        corners=np.zeros(n, dtype=np.int64),
        waves=np.zeros((n, len(WAVES), 2)),
        badge=rng.random(n) < 0.5,
        grain=rng.standard_normal((n, SIDE, SIDE)),
    )


def with_bent_outlines(faces: Faces, rng: np.random.Generator) -> Faces:
    """Return the same faces with randomly bent outlines, which belong to no group."""
    return replace(faces, waves=rng.normal(0, 0.08, faces.waves.shape))


def smiling(faces: Faces) -> np.ndarray:
    """Return whether mouth and brows together look friendly, bool [n]."""
    return faces.smile + faces.brow > 0


def with_smiles(faces: Faces, smile: np.ndarray) -> Faces:
    """Return the same faces, with mouth and brows flipped as needed for `smiling` to equal `smile`, bool [n]."""
    sign = np.where(smiling(faces) == smile, 1.0, -1.0)
    return replace(faces, smile=sign * faces.smile, brow=sign * faces.brow)


def draw(faces: Faces) -> np.ndarray:
    """Return the drawings, uint8 [n, 32, 32, 3]."""
    # A few at a time, because the layers of all of them would not fit the processor's cache.
    parts = np.array_split(np.arange(len(faces)), max(len(faces) // 128, 1))
    return np.concatenate([_draw_batch(faces.take(rows)) for rows in parts])


def _draw_batch(faces: Faces) -> np.ndarray:
    """Return the drawings of a few faces, uint8 [n, 32, 32, 3]."""
    pixel = np.arange(SIDE) + 0.5
    size = faces.size[:, None, None]
    # Positions relative to the face, in units of its size.
    x = (pixel[None, None, :] - faces.centre[:, 0, None, None]) / size
    y = (pixel[None, :, None] - faces.centre[:, 1, None, None]) / size

    image = np.broadcast_to(faces.backdrop[:, None, None, :], (len(faces), SIDE, SIDE, 3))
    image = _paint(image, faces.skin[:, None, None, :], np.hypot(x, y) - _outline(faces, np.arctan2(x, -y)), size)

    spacing, smile, brow = (value[:, None, None] for value in (faces.spacing, faces.smile, faces.brow))
    aside = np.abs(x)
    eyes = np.hypot(aside - spacing, y + 2.2) - 1.0
    along = (aside - spacing) / 1.8
    brows = np.maximum(np.abs(y + 4.8 - 0.7 * brow * along) - 0.5, (np.abs(along) - 1) * 1.8)
    across = x / 4.0
    mouth = np.maximum(np.abs(y - 4.2 + 1.2 * smile * (across**2 - 0.4)) - 0.6, (np.abs(across) - 1) * 4.0)
    image = _paint(image, INK, np.minimum(np.minimum(eyes, brows), mouth), size)

    right = np.where(faces.badge, SIDE - 3.5, 3.5)[:, None, None]
    badge = np.hypot(pixel[None, None, :] - right, pixel[None, :, None] - 3.5) - 2.5
    image = _paint(image, BADGE, badge, 1.0)
    return np.clip(np.rint(image + GRAIN * faces.grain[..., None]), 0, 255).astype(np.uint8)


def _paint(image: np.ndarray, colour: np.ndarray, distance: np.ndarray, size: np.ndarray | float) -> np.ndarray:
    """Paint a color where the signed distance to a shape is negative, blended over one pixel."""
    cover = np.clip(0.5 - distance * size, 0, 1)[..., None]
    return image * (1 - cover) + colour * cover


def _outline(faces: Faces, angle: np.ndarray) -> np.ndarray:
    """Return the distance from the center to the outline at an angle from the upward direction, [n, 32, 32]."""
    radius = np.full_like(angle, RADIUS)
    for corners in set(faces.corners.tolist()) - {0}:
        rows = faces.corners == corners
        step = 2 * np.pi / corners
        apothem = RADIUS * np.sqrt(np.pi / (corners * np.tan(np.pi / corners)))
        # A triangle stands on a side; so do a square and a hexagon.
        start = 0.0 if corners % 2 else step / 2
        radius[rows] = apothem / np.cos((angle[rows] - start) % step - step / 2)
    if not faces.waves.any():
        return radius
    bend = np.ones_like(angle)
    for place, wave in enumerate(WAVES):
        cosine, sine = (faces.waves[:, place, part, None, None] for part in (0, 1))
        bend = bend + cosine * np.cos(wave * angle) + sine * np.sin(wave * angle)
    return radius * bend
