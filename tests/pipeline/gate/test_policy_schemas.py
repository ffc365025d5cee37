"""The schemas for editors: current, and of the same mind as the models."""

import json
import shutil
import tomllib

import jsonschema
import pytest

from pipeline.gate.policy import with_days
from pipeline.gate.policy_schemas import MODELS, schema, write_schemas

FILES = ("environments", "rules", "exceptions")


def plain(path):
    return with_days(tomllib.loads(path.read_text()))


def test_the_schemas_in_the_repository_are_current(root, tmp_path):
    shutil.copytree(root / "policies" / "schemas", tmp_path / "schemas")
    assert list(write_schemas(tmp_path)) == []


@pytest.mark.parametrize("name", MODELS)
def test_each_is_a_schema_that_explains_its_fields(name):
    made = schema(name)
    jsonschema.Draft202012Validator.check_schema(made)
    assert made["additionalProperties"] is False
    assert made["description"]


@pytest.mark.parametrize("name", FILES)
def test_the_shipped_files_fit_their_schema(root, name):
    jsonschema.validate(plain(root / "policies" / f"{name}.toml"), schema(name))


def test_the_shipped_cases_fit_their_schema(root):
    checker = jsonschema.Draft202012Validator(schema("cases"))
    for path in sorted((root / "policies" / "tests").glob("*.toml")):
        checker.validate(plain(path))


@pytest.mark.parametrize("name", FILES)
def test_an_unknown_key_does_not_fit(root, name):
    with pytest.raises(jsonschema.ValidationError, match="surprise"):
        jsonschema.validate({**plain(root / "policies" / f"{name}.toml"), "surprise": 1}, schema(name))


def test_every_file_names_its_schema(root):
    folder = root / "policies"
    for name in FILES:
        assert (folder / f"{name}.toml").read_text().startswith(f"#:schema schemas/{name}.schema.json\n")
    for path in (folder / "tests").glob("*.toml"):
        assert path.read_text().startswith("#:schema ../schemas/cases.schema.json\n"), path.name


def test_fields_are_described_to_editors():
    limits = schema("environments")["$defs"]["Environment"]["properties"]
    assert limits["roots"]["description"] == "Names of the trust roots (``local``, ``public``) that count here."
    exception = schema("exceptions")["$defs"]["PolicyException"]["properties"]
    assert exception["code"]["description"] == "The rule whose refusal it takes back."
    assert json.dumps(schema("rules")) == json.dumps(schema("rules"))
