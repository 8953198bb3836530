import av
import numpy as np
import pytest

SECONDS, RATE = 4, 25


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    """Path of a video of 4 seconds that browsers play."""
    path = tmp_path_factory.mktemp("clip") / "tiny clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.options = {"preset": "ultrafast", "g": "5"}
        for n in range(SECONDS * RATE):
            picture = np.full((48, 64, 3), 2 * n, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path
