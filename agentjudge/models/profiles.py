"""What a family of models can do and how it likes to be spoken to.

Template behaviour is a property of each model, not of the API: pictures inside tool messages, the thinking switch,
the coordinate convention of boxes. A profile is found by the model's name; `agentjudge doctor` probes a live server
for the same facts.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from agentjudge.boxes import Box, Size


class ModelProfile(BaseModel):
    """Capabilities and conventions of a model family."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: str = "generic"
    protocol: Literal["tools", "tags"] = "tools"
    """tools: OpenAI function calls; tags: `<search>`, `<answer>` and the like in plain text (Veri-R1, Search-R1)."""
    images: bool = False
    """Takes pictures at all."""
    image_in_tool: bool = False
    """Takes pictures inside a `tool` message; otherwise a user turn with the picture follows the tool's text."""
    thinking_switch: Literal["none", "enable_thinking"] = "none"
    """Field of `chat_template_kwargs` that turns reasoning on and off."""
    coordinates: Literal["0-1000", "pixels", "0-1"] = "0-1000"
    """Convention of the boxes it writes: relative to a picture, or pixels of what it sees of one."""
    pictures_by: Literal["name", "index"] = "name"
    """How it speaks of pictures: `original_image`, `observation_1`, or their index in order, counted from 0."""
    patch: int = Field(default=28, ge=1)
    """Pixels of a side of one picture token: pictures are seen at multiples of it, and crops are no smaller."""
    min_pixels: int = Field(default=56 * 56, ge=1)
    max_pixels: int = Field(default=12_845_056, ge=1)
    """Pixels of a picture as it is seen."""
    confidence: Literal["stated", "calibrated"] = "stated"
    """Whether the confidence in its answers was fitted on held-out data."""

    def template_kwargs(self, *, thinking: bool | None) -> dict[str, Any]:
        """`chat_template_kwargs` for a turn; empty where nothing is to be switched."""
        if thinking is None or self.thinking_switch == "none":
            return {}
        return {self.thinking_switch: thinking}

    def seen(self, size: Size) -> Size:
        """The size at which a picture of this size is seen: whole patches, within the limits of pixels.

        The rule is Qwen2-VL's (arXiv 2409.12191, `smart_resize`).
        """
        return fitted(size, multiple=self.patch, least=self.min_pixels, most=self.max_pixels)

    def canonical(self, numbers: Sequence[float], size: Size) -> Box:
        """The box, 0-1000, that the model means by four numbers on a picture that is shown in this size."""
        across, down = self._units(size)
        x0, y0, x1, y1 = numbers
        return Box(1000 * x0 / across, 1000 * y0 / down, 1000 * x1 / across, 1000 * y1 / down)

    def written(self, box: Box, size: Size) -> list[float]:
        """A box, 0-1000, as the model writes them: whole numbers, or 4 decimals for 0-1."""
        across, down = self._units(size)
        digits = 4 if self.coordinates == "0-1" else None
        return [round(side * unit / 1000, digits) for side, unit in zip(box, (across, down) * 2, strict=True)]

    def _units(self, size: Size) -> tuple[float, float]:
        """What the model calls the whole width and height."""
        if self.coordinates == "pixels":
            return self.seen(size)
        return (1.0, 1.0) if self.coordinates == "0-1" else (1000.0, 1000.0)


def fitted(size: Size, *, multiple: int, least: int, most: int) -> Size:
    """A size of whole multiples near to `size`, in its shape, with `least` to `most` pixels in all."""
    width, height = size
    across, down = (max(multiple, round(side / multiple) * multiple) for side in size)
    if across * down > most:
        shrink = math.sqrt(width * height / most)
        across, down = (max(multiple, math.floor(side / shrink / multiple) * multiple) for side in size)
    elif across * down < least:
        grow = math.sqrt(least / (width * height))
        across, down = (math.ceil(side * grow / multiple) * multiple for side in size)
    return across, down


EMBEDDED = ModelProfile(family="embedded", confidence="calibrated")
GENERIC = ModelProfile()

# First match wins; patterns are lower-case parts of the model's name.
FAMILIES: tuple[tuple[str, ModelProfile], ...] = (
    ("veri-r1", ModelProfile(family="veri-r1", protocol="tags")),
    ("veri_r1", ModelProfile(family="veri-r1", protocol="tags")),
    ("search-r1", ModelProfile(family="search-r1", protocol="tags")),
    ("webarbiter", ModelProfile(family="web-arbiter", protocol="tags")),
    ("web-arbiter", ModelProfile(family="web-arbiter", protocol="tags")),
    ("web-shepherd", ModelProfile(family="web-shepherd", protocol="tags")),
    ("web_shepherd", ModelProfile(family="web-shepherd", protocol="tags")),
    ("webshepherd", ModelProfile(family="web-shepherd", protocol="tags")),
    ("arm-thinker", ModelProfile(family="arm-thinker", protocol="tags", images=True, image_in_tool=True)),
    ("arm_thinker", ModelProfile(family="arm-thinker", protocol="tags", images=True, image_in_tool=True)),
    (
        "qwen3-vl",
        ModelProfile(
            family="qwen3-vl",
            images=True,
            image_in_tool=True,
            pictures_by="index",
            patch=32,
            min_pixels=256 * 256,
            max_pixels=16_777_216,
        ),
    ),
    ("qwen3.5", ModelProfile(family="qwen3.5", images=True, thinking_switch="enable_thinking", patch=32)),
    ("qwen2.5-vl", ModelProfile(family="qwen2.5-vl", images=True, coordinates="pixels")),
    ("qwen3", ModelProfile(family="qwen3", thinking_switch="enable_thinking")),
    ("internvl", ModelProfile(family="internvl", images=True)),
    ("idefics3", ModelProfile(family="idefics3", images=True, image_in_tool=True, coordinates="0-1")),
    ("smolvlm", ModelProfile(family="smolvlm", images=True, image_in_tool=True, coordinates="0-1")),
    ("gpt-", ModelProfile(family="gpt", images=True)),
)


def profile_of(model: str) -> ModelProfile:
    """The profile of the family whose pattern stands in the model's name; a cautious generic one otherwise."""
    name = model.lower()
    return next((profile for pattern, profile in FAMILIES if pattern in name), GENERIC)
