"""Prints the options of the six methods as the table that docs/video_prompts.md holds between its marks."""

from opentad_bi.cli.aliases import METHODS, methods


def flag_table(flags, commands):
    """Options in Markdown, with a column of the `commands` that have them."""
    rows = ["| option | methods | key of the config, or option of `train` | what |"]
    rows.append("|---" * rows[0].count(" |") + "|")
    for flag in flags:
        value = f"`, `--no-{flag.name}" if flag.kind is bool else f" {flag.metavar}".replace("|", "\\|")
        have = [name for name in commands if not flag.commands or name in flag.commands]
        lack = [name for name in commands if name not in have]
        which = "all" if not lack else f"all but {lack[0]}" if len(lack) == 1 else ", ".join(have)
        key = f"`{flag.key}`" if flag.key else "no effect"
        rows.append(f"| `--{flag.name}{value}` | {which} | {key} | {flag.help} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(flag_table(methods.FLAGS, list(METHODS)))
