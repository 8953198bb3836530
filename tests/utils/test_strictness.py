"""One switch makes warnings about data errors."""

import logging

import pytest

from opentad_bi.cli.arguments import Parser, add_strict_argument
from opentad_bi.cli.main import execute
from opentad_bi.utils.logging import is_strict, strictly, warn


def test_a_warning_is_logged(caplog):
    logger = logging.getLogger("opentad_bi.tests")
    with caplog.at_level(logging.WARNING, logger=logger.name):
        warn("3 of 5 videos, 100 %, are short", logger=logger)
    assert [record.getMessage() for record in caplog.records] == ["3 of 5 videos, 100 %, are short"]


def test_strictly_makes_it_an_error_and_ends_with_the_block():
    with pytest.raises(ValueError, match="3 videos are short"), strictly():
        warn("3 videos are short")
    assert not is_strict()
    with strictly(), strictly(False):
        warn("3 videos are short")


@pytest.mark.parametrize(("words", "code"), [([], 0), (["--strict"], 1)])
def test_a_command_runs_by_its_option(words, code, capsys):
    cli = Parser("a command")
    add_strict_argument(cli)

    def run(args):
        warn("a file is short")
        return 0

    assert execute(cli, run, words) == code
    assert ("error: a file is short" in capsys.readouterr().err) == bool(code)
    assert not is_strict()
