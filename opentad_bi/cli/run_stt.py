"""Train STT: the prompts of ViTA, and its summaries of the video passed on to the text tower, layer by layer."""

from ._method_run import method_parser, run_method
from .common import command

METHOD = "stt"


def parser():
    """The arguments of the command."""
    return method_parser(METHOD, __doc__)


def run(args):
    """Train; returns the exit code of the training."""
    return run_method(METHOD, args)


def main(argv=None):
    """Run the command; returns its exit code."""
    return command(parser(), run, argv)
