"""Who made a component, and how they are reached."""

from email.message import Message

import pytest

from pipeline.steps.sbom_entities import Entity, of_application, of_maintainer, of_wheel


def wheel(*fields):
    message = Message()
    for field in fields:
        name, _, value = field.partition(": ")
        message[name] = value
    return of_wheel(message)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        (["Author: The Team", "Maintainer: Others"], "The Team"),
        (["Author-email: Ann Author <ann@example.org>, bob@example.org"], "Ann Author, bob@example.org"),
        (["Author-email: Ann <ann@example.org>", "Maintainer-email: Ann <ann@example.org>"], "Ann"),
        (["Author: UNKNOWN", "Maintainer: The Team"], "The Team"),
        ([], "NOASSERTION"),
    ],
)
def test_the_maker_of_a_wheel_is_whoever_its_metadata_names(fields, name):
    assert wheel(*fields).name == name


def test_every_address_for_mail_is_kept_once():
    found = wheel("Author-email: Ann <a@example.org>", "Maintainer-email: a@example.org, Bob <b@example.org>, none")
    assert found.emails == ("a@example.org", "b@example.org")


@pytest.mark.parametrize(
    ("fields", "urls"),
    [
        (["Home-page: https://example.org/a"], ("https://example.org/a",)),
        (
            ["Project-URL: Source, https://example.org/s", "Project-URL: Homepage, https://example.org/h"],
            ("https://example.org/h",),
        ),
        (["Home-page: UNKNOWN", "Project-URL: Repository, https://example.org/r"], ("https://example.org/r",)),
        (["Project-URL: Changelog, https://example.org/c", "Home-page: javascript:alert(1)"], ()),
    ],
)
def test_its_page_is_its_own_and_an_address_of_the_web(fields, urls):
    assert wheel(*fields).urls == urls


@pytest.mark.parametrize(
    ("field", "entity"),
    [
        ("Ada <ada@example.org>", Entity(name="Ada", emails=["ada@example.org"])),
        ("ada@example.org", Entity(name="ada@example.org", emails=["ada@example.org"])),
        ("", Entity(name="NOASSERTION")),
    ],
)
def test_a_maintainer_of_debian_is_named_with_address(field, entity):
    assert of_maintainer(field) == entity


def test_the_applications_maker_is_reached_by_mail_or_by_a_page():
    assert of_application("app", "", "") == Entity(name="maintainers of app")
    assert of_application("app", "Ann", "ann@example.org").document() == {
        "name": "Ann",
        "contact": [{"email": "ann@example.org"}],
    }
    assert of_application("app", "Ann", "https://example.org").document() == {
        "name": "Ann",
        "url": ["https://example.org"],
    }
