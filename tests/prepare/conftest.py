import pytest
from tiny_clips import write_clip


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    """`clips(name, count, ...)`: path of a video written once per session."""
    folder, made = tmp_path_factory.mktemp("clips"), {}

    def clip(name, count, **how):
        if name not in made:
            made[name] = write_clip(folder / name, count, **how)
        return made[name]

    return clip
