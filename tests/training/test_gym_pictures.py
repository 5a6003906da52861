"""Generated pictures: the claimed code is always there, and a look closer tells where."""

import io
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from agentjudge.case import CLAIM_LABELS
from agentjudge.errors import ConfigError
from agentjudge.evidence import EvidenceStore
from agentjudge.opening import open_case
from agentjudge.tools.ocr_engine import read_lines
from agentjudge.training.gym import PictureGym
from agentjudge.training.gym.oracle import Slop
from agentjudge.training.gym.oracle_looking import picture_demonstrations
from agentjudge.training.gym.pictures import COLOURS

Image = pytest.importorskip("PIL.Image")


def test_gold_is_what_stands_in_the_claimed_frame() -> None:
    for number in range(60):
        scene = PictureGym("x").scene(number)
        held = {frame.colour: frame.code for frame in scene.frames}
        assert len(held) == 4 and list(held.values()).count("") == 1 and len(set(held.values())) == 4
        told = held[scene.claimed]
        assert scene.label == ("SUPPORT" if told == scene.code else "REFUTE" if told else "NOT ENOUGH INFO")
        assert scene.code in held.values()


def test_labels_are_balanced() -> None:
    assert Counter(PictureGym("x").scene(n).label for n in range(30)) == Counter(dict.fromkeys(CLAIM_LABELS, 10))


@pytest.mark.parametrize("number", range(8))
def test_nothing_that_can_be_counted_depends_on_the_label(number: int) -> None:
    scenes = [PictureGym("x").scene(number, label=label) for label in CLAIM_LABELS]
    assert [scene.label for scene in scenes] == list(CLAIM_LABELS)
    assert len({(scene.claimed, scene.code) for scene in scenes}) == 1
    assert len({tuple(sorted(frame.code for frame in scene.frames)) for scene in scenes}) == 1
    assert len({tuple((f.colour, f.pixels, f.at) for f in scene.frames) for scene in scenes}) == 1
    assert len({scene.frames for scene in scenes}) == 3


def test_no_code_is_in_a_frame_of_one_colour_in_both_splits() -> None:
    """Nor is a claim of a test picture one of a training picture."""
    place = {colour: n % 3 for n, colour in enumerate(COLOURS)}
    for split in ("train", "test"):
        for number in range(60):
            scene = PictureGym("x", split=split).scene(number)  # type: ignore[arg-type]
            codes = {int(frame.code) % 3 for frame in scene.frames if frame.code} | {int(scene.code) % 3}
            assert len(codes) == 1
            assert {place[frame.colour] in codes for frame in scene.frames} == {split == "test"}


def test_frames_lie_apart_and_hold_their_codes() -> None:
    gym = PictureGym("x", frames=4)
    for number in range(60):
        frames = gym.scene(number).frames
        for frame in frames:
            left, top, right, bottom = frame.pixels
            x, y = frame.at
            assert 0 <= left < right <= gym.size[0] and 0 <= top < bottom <= gym.size[1]
            assert left + gym.glyphs < x and x + 4 * gym.glyphs < right - gym.glyphs + 1
            assert top + gym.glyphs < y and y + gym.glyphs < bottom - gym.glyphs
        for one in frames:
            for other in frames:
                a, b = one.pixels, other.pixels
                assert one is other or a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_a_case_names_a_picture_that_a_judge_can_open(tmp_path: Path) -> None:
    gym = PictureGym(tmp_path / "pictures", size=(1600, 1200), glyphs=9)
    case = gym.case(0)
    store = EvidenceStore()
    (sha,) = open_case(case, store, pages=False).images
    assert store.image(sha).size == (1600, 1200)
    again = (tmp_path / "pictures").stat().st_mtime_ns
    assert gym.case(0) == case and (tmp_path / "pictures").stat().st_mtime_ns == again
    left, top, right, bottom = case.metadata["frame"]
    frame = next(f for f in gym.scene(0).frames if f.colour == gym.scene(0).claimed)
    assert left <= 1000 * frame.pixels[0] / 1600 < left + 1 and bottom - 1 < 1000 * frame.pixels[3] / 1200 <= bottom
    with Image.open(case.images[0]) as picture:
        assert picture.getpixel((frame.pixels[0] + 4, frame.pixels[1] + 4)) == COLOURS[frame.colour]


async def test_the_oracle_zooms_into_the_frame_and_what_it_is_shown_can_be_read(tmp_path: Path) -> None:
    """By the reader of the tools: it reads the code in the crop, and not all codes in the whole picture."""
    pytest.importorskip("rapidocr")
    gym = PictureGym(tmp_path)
    shown = [each async for each in picture_demonstrations(gym, range(2))]
    for case, trace in shown:
        assert case.gold is not None and trace.verdict.label == case.gold.label
        (event,) = trace.events
        assert event.name == "image_zoom_in_tool" and event.status == "ok"
        assert [ref.id for ref in trace.verdict.evidence] == ["observation_1"]
        store = EvidenceStore()
        opened = open_case(case, store, pages=False)
        crop = store.crop(opened.images[0], event.data["box"], size=tuple(event.data["size"]))
        scene = gym.scene_of(case.id)
        told = next(frame.code for frame in scene.frames if frame.colour == scene.claimed)
        assert [text for text in read(io.BytesIO(store.get(crop.sha256))) if len(text) == 4] == ([told] if told else [])
    codes = {frame.code for frame in gym.scene(0).frames if frame.code}
    assert not codes <= set(read(shown[0].case.images[0]))


def read(picture: Any) -> list[str]:
    with Image.open(picture) as opened:
        return [line.text for line in read_lines(opened.convert("RGB"))]


async def test_a_careless_one_looks_into_other_frames_first(tmp_path: Path) -> None:
    gym = PictureGym(tmp_path, size=(1600, 1200), glyphs=9)
    looks = [t.events async for _, t in picture_demonstrations(gym, range(3), slop=Slop(superfluous=0.7))]
    assert sum(map(len, looks)) > 3 and all(event.status == "ok" for events in looks for event in events)


@pytest.mark.parametrize(
    "options", [{"frames": 2}, {"frames": 5}, {"split": "dev"}, {"glyphs": 7}, {"size": (400, 300)}]
)
def test_impossible_pictures_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        PictureGym("x", **options)
