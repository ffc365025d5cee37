"""A store in an OCI registry (distribution specification 1.1)."""

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from pipeline.files import locked
from pipeline.model.digests import Digest
from pipeline.model.errors import CannotEvaluate, Misuse
from pipeline.store.authentication import Authenticator
from pipeline.store.credentials import find_credentials
from pipeline.store.documents import malformed, media_type_of, parse_reference, read_descriptors, read_object
from pipeline.store.interface import (
    BYTES,
    INDEX,
    MANIFESTS,
    MAX_BUNDLE,
    MAX_MANIFEST,
    Descriptor,
    check_bytes,
    check_tag,
    missing,
    too_large,
    unique,
)
from pipeline.store.referrers import find_referrers
from pipeline.store.streams import copy_checked
from pipeline.store.transport import ATTEMPTS, TEMPORARY, Answer, Transport

_ACCEPT = {"Accept": ", ".join(MANIFESTS)}
_MAX_PAGES = 20
#: Docker Hub is asked at another host than the one in its names, and logs in under a third.
_HUB = "docker.io"


class Registry:
    """``address`` is ``host[:port]/repository``: https, but plain http on loopback.

    ``docker_config`` is the folder of Docker's ``config.json`` (None: anonymous), ``locks`` a folder in which
    attaches of this machine take turns.
    """

    def __init__(
        self,
        address: str,
        *,
        docker_config: Path | None = None,
        locks: Path | None = None,
        timeout: tuple[float, float] = (10, 60),
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        host, _, repository = address.partition("/")
        if not host or not repository:
            raise Misuse(
                "store.address",
                f"registry: not an address (got {address[:120]!r}, expected host[:port]/repository)",
                fix="write the registry as host/repository, without scheme and tag",
            )
        self._address, self._locks, self._wait = address, locks, wait
        login = "index.docker.io" if host == _HUB else host
        authenticator = Authenticator(lambda: find_credentials(docker_config, login))
        self._transport = Transport(
            "registry-1.docker.io" if host == _HUB else host, authenticator, timeout=timeout, wait=wait
        )
        self._base = f"{self._transport.origin}/v2/{repository}"
        self._manifests: dict[Digest, bytes] = {}

    @property
    def address(self) -> str:
        return self._address

    # Reading

    def resolve(self, reference: str) -> Descriptor:
        if reference.startswith("sha256:"):
            content = self.manifest(parse_reference(reference))
            return self._describe(content, None)
        answer = self._get_manifest(check_tag(reference))
        digest = Digest.of(answer.content)
        told = answer.headers.get("Docker-Content-Digest")
        if told is not None and told != str(digest):
            raise self._transport.garbage(f"digest {told} over content {digest}", "the content's own digest")
        descriptor = self._describe(answer.content, answer.headers.get("Content-Type"))
        self._manifests[digest] = answer.content
        return descriptor

    def manifest(self, digest: Digest) -> bytes:
        if digest not in self._manifests:
            answer = self._get_manifest(str(digest))
            self._manifests[digest] = check_bytes(answer.content, digest, where=self.address)
        return self._manifests[digest]

    def blob(self, digest: Digest, limit: int = MAX_BUNDLE) -> bytes:
        answer = self._transport.send("GET", f"{self._base}/blobs/{digest}", expect=(200, 404), limit=limit)
        if answer.status == 404:
            raise missing(str(digest), where=self.address)
        return check_bytes(answer.content, digest, where=self.address)

    @contextlib.contextmanager
    def open_blob(self, descriptor: Descriptor) -> Iterator[BinaryIO]:
        with tempfile.TemporaryFile() as file:
            url = f"{self._base}/blobs/{descriptor.digest}"
            answer = self._transport.send("GET", url, expect=(200, 404), into=file, limit=descriptor.size)
            if answer.status == 404:
                raise missing(str(descriptor.digest), where=self.address)
            file.seek(0)
            copy_checked(file, None, descriptor, where=self.address)
            file.seek(0)
            yield file

    def has_blob(self, digest: Digest) -> bool:
        return self._transport.send("HEAD", f"{self._base}/blobs/{digest}", expect=(200, 404)).status == 200

    def referrers(self, digest: Digest) -> list[Descriptor]:
        return find_referrers(self, digest)

    def listed(self, digest: Digest) -> list[Digest] | None:
        """The referrers API, every page of it; None for a registry without (404, and 405 of some proxies)."""
        found = list[Digest]()
        for answer in self._pages(f"{self._base}/referrers/{digest}", (200, 404, 405), "referrers", INDEX):
            if answer.status != 200:
                return None
            found += self._page(answer)
        return unique(found)

    def tags(self) -> list[str]:
        """Every page of the tags (distribution specification, "Listing Tags"); none where nothing was pushed yet."""
        found = set[str]()
        for answer in self._pages(f"{self._base}/tags/list?n=1000", (200, 404), "tags", "application/json"):
            if answer.status == 404:
                return []
            found.update(self._tags(answer))
        return sorted(found)

    # Writing

    def put_blob(self, content: bytes) -> Descriptor:
        descriptor = Descriptor(BYTES, Digest.of(content), len(content))
        self.put_file(BytesIO(content), descriptor)
        return descriptor

    def put_file(self, file: BinaryIO, descriptor: Descriptor) -> None:
        """One upload session an attempt: a session that broke is left to the registry, never continued blindly."""
        file.seek(0)
        copy_checked(file, None, descriptor, where="the file given")
        for attempt in range(ATTEMPTS):
            if self.has_blob(descriptor.digest):
                return
            try:
                self._upload(file, descriptor)
            except CannotEvaluate as error:
                if error.code not in TEMPORARY or attempt + 1 == ATTEMPTS:
                    raise
                self._wait(0.2 * 2**attempt)
            else:
                return

    def put_manifest(self, content: bytes, media_type: str, tag: str | None = None) -> Descriptor:
        if len(content) > MAX_MANIFEST:
            raise too_large("manifest", MAX_MANIFEST, got=len(content))
        digest = Digest.of(content)
        name = str(digest) if tag is None else check_tag(tag)
        url, headers = f"{self._base}/manifests/{name}", {"Content-Type": media_type}
        answer = self._transport.send("PUT", url, expect=(200, 201, 202), headers=headers, body=content)
        told = answer.headers.get("Docker-Content-Digest")
        if told is not None and told != str(digest):
            raise self._transport.garbage(f"digest {told} for manifest {digest}", "the manifest's own digest")
        return Descriptor(media_type, digest, len(content))

    def tag(self, name: str, descriptor: Descriptor) -> None:
        self.put_manifest(self.manifest(descriptor.digest), descriptor.media_type, check_tag(name))

    @contextlib.contextmanager
    def serialised(self) -> Iterator[None]:
        if self._locks is None:
            yield
            return
        with locked(self._locks / f"attach-{Digest.of(self._address.encode()).short}"):
            yield

    # Inside

    def _get_manifest(self, name: str) -> Answer:
        answer = self._transport.send("GET", f"{self._base}/manifests/{name}", expect=(200, 404), headers=_ACCEPT)
        if answer.status == 404:
            raise missing(name, where=self.address)
        return answer

    def _describe(self, content: bytes, told: str | None) -> Descriptor:
        digest = Digest.of(content)
        what = f"manifest {digest}"
        try:
            document = read_object(content, what=what)
        except CannotEvaluate as error:
            raise self._transport.garbage("a manifest that is no JSON object", "a manifest") from error
        return Descriptor(media_type_of(document, told, what=what), digest, len(content))

    def _pages(self, url: str, expect: tuple[int, ...], what: str, accept: str) -> Iterator[Answer]:
        """Each answer of a list that comes in pages."""
        for _ in range(_MAX_PAGES):
            answer = self._transport.send("GET", url, expect=expect, headers={"Accept": accept})
            yield answer
            following = _next_page(answer.headers.get("Link", ""))
            if following is None:
                return
            url = self._transport.absolute(url, following)
        raise self._transport.garbage(f"more than {_MAX_PAGES} pages of {what}", "an end")

    def _tags(self, answer: Answer) -> list[str]:
        try:
            tags = read_object(answer.content, what="tags").get("tags") or []
            return [check_tag(str(name)) for name in tags]
        except (CannotEvaluate, Misuse, TypeError) as error:
            raise self._transport.garbage(f"tags: {str(error)[:120]}", "a list of tags") from error

    def _page(self, answer: Answer) -> list[Digest]:
        try:
            document = read_object(answer.content, what="referrers")
            if document.get("mediaType", INDEX) != INDEX:
                raise malformed("referrers", document.get("mediaType"), INDEX)
            return [entry.digest for entry in read_descriptors(document, "manifests", what="referrers")]
        except CannotEvaluate as error:
            raise self._transport.garbage(f"referrers: {error.message}", "an image index") from error

    def _upload(self, file: BinaryIO, descriptor: Descriptor) -> None:
        start = f"{self._base}/blobs/uploads/"
        opened = self._transport.send("POST", start, expect=(202,), headers={"Content-Length": "0"}, attempts=1)
        url = self._transport.absolute(start, opened.headers.get("Location"))
        url += f"{'&' if '?' in url else '?'}digest={quote(str(descriptor.digest))}"
        headers = {"Content-Type": BYTES, "Content-Length": str(descriptor.size)}
        self._transport.send("PUT", url, expect=(201, 202, 204), headers=headers, body=file, attempts=1)


def _next_page(link: str) -> str | None:
    """The address in ``<...>; rel="next"`` (RFC 8288), None at the last page."""
    for part in link.split(","):
        address, _, parameters = part.strip().partition(">")
        if address.startswith("<") and 'rel="next"' in parameters.replace("'", '"').replace("rel=next", 'rel="next"'):
            return address[1:]
    return None
