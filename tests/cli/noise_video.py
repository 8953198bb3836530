"""Short videos of noise."""

import av
import numpy as np


def write_noise(path, seed, frames, *, size, fps, low=lambda n: 0, high=lambda n: 255):
    """An H.264 file of square frames; pixels of frame n are drawn from [low(n), high(n))."""
    rng = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = size, size, "yuv420p"
        for number in range(frames):
            image = rng.integers(low(number), high(number), (size, size, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
