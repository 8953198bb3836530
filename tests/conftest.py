"""Settings every test shares."""

import torch
from hypothesis import settings

torch.set_num_threads(1)  # small tensors: threads only get in each other's way
settings.register_profile("default", deadline=None, max_examples=30)
settings.load_profile("default")
