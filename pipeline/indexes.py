"""Where Python packages come from: what pip is configured to use, handed to pip and uv by environment only.

No address is written here. pip's configuration files and variables are read as pip reads them on Linux (pip
documentation, "Configuration"); uv's variables count where they name an index. The standard library alone is
needed, since this runs before any environment is made.
"""

import configparser
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.model.errors import CannotEvaluate, Refused
from pipeline.processes import run

_ADDRESS = re.compile(r"https?://[^\s]+")
_TRUE = ("1", "true", "yes", "on", "t", "y")

_ASK_PIP = "from pip._internal.models.index import PyPI; print(PyPI.url)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """The one configured index; every field is None or empty where pip's own default holds.

    ``url`` may hold credentials, so it is kept out of ``repr`` and is passed to tools by environment, never as an
    argument.
    """

    url: str | None = field(default=None, repr=False)
    proxy: str | None = field(default=None, repr=False)
    cert: str | None = None
    client_cert: str | None = None
    trusted_hosts: tuple[str, ...] = ()
    timeout: str | None = None
    retries: str | None = None

    def for_pip(self) -> dict[str, str]:
        """Variables that make pip use this and nothing else: no configuration file, no find-links."""
        chosen = {
            "PIP_INDEX_URL": self.url,
            "PIP_CERT": self.cert,
            "PIP_CLIENT_CERT": self.client_cert,
            "PIP_PROXY": self.proxy,
            "PIP_TRUSTED_HOST": " ".join(self.trusted_hosts),
            "PIP_DEFAULT_TIMEOUT": self.timeout,
            "PIP_RETRIES": self.retries,
        }
        fixed = {"PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
        return fixed | {name: value for name, value in chosen.items() if value}

    def for_uv(self) -> dict[str, str]:
        """The same for uv, which trusts its own list of certificates unless told to use the system's."""
        chosen = {
            "UV_DEFAULT_INDEX": self.url,
            "SSL_CERT_FILE": self.cert,
            "SSL_CLIENT_CERT": self.client_cert,
            "ALL_PROXY": self.proxy,
            "UV_INSECURE_HOST": " ".join(self.trusted_hosts),
            "UV_HTTP_TIMEOUT": self.timeout,
            "UV_HTTP_RETRIES": self.retries,
        }
        fixed = {"UV_SYSTEM_CERTS": "1", "UV_NO_CONFIG": "1", "UV_NO_PROGRESS": "1"}
        return fixed | {name: value for name, value in chosen.items() if value}


def configured(environ: Mapping[str, str] | None = None) -> Index:
    """The index that pip would install from; ``environ`` is the process's own where none is given.

    Raises Refused (``lock.second-index``, ``lock.no-index``) and CannotEvaluate (``index.unreadable``).
    """
    environ = os.environ if environ is None else environ
    options = _options(environ)
    if options.get("no-index", "").lower() in _TRUE:
        raise Refused(
            "lock.no-index",
            "pip's configuration: no package index allowed (got no-index, expected an index that knows every hash)",
            fix="name an index that this machine reaches (`pip config set global.index-url ...`) and unset no-index",
        )
    timeout = options.get("timeout") or options.get("default-timeout")
    return Index(
        url=_only_one(options, environ),
        proxy=options.get("proxy"),
        cert=options.get("cert"),
        client_cert=options.get("client-cert"),
        trusted_hosts=tuple(options.get("trusted-host", "").split()),
        timeout=timeout if timeout and timeout.isdigit() else None,
        retries=options.get("retries") if options.get("retries", "").isdigit() else None,
    )


def pip_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What pip gets beside the scrubbed environment; raises as ``configured`` does."""
    return configured(environ).for_pip()


def uv_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What uv gets beside the scrubbed environment; raises as ``configured`` does."""
    return configured(environ).for_uv()


