"""What is shipped of other people's code is what they published, byte by byte."""

import json
from importlib import resources

import pytest

from conftest import NODE_MODULES

pytestmark = pytest.mark.needs("node")


def test_lit_html_is_the_one_of_the_package() -> None:
    page = resources.files("nexo_settings").joinpath("page")
    package = NODE_MODULES / "lit-html"
    assert page.joinpath("lit-html.js").read_bytes() == (package / "lit-html.js").read_bytes()
    assert page.joinpath("LICENSE.lit-html").read_bytes() == (package / "LICENSE").read_bytes()
    assert json.loads((package / "package.json").read_text())["license"] == "BSD-3-Clause"
