"""Pictures whose claims need a look closer: small codes in frames of different colours, drawn by chance without end.

    gym = PictureGym("pictures/")
    judge = Judge.load("arm-thinker", model=...)
    trace = await judge.arun(gym.case(17))               # "The code in the green frame is 4829."

A code is `glyphs` pixels high in a picture of `size`. A model that sees a picture in a million pixels gets digits of
5 pixels to see; `image_zoom_in_tool` cuts the frame out of the original, in the original's own pixels.
`metadata["frame"]` is the frame that the claim is about, 0-1000, to hold crops against.

As with `ClaimGym` the label decides roles alone. Every picture has as many frames, one of them without a code, and the
claimed code always stands somewhere in it: in the claimed frame (SUPPORT); in another one, while the claimed frame has
another code (REFUTE), or none (NOT ENOUGH INFO). Which colours and codes there are, where the frames lie, and what is
claimed, does not depend on it: reading all codes at once and finding the claimed one tells nothing.

In test pictures colours and codes are of one class (modulo 3), in training pictures of different ones; no code is in a
frame of the same colour in both.
"""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, get_args

from agentjudge.boxes import Pixels, share
from agentjudge.case import CLAIM_LABELS, REFUTE, SUPPORT, Claim, ClaimLabel, Gold
from agentjudge.errors import ConfigError, StoreError, boundary, require
from agentjudge.registry import register
from agentjudge.training.gym.names import CLASSES, Split

COLOURS = {
    "red": (214, 40, 40), "blue": (30, 80, 200), "green": (20, 140, 60), "orange": (245, 140, 20),
    "purple": (120, 40, 160), "brown": (110, 65, 30), "black": (20, 20, 20), "grey": (140, 140, 140),
    "pink": (245, 130, 190), "yellow": (240, 205, 30), "turquoise": (30, 190, 190), "violet": (150, 130, 245),
}  # fmt: skip
GRID = (4, 3)
"""Places for frames, across and down."""
WIDTH, HEIGHT = (14, 20), (9, 15)
"""Of a frame, in heights of a digit. Its border is one wide."""


class Frame(NamedTuple):
    """A frame and what stands in it."""

    colour: str
    code: str
    """Empty where it has none."""
    pixels: Pixels
    """The frame, border included."""
    at: tuple[int, int]
    """Where the code begins."""


class Scene(NamedTuple):
    """A picture, and what is claimed of it."""

    claimed: str
    """The colour of the frame."""
    code: str
    label: ClaimLabel
    frames: tuple[Frame, ...]


