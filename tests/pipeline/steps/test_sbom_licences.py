from email.message import Message

import pytest

from pipeline.steps.sbom_licences import of_debian, of_wheel, spdx_name

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
    assert of_wheel(said) == [{"expression": "MIT OR Apache-2.0", "acknowledgement": "declared"}]


def test_an_expression_in_the_old_field_is_one_too():
    assert of_wheel(metadata(("License", "MIT OR Apache-2.0")))[0]["expression"] == "MIT OR Apache-2.0"


def test_a_short_field_that_spdx_knows_becomes_its_id():
    assert of_wheel(metadata(("License", "apache-2.0"))) == [
        {"license": {"id": "Apache-2.0", "acknowledgement": "declared"}}
    ]


def test_a_short_field_that_spdx_does_not_know_is_a_name():
    assert of_wheel(metadata(("License", "BSD"))) == [{"license": {"name": "BSD", "acknowledgement": "declared"}}]


def test_of_a_whole_text_in_the_field_the_classifiers_speak():
    said = metadata(
        ("License", "Permission is hereby granted\nto anyone"),
        ("Classifier", "License :: OSI Approved :: MIT License"),
        ("Classifier", "License :: OSI Approved :: BSD License"),
        ("Classifier", "License :: OSI Approved"),
        ("Classifier", "Programming Language :: Python"),
    )
    assert ids(of_wheel(said)) == ["BSD License", "MIT"]


@pytest.mark.parametrize("field", [(), (("License", "UNKNOWN"),), (("License", ""),)])
def test_nothing_said_is_said_as_nothing_asserted(field):
    assert of_wheel(metadata(*field)) == [{"license": {"name": "NOASSERTION"}}]


def test_a_copyright_file_names_each_licence_once():
    text = FORMAT + "License: Expat\n\nFiles: b\nLicense: MIT\n\nLicense: GPL-2+\n Text of it.\n\nLicense: ad-hoc\n"
    assert ids(of_debian(text)) == ["GPL-2.0-or-later", "MIT", "ad-hoc"]


@pytest.mark.parametrize("text", ["", "This package was put together by hand.\nLicense: MIT\n"])
def test_a_copyright_file_in_prose_asserts_nothing(text):
    assert ids(of_debian(text)) == ["NOASSERTION"]


@pytest.mark.parametrize(
    ("short", "name"),
    [
        ("GPL-2", "GPL-2.0-only"),
        ("LGPL-2.1+", "LGPL-2.1-or-later"),
        ("Expat", "MIT"),
        ("GPL-2+-with-link-exception", "GPL-2+-with-link-exception"),
    ],
)
def test_short_names_become_spdx_names_where_they_mean_the_same(short, name):
    assert spdx_name(short) == name
