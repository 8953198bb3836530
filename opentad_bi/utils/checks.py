"""Results of checks: what was checked, whether it is in order, and what to do if it is not."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ..errors import MISTAKES, message_of

OK, WARNING, ERROR, NOT_CHECKED = "ok", "warning", "error", "not checked"


@dataclass(frozen=True)
class CheckResult:
    """One line of a check.

    Args:
        name: what was checked.
        level: "ok"; "warning": results may be wrong; "error": training or evaluation fails or is wrong; "not checked".
        found: what there is, with the numbers.
        hint: what to do; "" where nothing has to be done.
        video: name of the video that it is about, "" if it is about no single one.
    """

    name: str
    level: str
    found: str
    hint: str = ""
    video: str = ""


def judge(name: str, found: str, *, error: str = "", warning: str = "", hint: str = "") -> CheckResult:
    """The result for `found`: an error or a warning where that says what is wrong, else ok and without a hint."""
    level = ERROR if error else WARNING if warning else OK
    text = "; ".join(part for part in (error or warning, found) if part)
    return CheckResult(name, level, text, hint if level != OK else "")


def attempt(
    name: str, work: Callable[[], CheckResult | Iterable[CheckResult] | None], *, hint: str = "", level: str = ERROR
) -> list[CheckResult]:
    """The results of `work()`, which gives one, several or none; a mistake that it raises is a result of `level`."""
    try:
        found = work()
        return [found] if isinstance(found, CheckResult) else list(found or ())
    except (*MISTAKES, RuntimeError) as error:  # RuntimeError: of torch, about a device
        return [CheckResult(name, level, message_of(error), hint)]


def has_errors(results: Iterable[CheckResult]) -> bool:
    """Is one of the results an error?"""
    return any(result.level == ERROR for result in results)


def result_table(results: Sequence[CheckResult]) -> str:
    """Results as text: one line each with the hint below it, and a line that counts them."""
    columns = list(zip(*((result.level, result.name, result.video) for result in results), strict=True)) or [()] * 3
    widths = [max([7 * (not place), *map(len, column)]) for place, column in enumerate(columns)]
    lines = []
    for result, *cells in zip(results, *columns, strict=True):
        start = "".join(f"{cell:<{width}}  " for cell, width in zip(cells, widths, strict=True) if width)
        lines.append(f"{start}{result.found}")
        if result.hint:
            lines.append(f"{'':<{len(start)}}-> {result.hint}")
    counts = Counter(result.level for result in results)
    total = [f"{counts[level]} {level}{'s' * (counts[level] != 1)}" for level in (ERROR, WARNING)]
    total += [f"{counts[level]} {level}" for level in (OK, NOT_CHECKED) if counts[level]]
    return "\n".join([*lines, ", ".join(total)])
