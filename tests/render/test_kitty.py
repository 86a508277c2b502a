import re
from base64 import standard_b64decode
from io import BytesIO

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from tomoseg_tui.render import kitty, png_encoder

CHUNK = re.compile(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\")


def decode(text: str) -> NDArray[np.uint8]:
    payload = "".join(chunk for _, chunk in CHUNK.findall(text))
    return np.array(Image.open(BytesIO(standard_b64decode(payload))).convert("RGB"))


@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_a_picture_survives_the_protocol(rgb: NDArray[np.uint8]) -> None:
    assert (decode(kitty.encode(rgb)) == rgb).all()
    assert (np.array(Image.open(BytesIO(png_encoder.encode(rgb))).convert("RGB")) == rgb).all()


def test_chunks_are_short_enough_and_only_the_last_is_marked() -> None:
    rgb = np.random.default_rng(7).integers(0, 256, (80, 80, 3), dtype=np.uint8)
    text = kitty.encode(rgb, cells_xy=(8, 4))
    chunks = CHUNK.findall(text)
    assert CHUNK.sub("", text) == ""
    assert len(chunks) > 2
    assert max(len(chunk) for _, chunk in chunks) == kitty.CHUNK
    assert [control[-3:] for control, _ in chunks[1:]] == ["m=1"] * (len(chunks) - 2) + ["m=0"]
    assert chunks[0][0] == "a=T,f=100,q=2,c=8,r=4,m=1"
    assert (decode(text) == rgb).all()


def test_a_grey_picture_is_stored_with_one_channel() -> None:
    assert Image.open(BytesIO(png_encoder.encode(np.full((4, 4, 3), 7, dtype=np.uint8)))).mode == "L"
