#!/usr/bin/env python3
"""Whether relative links lead somewhere: links.py FILE.md...   A link that does not is told; exit 1 where there is one."""

import pathlib
import re
import sys
import urllib.parse

LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")


def anchors(text):
    """What `#...` can name, as GitHub makes it of headings."""
    headings = re.findall(r"^#{1,6} +(.+?)\s*$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def prose(text):
    """Without what is code."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def broken(file):
    text = file.read_text()
    links = [link for link in LINK.findall(prose(text)) if not re.match(r"[a-z]+:", link)]
    for link in links:
        path, _, part = urllib.parse.unquote(link).partition("#")
        to = file.parent / path if path else file
        if not to.exists():
            yield f"{file}: {link}: no such file"
        elif part and to.suffix == ".md" and part not in anchors(to.read_text()):
            yield f"{file}: {link}: no such heading"
    print(f"{file}: {len(links)} links")


if __name__ == "__main__":
    files = [pathlib.Path(name) for name in sys.argv[1:]]
    wrong = [line for file in files for line in broken(file)]
    print(*wrong, sep="\n", file=sys.stderr)
    sys.exit(not files or bool(wrong))
