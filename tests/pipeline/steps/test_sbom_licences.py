from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.licenses import canonicalize_license_expression

from pipeline.steps.sbom_licences import licences_of_debian, licences_of_wheel, spdx_name

FORMAT = "Format: copyright-format/1.0\n\n"


def metadata(*fields):
    message = Message()
    for name, value in fields:
        message[name] = value
    return message


def ids(licences):
    return [entry["license"].get("id") or entry["license"]["name"] for entry in licences]


def test_an_expression_stands_as_it_is():
    said = metadata(("License-Expression", "MIT OR Apache-2.0"), ("License", "see file"))
    assert licences_of_wheel(said) == [{"expression": "MIT OR Apache-2.0", "acknowledgement": "declared"}]


def test_an_expression_in_the_old_field_is_one_too():
    assert licences_of_wheel(metadata(("License", "MIT OR Apache-2.0")))[0]["expression"] == "MIT OR Apache-2.0"


def test_a_short_field_that_spdx_knows_becomes_its_id():
    assert licences_of_wheel(metadata(("License", "apache-2.0"))) == [
        {"license": {"id": "Apache-2.0", "acknowledgement": "declared"}}
    ]


def test_a_short_field_that_spdx_does_not_know_is_a_name():
    assert licences_of_wheel(metadata(("License", "BSD"))) == [
        {"license": {"name": "BSD", "acknowledgement": "declared"}}
    ]


def test_of_a_whole_text_in_the_field_the_classifiers_speak():
    said = metadata(
        ("License", "Permission is hereby granted\nto anyone"),
        ("Classifier", "License :: OSI Approved :: MIT License"),
        ("Classifier", "License :: OSI Approved :: BSD License"),
        ("Classifier", "License :: OSI Approved"),
        ("Classifier", "Programming Language :: Python"),
    )
    assert ids(licences_of_wheel(said)) == ["BSD License", "MIT"]


@pytest.mark.parametrize("field", [(), (("License", "UNKNOWN"),), (("License", ""),)])
def test_nothing_said_is_said_as_nothing_asserted(field):
    assert licences_of_wheel(metadata(*field)) == [{"license": {"name": "NOASSERTION"}}]


def of_debian(text):
    return licences_of_debian(text, source="glibc", package="libc6")


def test_a_copyright_file_names_each_licence_once():
    text = FORMAT + "License: Expat\n\nFiles: b\nLicense: MIT\n\nLicense: GPL-2+\n Text of it.\n\nLicense: ad-hoc\n"
    (stated,) = of_debian(text)
    assert stated == {
        "expression": "GPL-2.0-or-later AND LicenseRef-debian-ad-hoc AND MIT",
        "acknowledgement": "declared",
    }


@pytest.mark.parametrize(
    ("field", "expression"),
    [
        ("Zlib", "Zlib"),
        ("BSD-2-clause or GPL-2", "BSD-2-Clause OR GPL-2.0-only"),
        ("GPL-1+ or Artistic, and BSD-3-clause", "(Artistic-1.0 OR GPL-1.0-or-later) AND BSD-3-Clause"),
        ("ISC and MIT", "ISC AND MIT"),
        ("Zlib or ISC and MIT", "(ISC AND MIT) OR Zlib"),
        ("GPL-2+ with Bison-exception-2.2", "GPL-2.0-or-later WITH Bison-exception-2.2"),
    ],
)
def test_a_choice_stays_a_choice(field, expression):
    assert of_debian(f"{FORMAT}License: {field}\n")[0]["expression"] == expression


@given(st.text(st.sampled_from("GPL-2+ andorwithMIT,|/()"), max_size=60))
def test_whatever_a_field_says_becomes_an_expression_that_spdx_can_read(field):
    (stated,) = of_debian(f"{FORMAT}License: {field}\n")
    if "expression" in stated:
        assert canonicalize_license_expression(stated["expression"])


def test_a_copyright_file_in_prose_is_referred_to():
    (stated,) = of_debian("This package was put together by hand.\nLicense: MIT\n")
    assert stated["license"]["name"] == "LicenseRef-debian-glibc"
    assert stated["license"]["url"] == "file:///usr/share/doc/libc6/copyright"


@pytest.mark.parametrize("text", ["", FORMAT])
def test_a_copyright_file_that_says_nothing_asserts_nothing(text):
    assert ids(of_debian(text)) == ["NOASSERTION"]


@pytest.mark.parametrize(
    ("short", "name"),
    [
        ("GPL-2", "GPL-2.0-only"),
        ("LGPL-2.1+", "LGPL-2.1-or-later"),
        ("Expat", "MIT"),
        ("GPL-2+-with-link-exception", "LicenseRef-debian-GPL-2--with-link-exception"),
    ],
)
def test_short_names_become_spdx_names_where_they_mean_the_same(short, name):
    assert spdx_name(short) == name
