"""The reference folder as fixtures; tests are skipped where there is none."""

import pytest
from reference_files import FOLDER, load


@pytest.fixture(scope="session")
def reference():
    """The folder of reference fixtures."""
    if not FOLDER.is_dir():
        pytest.skip(f"no reference fixtures at {FOLDER}; set OPENTAD_REFERENCE to their folder")
    return FOLDER


@pytest.fixture(scope="session")
def load_reference(reference):
    """Load a file of the reference folder by its name, see `reference_files.load`."""
    return load
