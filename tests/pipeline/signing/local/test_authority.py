import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pipeline.signing.local.authority import certify
from pipeline.signing.local.claims import ARC
from pipeline.signing.local.der import read
from tests.support.signing import github

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)


@pytest.fixture(scope="module")
def asked():
    key = ec.generate_private_key(ec.SECP256R1())
    return x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())


def value(certificate, number):
    oid = x509.ObjectIdentifier(f"{ARC}.{number}")
    return certificate.extensions.get_extension_for_oid(oid).value.public_bytes()


def text(certificate, number):
    return read(value(certificate, number))[1].decode()


def names(certificate):
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)


def test_a_certificate_lives_ten_minutes(keys, asked):
    certificate = certify(keys, {"iss": "https://i", "sub": "https://s"}, asked, NOW)
    assert certificate.not_valid_before_utc == NOW
    assert certificate.not_valid_after_utc == NOW + dt.timedelta(minutes=10)


def test_the_subject_is_the_name_where_nothing_better_is_known(keys, asked):
    found = names(certify(keys, {"iss": "https://i", "sub": "https://s"}, asked, NOW))
    assert found.critical
    assert list(found.value) == [x509.UniformResourceIdentifier("https://s")]


def test_an_email_is_the_name_of_a_person(keys, asked):
    certificate = certify(keys, {"iss": "https://i", "sub": "7", "email": "rita@example.org"}, asked, NOW)
    assert list(names(certificate).value) == [x509.RFC822Name("rita@example.org")]


def test_a_workflow_is_named_by_what_was_called_with_all_that_fulcio_records(keys, asked):
    claims = github(job_workflow_ref="acme/ci/.github/workflows/attest.yml@refs/tags/v1", job_workflow_sha="b" * 40)
    certificate = certify(keys, claims, asked, NOW)
    called = "https://github.com/acme/ci/.github/workflows/attest.yml@refs/tags/v1"
    assert list(names(certificate).value) == [x509.UniformResourceIdentifier(called)]
    assert {number: text(certificate, number) for number in range(8, 23) if number != 19} == {
        8: "https://token.actions.githubusercontent.com",
        9: called,
        10: "b" * 40,
        11: "github-hosted",
        12: "https://github.com/acme/app",
        13: "a" * 40,
        14: "refs/heads/main",
        15: "1001",
        16: "https://github.com/acme",
        17: "2002",
        18: "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main",
        20: "push",
        21: "https://github.com/acme/app/actions/runs/3003/attempts/1",
        22: "public",
    }


def test_the_first_edition_of_the_extensions_holds_raw_text(keys, asked):
    certificate = certify(keys, github(), asked, NOW)
    assert [value(certificate, number) for number in (1, 2, 5)] == [
        b"https://token.actions.githubusercontent.com",
        b"push",
        b"acme/app",
    ]


def test_one_sct_is_embedded(keys, asked):
    certificate = certify(keys, github(), asked, NOW)
    found = certificate.extensions.get_extension_for_class(x509.PrecertificateSignedCertificateTimestamps).value
    assert [sct.timestamp.replace(tzinfo=dt.UTC) for sct in found] == [NOW]


def test_a_request_without_proof_of_its_key_is_refused(keys, asked):
    content = bytearray(asked.public_bytes(serialization.Encoding.DER))
    content[-1] ^= 1
    with pytest.raises(ValueError, match="signature not valid"):
        certify(keys, github(), x509.load_der_x509_csr(bytes(content)), NOW)
