"""What went wrong with a registry, told in our words. The rest is seen from test_transport."""

import ssl

import pytest
import requests
import urllib3

from pipeline.model.errors import CannotEvaluate
from pipeline.store.faults import Retry, fault_of, status_fault


def test_a_certificate_that_is_not_trusted_is_not_tried_again():
    inner = urllib3.exceptions.SSLError(ssl.SSLCertVerificationError("self-signed certificate"))
    fault = fault_of("registry.example", requests.exceptions.SSLError(inner))
    assert isinstance(fault, CannotEvaluate)
    assert fault.code == "registry.untrusted"
    assert "root certificate" in fault.fix


@pytest.mark.parametrize("error", [requests.exceptions.InvalidURL("x"), requests.exceptions.InvalidSchema("x")])
def test_an_address_that_is_none_is_garbage(error):
    fault = fault_of("registry.example", error)
    assert isinstance(fault, CannotEvaluate)
    assert fault.code == "registry.garbage"


def test_a_time_out_is_tried_again():
    fault = fault_of("registry.example", requests.exceptions.ConnectTimeout("slow"))
    assert isinstance(fault, Retry)
    assert fault.told.code == "registry.unreachable"


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "refused"), (401, "refused"), (403, "refused"), (404, "refused"), (204, "garbage"), (302, "garbage")],
)
def test_a_status_has_its_code(status, code):
    fault = status_fault("registry.example", "GET /v2/", status, b"words", "")
    assert isinstance(fault, CannotEvaluate)
    assert fault.code == f"registry.{code}"
    assert f"{status} words" in fault.message


def test_what_a_registry_says_is_told_in_one_printable_line():
    fault = status_fault("registry.example", "GET /v2/", 400, b"\x1b[2J\n\r\xff" + b"x" * 10_000, "")
    assert isinstance(fault, CannotEvaluate)
    assert fault.message.isprintable()
    assert len(fault.message) < 500
