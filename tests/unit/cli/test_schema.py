"""The schema of the JSON output describes fields as docstrings do, in the words of JSON."""

import json

from nexo_cli.schema import schema


def test_a_field_is_described_by_the_docstring_of_its_class() -> None:
    fields = schema()["$defs"]["network"]["properties"]
    assert fields["ca_bundle"]["description"] == (
        "Absolute path of a PEM file; empty for the certificates of the system."
    )


def test_no_description_says_none_of_python() -> None:
    assert "None" not in json.dumps(schema())
