"""The four points of the training loop at which a hook may act."""


class Hook:
    """Base of hooks: override what is needed; `runner` is the `Runner`."""

    def before_train(self, runner):
        """Once, after a resume and before the first iteration."""

    def after_iter(self, runner):
        """After every iteration; `runner.iteration` counts it already."""

    def after_epoch(self, runner):
        """After every epoch; `runner.epoch` counts it already."""

    def after_train(self, runner):
        """Once, also after an error; `runner.stop` tells an orderly stop from an error of one process."""