@register("training", "picture-gym", paper="2507.10532")
@dataclass(frozen=True)
class PictureGym:
    """Claims about pictures that need a look closer, without end."""

    folder: str | Path
    """Where the pictures are kept; made when the first one is drawn."""
    frames: int = 4
    """3 or 4."""
    size: tuple[int, int] = (4000, 3000)
    """Pixels."""
    glyphs: int = 14
    """Height of a code's digits in pixels."""
    split: Split = "train"
    seed: int = 0

    def __post_init__(self) -> None:
        if not 3 <= self.frames <= len(COLOURS) // CLASSES:
            raise ConfigError(f"a picture has 3 to {len(COLOURS) // CLASSES} frames, not {self.frames}")
        if self.split not in get_args(Split):
            raise ConfigError(f"pictures are for 'train' or 'test', not for {self.split!r}")
        fields = min(side // (most * at) for side, most, at in zip(self.size, (WIDTH[1], HEIGHT[1]), GRID, strict=True))
        if not 8 <= self.glyphs < fields:
            raise ConfigError(f"digits in such a picture are from 8 to below {fields} pixels high, not {self.glyphs}")

    def cases(self, start: int = 0) -> Iterator[Claim]:
        """All cases from this number on; they never end."""
        return map(self.case, count(start))

    def case(self, number: int, *, label: ClaimLabel | None = None) -> Claim:
        """The case with this number; its picture is drawn unless it is there already.

        Args:
            number: from 0.
            label: another one than it has: the same colours, codes and claim.

        Raises:
            ConfigError: pillow is not installed.
            StoreError: the picture cannot be written.
        """
        scene = self.scene(number, label=label)
        mark = "" if label is None else f"-{CLAIM_LABELS.index(label)}"
        path = Path(self.folder) / f"{self.split}-{self.seed}-{number}{mark}.png"
        if not path.exists():
            picture = self._draw(scene.frames)
            with boundary(StoreError, f"cannot write the picture {path}"):
                path.parent.mkdir(parents=True, exist_ok=True)
                picture.save(path, compress_level=1)
        frame = next(frame for frame in scene.frames if frame.colour == scene.claimed)
        return Claim(
            id=f"picture-{self.split}-{self.seed}-{number}",
            claim=f"The code in the {scene.claimed} frame is {scene.code}.",
            images=(str(path),),
            gold=Gold(label=scene.label),
            metadata={"frame": self.box(frame)},
        )

    def box(self, frame: Frame) -> list[int]:
        """The smallest box of the picture in whole numbers, 0-1000, that holds a frame."""
        box = share(frame.pixels, self.size)
        return [math.floor(box.x0), math.floor(box.y0), math.ceil(box.x1), math.ceil(box.y1)]

    def scene_of(self, case_id: str) -> Scene:
        """What is in the picture of one of its cases."""
        return self.scene(int(case_id.rpartition("-")[2]))

    def scene(self, number: int, *, label: ClaimLabel | None = None) -> Scene:
        """What is in the picture with this number, and what is claimed of it; arguments as `case`."""
        label = label or self._label(number)
        shape, roles = self._rng(number, "shape"), self._rng(number, "roles")
        kind = shape.randrange(CLASSES)
        names = [c for n, c in enumerate(COLOURS) if (n % CLASSES == kind) == (self.split == "test")]
        colours = shape.sample(names, self.frames)
        codes = [str(3 * n + kind) for n in shape.sample(range(334, 3333), self.frames - 1)]
        places = shape.sample(range(GRID[0] * GRID[1]), self.frames)
        boxes = [self._place(place, shape) for place in places]
        claimed, code = colours[0], codes[0]
        held = dict(zip(colours[1:], roles.sample([*codes[1:], ""], self.frames - 1), strict=True))
        if label == SUPPORT:
            held[claimed] = code
        else:
            gives = roles.choice([c for c, h in held.items() if (h != "") == (label == REFUTE)])
            held |= {claimed: held[gives], gives: code}
        frames = [Frame(c, held[c], box, at) for c, (box, at) in zip(colours, boxes, strict=True)]
        return Scene(claimed, code, label, tuple(sorted(frames, key=lambda frame: frame.pixels)))

    def _place(self, place: int, rng: random.Random) -> tuple[Pixels, tuple[int, int]]:
        """A frame somewhere in a field of the grid, and a place for its code."""
        wide, high = (side // fields for side, fields in zip(self.size, GRID, strict=True))
        width, height = (rng.randrange(least * self.glyphs, most * self.glyphs) for least, most in (WIDTH, HEIGHT))
        left = place % GRID[0] * wide + rng.randrange(wide - width)
        top = place // GRID[0] * high + rng.randrange(high - height)
        inner, ends = 2 * self.glyphs, (width - 6 * self.glyphs, height - 3 * self.glyphs)
        at = (left + rng.randrange(inner, ends[0]), top + rng.randrange(inner, ends[1]))
        return (left, top, left + width, top + height), at

    def _draw(self, frames: Sequence[Frame]) -> Any:
        image, draw = require("PIL.Image", extra="vision"), require("PIL.ImageDraw", extra="vision")
        picture = image.new("RGB", self.size, (246, 244, 238))
        pen = draw.Draw(picture)
        for frame in frames:
            left, top, right, bottom = frame.pixels
            pen.rectangle((left, top, right - 1, bottom - 1), "white", COLOURS[frame.colour], self.glyphs)
            if frame.code:
                pen.text(frame.at, frame.code, (40, 40, 40), font=_font(self.glyphs), anchor="lt")
            else:
                x, y = frame.at
                for dash in range(4):  # as wide as a code, and of its ink
                    start = x + dash * self.glyphs * 3 // 5
                    pen.line(
                        (start, y + self.glyphs // 2, start + self.glyphs // 3, y + self.glyphs // 2), (40, 40, 40), 2
                    )
        return picture

    def _label(self, number: int) -> ClaimLabel:
        labels = list(CLAIM_LABELS)
        run, place = divmod(number, len(labels))
        self._rng(run, "block").shuffle(labels)
        return labels[place]

    def _rng(self, number: int, what: str) -> random.Random:
        return random.Random(f"pictures/{self.seed}/{self.split}/{what}/{number}")


@cache
def _font(glyphs: int) -> Any:
    """Pillow's own font, so that pictures do not depend on the machine; its digits are 5/7 of its size high."""
    with boundary(ConfigError, "pillow has no scalable font here"):
        return require("PIL.ImageFont", extra="vision").load_default(size=glyphs * 7 / 5)
