"""``rollback``, ``revoke``, ``grant`` and ``ledger`` as they are typed: what they print, and their exit codes."""

import contextlib
from types import SimpleNamespace

import pytest

from pipeline import cli
from pipeline.commands import grant, ledger, revoke, rollback
from pipeline.promotion import today
from pipeline.signing.identities import LOCAL_IDENTITY
from tests.support.promotions import HERE, claims


@pytest.fixture
def typed(ran, monkeypatch, capsys):
    """Types a command in a clone that ran two releases; its exit code and output. ``by`` signs."""

    def call(*words, by=None):
        @contextlib.contextmanager
        def opened(arguments, *, scanners=False):
            signer = ran.world.signer(**(claims(by) if by else {}))
            yield SimpleNamespace(settings=None, root=ran.folder), ran.gate(signer=lambda: signer)

        for module in (grant, ledger, revoke, rollback):
            monkeypatch.setattr(module, "opened", opened)
        monkeypatch.setattr(today, "today_of", lambda _job: lambda *_: [])
        code = cli.main(words)
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def grant_of(ran, action, version, *more):
    asked = ("--requester", LOCAL_IDENTITY, "--reason", "it loses messages")
    return ("grant", action, HERE, "--image", ran.images[version], *asked, *more)


def test_from_the_grant_to_the_rollback(ran, typed):
    old = ran.images["1.0"]
    code, out, err = typed("rollback", HERE, "--to", old)
    assert (code, out) == (1, "")
    assert err.startswith("grant.missing: ")
    code, out, _ = typed(*grant_of(ran, "rollback", "1.0"), by="rita")
    assert code == 0
    assert out.splitlines()[1].startswith("signed by rita@example.org, counts for 24 hours, attached to the image in ")
    code, out, _ = typed("rollback", HERE, "--to", old)
    assert (code, out) == (0, f"rollback: passed: {HERE}: rolled back to 1.0 ({old}), entry 3\n")
    code, out, _ = typed("ledger", HERE)
    assert code == 0
    assert f"rollback to 1.0  {old}  by {LOCAL_IDENTITY}: it loses messages" in out.splitlines()[2]
    assert out.splitlines()[3] == f"{HERE}: 3 entries; 1.0 ({old}) runs"


def test_a_grant_in_a_file_and_a_revocation_with_it(ran, typed, tmp_path):
    file = tmp_path / "grant.json"
    code, out, _ = typed(*grant_of(ran, "revocation", "1.1", "--output", str(file)), by="tom")
    assert (code, f"written to {file}" in out) == (0, True)
    words = ("revoke", ran.images["1.1"], "--environment", HERE)
    code, out, err = typed(*words, "--grant", str(file))
    assert (code, out) == (0, f"{HERE}: {ran.images['1.1']} revoked, entry 3\n")
    assert err == f"warning: {HERE} runs it still: `scripts/gatehouse rollback {HERE} --to sha256:...`\n"
    code, out, _ = typed(*words)
    assert (code, out) == (0, f"{HERE}: {ran.images['1.1']} was revoked before, entry 3\n")


def test_an_environment_that_refuses_keeps_no_other_from_a_revocation(ran, typed):
    typed(*grant_of(ran, "revocation", "1.1"), by="tom")
    code, out, err = typed("revoke", ran.images["1.1"])
    assert (code, out) == (1, f"{HERE}: {ran.images['1.1']} revoked, entry 3\n")
    assert [line for line in err.splitlines() if "not revoked" in line] == [
        "laboratory: not revoked: grant.other",
        "staging: not revoked: grant.nobody",
        "production: not revoked: grant.nobody",
    ]
    assert "\ngrant.other: grant: for something else" in err


def test_a_grant_file_that_is_not_there_is_a_misuse(ran, typed, tmp_path):
    code, _, err = typed("rollback", HERE, "--to", ran.images["1.0"], "--grant", str(tmp_path / "none"))
    assert code == 2
    assert err.startswith("grant.file: --grant: not readable (got No such file or directory, expected a file that")


def test_a_tag_is_no_digest(typed, capsys):
    with pytest.raises(SystemExit) as error:
        typed("rollback", HERE, "--to", "latest")
    assert error.value.code == 2
    assert "not a digest: 'latest' (give sha256: and 64 digits)" in capsys.readouterr().err


def test_an_environment_that_the_policy_does_not_have(ran, typed):
    code, _, err = typed("rollback", "moon", "--to", ran.images["1.0"])
    assert (code, err.startswith("policy.environment: ")) == (3, True)
