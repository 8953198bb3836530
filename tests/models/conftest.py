"""With this file here, the modules beside it are found by the tests of all rooms of the models."""
