"""A package index on loopback (PEP 503 and 658) that wants a password and serves wheels made on the spot."""

import base64
import contextlib
import hashlib
import io
import ssl
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.support.loopback import Loopback, Reply, Request, loopback

USER = "reader:sesame"
_BASIC = "Basic " + base64.b64encode(USER.encode()).decode()


def make_wheel(name: str, version: str) -> bytes:
    """A pure-Python wheel with nothing but its metadata."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return content.getvalue()


@dataclass(frozen=True)
class PackageIndex:
    server: Loopback
    wheels: Mapping[str, bytes]

    @property
    def url(self) -> str:
        """With the credentials that it asks for."""
        return f"{self.server.scheme}://{USER}@{self.server.host}/simple"

    def sha256(self, name: str, version: str) -> str:
        return hashlib.sha256(self.wheels[f"{name}-{version}-py3-none-any.whl"]).hexdigest()


@contextlib.contextmanager
def package_index(*releases: tuple[str, str], tls: ssl.SSLContext | None = None) -> Iterator[PackageIndex]:
    """Serve a wheel of each (name, version) at ``/simple``."""
    wheels = {f"{name}-{version}-py3-none-any.whl": make_wheel(name, version) for name, version in releases}

    def answer(request: Request) -> Reply:
        if request.headers.get("Authorization", request.headers.get("authorization")) != _BASIC:
            return Reply(401, headers={"WWW-Authenticate": 'Basic realm="index"'})
        folder, _, file = request.path.removeprefix("/").partition("/")
        if folder == "files" and file in wheels:
            return Reply(body=wheels[file])
        links = [
            f'<a href="/files/{wheel}#sha256={hashlib.sha256(content).hexdigest()}">{wheel}</a>'
            for wheel, content in wheels.items()
            if file.strip("/") == wheel.partition("-")[0]
        ]
        page = f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>"
        return Reply(body=page.encode(), headers={"Content-Type": "text/html"}) if links else Reply(404)

    with loopback(answer, tls) as server:
        yield PackageIndex(server, wheels)
