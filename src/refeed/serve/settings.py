"""What a server is told at its start."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from refeed.errors import ConfigError
from refeed.serve.lineup import Place

__all__ = ["Limits", "Scope", "Settings", "Tokens", "is_loopback"]

Scope = Literal["read", "write"]
_SHORTEST = 16


@dataclass(frozen=True)
class Limits:
    """What a request may ask for.

    Args:
        body: bytes of a request.
        history: ratings of a person.
        many: histories in a request, or ratings in an import.
        list_length: items of a list.
        queue: questions that wait for the model.
        rate: requests a second from one address, in bursts of twice as many; 0: as many as come.
    """

    body: int = 4 << 20
    history: int = 10_000
    many: int = 10_000
    list_length: int = 1_000
    queue: int = 1_024
    rate: float = 0.0


class Tokens:
    """Who may read, and who may write, too. Only digests are kept.

    Args:
        tokens: (scope, token) each.
    """

    def __init__(self, tokens: Sequence[tuple[Scope, str]]) -> None:
        self._digests = [(scope, _digest(token)) for scope, token in tokens]

    @classmethod
    def read(cls, path: Path) -> "Tokens":
        """Read a file of tokens: a line each, `read TOKEN` or `write TOKEN`; `#` begins a comment.

        Raises:
            ConfigError: it can't be read, a line is neither, or a token is short enough to be guessed.
        """
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} can't be read as a file of tokens: {error}") from error
        tokens: list[tuple[Scope, str]] = []
        for number, line in enumerate(lines, start=1):
            words = line.partition("#")[0].split()
            if not words:
                continue
            if len(words) != 2 or words[0] not in {"read", "write"}:  # the line itself is not repeated
                raise ConfigError(f"{path}, line {number}: expected `read TOKEN` or `write TOKEN`")
            if len(words[1]) < _SHORTEST:
                raise ConfigError(
                    f"{path}, line {number}: a token has at least {_SHORTEST} characters; make one by "
                    '`python -c "import secrets; print(secrets.token_urlsafe())"`'
                )
            tokens.append(("read" if words[0] == "read" else "write", words[1]))
        if not tokens:
            raise ConfigError(f"{path} has no token; give lines `read TOKEN` and `write TOKEN`")
        return cls(tokens)

    def scopes(self, token: str) -> frozenset[Scope]:
        """What a token allows; who may write may read, too. Takes as long whichever it is."""
        given, found = _digest(token), set[Scope]()
        for scope, digest in self._digests:
            if hmac.compare_digest(digest, given):
                found |= {"read", scope}
        return frozenset(found)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


@dataclass(frozen=True)
class Settings:
    """Of a server.

    Args:
        places: the models to serve.
        database: of the ratings: a file for SQLite, or a URL of PostgreSQL.
        host: the address to listen at.
        port: likewise.
        tokens: who may; None: everybody on this machine, and nobody from elsewhere.
        limits: of requests.
        page: whether there is a page for people.
        names: of hosts, beside `host`, by which browsers may call the server.
        origins: of other sites whose pages may call it (CORS); none by default.
        threads: for products in the model's pass; 0: what is good here.

    Raises:
        ConfigError: it would be open to others without tokens.
    """

    places: Sequence[Place]
    database: str
    host: str = "127.0.0.1"
    port: int = 8000
    tokens: Tokens | None = None
    limits: Limits = field(default_factory=Limits)
    page: bool = True
    names: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    threads: int = 0

    def __post_init__(self) -> None:
        """Refuse what would be open to everybody."""
        if self.tokens is None and not is_loopback(self.host):
            raise ConfigError(
                f"--host {self.host} can be reached from other machines; give --tokens FILE, with lines "
                "`read TOKEN` and `write TOKEN`, or listen at 127.0.0.1"
            )


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    return host in {"localhost", "::1"} or host.startswith("127.")
