"""Settings are strict: a wrong or unknown one stops the start with one clear line."""

from ipaddress import ip_network

import pytest

from sample_app.settings import Settings, SettingsError, read_settings


def test_without_any_variable_the_service_listens_on_loopback():
    settings = read_settings({"PATH": "/bin", "HOME": "/"})
    assert settings == Settings()
    assert (settings.address, settings.port) == ("127.0.0.1", 8888)


def test_each_variable_sets_its_field():
    settings = read_settings(
        {
            "NOTICEBOARD_ADDRESS": "0.0.0.0",
            "NOTICEBOARD_PORT": "80",
            "NOTICEBOARD_LOG_LEVEL": "error",
            "NOTICEBOARD_DRAIN_SECONDS": "0",
            "NOTICEBOARD_MAX_ROOMS": "1",
            "NOTICEBOARD_MAX_MESSAGES": "2",
            "NOTICEBOARD_MAX_READERS": "3",
            "NOTICEBOARD_REQUESTS_PER_SECOND": "4",
            "NOTICEBOARD_REQUEST_BURST": "5",
            "NOTICEBOARD_TRUSTED_PROXIES": "10.0.0.0/8, fd00::/8",
        }
    )
    assert settings == Settings(
        address="0.0.0.0",
        port=80,
        log_level="error",
        drain_seconds=0,
        max_rooms=1,
        max_messages=2,
        max_readers=3,
        requests_per_second=4,
        request_burst=5,
        trusted_proxies=(ip_network("10.0.0.0/8"), ip_network("fd00::/8")),
    )


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("NOTICEBOARD_PORT", "tcp://10.0.0.1:80", "a whole number from 0 to 65535"),
        ("NOTICEBOARD_PORT", "65536", "a whole number from 0 to 65535"),
        ("NOTICEBOARD_PORT", "-1", "a whole number from 0 to 65535"),
        ("NOTICEBOARD_PORT", "", "a whole number from 0 to 65535"),
        ("NOTICEBOARD_PORT", "٣", "a whole number from 0 to 65535"),
        ("NOTICEBOARD_PORT", "9" * 5000, "a whole number from 0 to 65535"),
        ("NOTICEBOARD_ADDRESS", "localhost", "an IPv4 or IPv6 address"),
        ("NOTICEBOARD_LOG_LEVEL", "loud", "one of debug, info, warning, error"),
        ("NOTICEBOARD_MAX_ROOMS", "0", "a whole number from 1 to 10000"),
        ("NOTICEBOARD_REQUEST_BURST", "0", "a whole number from 1 to 100000"),
        ("NOTICEBOARD_TRUSTED_PROXIES", "10.0.0.1/8", "networks with commas between them, such as 10.0.0.0/8"),
        ("NOTICEBOARD_TRUSTED_PROXIES", "", "networks with commas between them, such as 10.0.0.0/8"),
        ("NOTICEBOARD_TRUSTED_PROXIES", "proxy", "networks with commas between them, such as 10.0.0.0/8"),
    ],
)
def test_a_wrong_value_is_refused_with_what_was_expected(variable, value, expected):
    with pytest.raises(SettingsError) as refusal:
        read_settings({variable: value})
    assert str(refusal.value).startswith(f"{variable}: wrong value (got '{value[:20]}")
    assert str(refusal.value).endswith(f"expected {expected})")
    assert len(str(refusal.value)) < 250


@pytest.mark.parametrize("variable", ["NOTICEBOARD_PROT", "NOTICEBOARD_", "NOTICEBOARD_port"])
def test_an_unknown_variable_is_refused_with_the_known_ones(variable):
    with pytest.raises(SettingsError, match=rf"^{variable}: unknown setting \(expected one of NOTICEBOARD_ADDRESS, "):
        read_settings({variable: "1"})
