"""How systemd wants words in a unit, values in an environment file, and words within such a value to be written.

See systemd.syntax(7), systemd.service(5) on command lines and systemd.exec(5) on EnvironmentFile=.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from dfud.core.text import escaped
from dfud.errors import UsageError

_PLAIN = re.compile(r"[A-Za-z0-9_./:=,+@-]+")  # means itself everywhere


def unit_word(word: str) -> str:
    r"""Return a word of a command line in a unit.

    >>> unit_word("/opt/dfud/bin/dfud"), unit_word('/opt/5% "new" $x')
    ('/opt/dfud/bin/dfud', '"/opt/5%% \\"new\\" $$x"')
    """
    return _quoted(word, word.replace("%", "%%").replace("$", "$$"))


def split_words(words: Iterable[str]) -> str:
    r"""Return a value that systemd splits into `words` where a command line has it as $NAME.

    >>> split_words(["--upload_existing", "--upload_regex=a b"])
    '--upload_existing "--upload_regex=a b"'
    """
    return " ".join(_quoted(word, word) for word in words)


def assignment(name: str, value: str) -> str:
    r"""Return a line of an environment file; UsageError for a value that no such file can have.

    >>> assignment("DIR", "/data/run $1")
    'DIR="/data/run \\$1"'
    """
    if not value.isprintable():  # nor are bytes that are not UTF-8
        raise UsageError(
            f"{escaped(value)!r} has characters that systemd does not accept: rename it, or give a link to it"
        )
    return f'{name}="' + re.sub(r'(["\\`$])', r"\\\1", value) + '"'


def _quoted(word: str, content: str) -> str:
    """Return `content`, which stands for `word`, in quotes if it needs them."""
    if _PLAIN.fullmatch(word):
        return content
    return '"' + re.sub(r'(["\\])', r"\\\1", content) + '"'
