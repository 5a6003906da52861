"""Pictures that are made known to another store again, out of their bytes alone."""

import io
from pathlib import Path

from PIL import Image

from agentjudge.evidence import Box, EvidenceStore
from agentjudge.serving.api_sources import restore


def test_a_crop_is_a_crop_again_whatever_its_checksum_begins_with(tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.linear_gradient("L").save(out, "PNG")
    first, second = EvidenceStore(root=tmp_path), EvidenceStore(root=tmp_path)
    picture = first.add_image(out.getvalue()).sha256
    second.add_image(out.getvalue())
    digits = 0
    for place in range(200):
        crop = first.crop(picture, Box(place, 0, 400 + place, 500))
        chunk = first.get(crop.sha256).split(b"tEXtcrop\0")[1]
        digits += chunk[len(f"{picture} {' '.join(map(str, crop.pixels))}")] in b"0123456789"
        restore(second, [crop.sha256])
        assert second.image(crop.sha256) == crop
    assert digits, "a checksum that goes on where the last number ends"