def index_base(python: Path, environ: Mapping[str, str] | None = None) -> str:
    """The address below which the index serves ``pypi/NAME/json``, without a slash at its end.

    Where none is configured, the pip of ``python`` says what it uses by itself. May hold credentials. Raises
    CannotEvaluate (``index.unknown``) where no pip answers.
    """
    url = configured(environ).url
    if url is not None:
        return re.sub(r"(/\+?simple)?/*$", "", url)
    asked = run([python, "-I", "-c", _ASK_PIP], timeout=60)
    answer = asked.stdout.decode("ascii", "replace").strip()
    if asked.exit_code != 0 or not _ADDRESS.fullmatch(answer):
        raise CannotEvaluate(
            "index.unknown",
            f"package index: pip does not name one (got {asked.last_words!r}, expected an address)",
            fix="name the index: `pip config set global.index-url ...`",
        )
    return answer.rstrip("/")


def without_credentials(text: str) -> str:
    """``text`` with what stands between ``//`` and ``@`` of any address taken out, for messages."""
    return re.sub(r"(?<=://)[^/@\s]+@", "", text)


def _only_one(options: Mapping[str, str], environ: Mapping[str, str]) -> str | None:
    """The one index that anything names: whoever serves a second one can serve a newer package of any name."""
    uv = [environ.get(name, "") for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL")]
    main = (options.get("index-url") or options.get("pypi-url") or "").split()
    extra = options.get("extra-index-url", "").split()
    # uv lets an index be written as name=address.
    from_uv = [re.sub(r"^[\w.-]+=(?=https?://)", "", word) for text in uv for word in text.split()]
    named = list(dict.fromkeys(url.rstrip("/") for url in [*main, *extra, *from_uv]))
    for url in named:
        if not _ADDRESS.fullmatch(url):
            raise CannotEvaluate(
                "index.unreadable",
                f"package index: not an http address (got {without_credentials(url)!r}, expected http or https)",
                fix="mend index-url in pip's configuration (`pip config list` shows it)",
            )
    # An extra index without a main one stands beside pip's default, so it is a second one too.
    if len(named) > 1 or (extra and not main):
        hosts = ", ".join(sorted({urlsplit(url).hostname or "?" for url in named}))
        raise Refused(
            "lock.second-index",
            f"package index: more than one configured (got {hosts}, expected one, against dependency confusion)",
            fix="let one index proxy the others, and unset extra-index-url (`pip config list`), UV_INDEX and the like",
        )
    return named[0] if named else None


def _options(environ: Mapping[str, str]) -> dict[str, str]:
    """Option name to value as ``pip install`` sees them: [global], then [install], then the environment."""
    general: dict[str, str] = {}
    install: dict[str, str] = {}
    for path in _files(environ):
        parser = _parse(path)
        for section, options in (("global", general), ("install", install)):
            if parser.has_section(section):
                options.update({_name(name): value for name, value in parser.items(section)})
    ambient = {_name(name[4:]): value for name, value in environ.items() if name.startswith("PIP_") and value}
    return general | install | ambient


def _name(option: str) -> str:
    return option.lower().replace("_", "-").lstrip("-")


def _files(environ: Mapping[str, str]) -> Iterator[Path]:
    """The configuration files of pip that are there, the weakest first."""
    own = environ.get("PIP_CONFIG_FILE")
    if own == os.devnull:
        return
    home = environ.get("HOME", "")
    user = environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    shared = [f"{folder}/pip" for folder in (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":") if folder]
    folders = [*reversed(shared), "/etc", f"{home}/.pip", f"{user}/pip", environ.get("VIRTUAL_ENV") or sys.prefix]
    for path in [*(Path(folder) / "pip.conf" for folder in folders), *([Path(own)] if own else [])]:
        if path.is_file():
            yield path


def _parse(path: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        reason = str(error).splitlines()[0] if isinstance(error, configparser.Error) else type(error).__name__
        raise CannotEvaluate(
            "index.unreadable",
            f"{path}: not readable (got {without_credentials(reason)[:200]}, expected pip's configuration)",
            fix="mend the file, or remove it",
        ) from error
    return parser
