"""Verdicts: what was looked at, whether it is fit, and what to do if not."""

from dataclasses import dataclass

OK, WARNING, ERROR = LEVELS = ("ok", "warning", "error")
MISTAKES = (ValueError, KeyError, IndexError, ImportError, OSError, RuntimeError, FloatingPointError)


@dataclass(frozen=True)
class Verdict:
    """One line of a check.

    Args:
        name: what was looked at.
        level: "ok", "warning": look at it, or "error": training fails or is wrong.
        found: what there is, with the numbers.
        cure: what to do; "" where nothing has to be done.
    """

    name: str
    level: str
    found: str
    cure: str = ""

    @property
    def problem(self):
        """All of it in one line."""
        return f"{self.name}: {self.found}{f'; {self.cure}' if self.cure else ''}"


def judge(name, found, *, error="", warning="", cure=""):
    """The verdict on `found`: an error or a warning where that says what is wrong, else ok and without a cure."""
    level = ERROR if error else WARNING if warning else OK
    told = "; ".join(text for text in (error or warning, found) if text)
    return Verdict(name, level, told, cure if level != OK else "")


def attempt(name, work, *, cure="", level=ERROR):
    """The verdict that `work()` gives; a mistake that it raises becomes the verdict, of `level`."""
    try:
        return work()
    except MISTAKES as problem:
        text = str(problem.args[0]) if isinstance(problem, KeyError) and problem.args else str(problem)
        return Verdict(name, level, text.strip() or type(problem).__name__, cure)


def verdict_table(verdicts):
    """Verdicts as text: one line each, what to do below it, and a line that counts them."""
    width = max((len(verdict.name) for verdict in verdicts), default=0)
    lines = []
    for verdict in verdicts:
        lines.append(f"{verdict.level:<7}  {verdict.name:<{width}}  {verdict.found}")
        if verdict.cure:
            lines.append(f"{'':<7}  {'':<{width}}  -> {verdict.cure}")
    counts = {level: sum(verdict.level == level for verdict in verdicts) for level in LEVELS}
    told = [f"{count} {level}{'s' * (level != OK and count != 1)}" for level, count in counts.items()]
    return "\n".join([*lines, ", ".join(told)])
