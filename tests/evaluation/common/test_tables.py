"""Tables of several classifications side by side."""

from opentad_bi.evaluation.common.tables import numbers_table


def test_columns_are_the_numbers_that_a_row_has():
    rows = [(("a", 0.5), {"top1": 0.25, "loss": 3.0}), (("b", ""), {"macro": 1.0})]
    lines = numbers_table(("run", "share"), rows).splitlines()
    assert [line.split() for line in lines] == [
        ["run", "share", "top1", "macro"], ["-" * len(lines[1])], ["a", "0.5", "25.00", "-"], ["b", "-", "100.00"]
    ]  # fmt: skip
    assert "0.25!" in numbers_table(("run", "share"), rows, lambda value: f"{value}!")
