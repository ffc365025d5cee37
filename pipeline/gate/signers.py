"""Who may sign: the policy's signers, and what keeps an identity from being one of them."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from pipeline.gate.identity import Verified
from pipeline.model.documents import Document
from pipeline.signing.identities import GITHUB, GITHUB_ISSUER

#: The trust root of a clone's own instance: the machine that built vouches for itself.
LOCAL_ROOT = "local"

Text = Annotated[str, StringConstraints(min_length=1, max_length=300)]
Repository = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9-]+/[A-Za-z0-9._-]+)?$")]
Workflow = Annotated[str, StringConstraints(pattern=r"^\.github/workflows/[A-Za-z0-9._-]+\.ya?ml$")]
Ref = Annotated[str, StringConstraints(pattern=r"^refs/(heads|tags)/[A-Za-z0-9._/-]+$")]
GitDigest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]


class ExactSigner(Document):
    """One identity of one issuer, letter by letter."""

    type: Literal["exact"]
    root: Text
    """The name of the trust root that vouches for it."""
    issuer: Text
    identity: Text

    def differences(self, signed: Verified, repository: str) -> list[str]:
        """What differs, as ``field (got X, expected Y)``; empty where ``signed`` is by this signer."""
        del repository
        return _differences(
            ("trust root", signed.root, (self.root,)),
            ("issuer", signed.identity.issuer, (self.issuer,)),
            ("identity", signed.identity.san, (self.identity,)),
        )


class GithubSigner(Document):
    """A workflow of the policy's repository (or of ``repository``, for a shared one), on a ref, started by a trigger.

    A Fulcio certificate names the reusable workflow, not a job. ``digests`` are the reviewed commits of that workflow;
    empty: any commit on ``ref``.
    """

    type: Literal["github"]
    root: Text
    repository: Repository = ""
    workflow: Workflow
    ref: Ref
    triggers: Annotated[tuple[Text, ...], Field(min_length=1)]
    runner: Literal["github-hosted", "self-hosted"] = "github-hosted"
    digests: tuple[GitDigest, ...] = ()
    builder: Annotated[str, StringConstraints(max_length=300)] = ""
    """The builder that this workflow is, as its provenance names it: it builds where no step of the build can sign.

    Empty: it signs what other jobs hand to it, which is no more than build level 2 (SLSA v1.2).
    """

    @model_validator(mode="after")
    def _is_reviewed_where_it_builds(self) -> "GithubSigner":
        if self.builder and not self.digests:
            raise ValueError("should name the reviewed digests of a workflow that is a builder")
        return self

    def differences(self, signed: Verified, repository: str) -> list[str]:
        """As ExactSigner's; ``repository`` is the policy's, ``owner/name``."""
        one = signed.identity
        workflow = f"{GITHUB}{self.repository or repository}/{self.workflow}@{self.ref}"
        return _differences(
            ("trust root", signed.root, (self.root,)),
            ("issuer", one.issuer, (GITHUB_ISSUER,)),
            ("repository", one.repository, (f"{GITHUB}{repository}",)),
            ("workflow", one.san, (workflow,)),
            ("build signer", one.workflow, (workflow,)),
            ("ref", one.ref, (self.ref,)),
            ("trigger", one.trigger, self.triggers),
            ("runner", one.runner, (self.runner,)),
            *((("workflow digest", one.workflow_digest, self.digests),) if self.digests else ()),
        )


class PersonSigner(Document):
    """Somebody who grants rollbacks and revocations, and signs nothing else: one identity of one issuer.

    ``logins`` are the person's names on GitHub, so that nobody grants what they asked for under another name.
    """

    type: Literal["person"]
    root: Text
    issuer: Text
    identity: Text
    logins: tuple[Text, ...] = ()

    def differences(self, signed: Verified, repository: str) -> list[str]:
        """As ExactSigner's."""
        del repository
        return _differences(
            ("trust root", signed.root, (self.root,)),
            ("issuer", signed.identity.issuer, (self.issuer,)),
            ("identity", signed.identity.san, (self.identity,)),
        )

    def is_also(self, requester: str) -> bool:
        """Whether ``requester`` is one of this person's names: the identity, or the address of a profile."""
        names = (self.identity, *(f"{GITHUB}{login}" for login in self.logins))
        return requester.casefold() in {name.casefold() for name in names}


AnySigner = ExactSigner | GithubSigner | PersonSigner
Signer = Annotated[AnySigner, Field(discriminator="type")]


def _differences(*compared: tuple[str, str, tuple[str, ...]]) -> list[str]:
    return [
        f"{name} (got {got[:200] or 'none'}, expected {' or '.join(expected)})"
        for name, got, expected in compared
        if got not in expected
    ]


def needs_repository(signer: AnySigner) -> bool:
    """Whether the signer means nothing until the policy names a repository."""
    return isinstance(signer, GithubSigner)
