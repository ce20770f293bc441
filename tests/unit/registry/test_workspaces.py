"""A workspace has one spelling. Every other is refused: it would fall through to another account."""

import posixpath
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexo.connections.errors import InvalidField
from nexo.connections.v1 import workspace_pb2
from nexo_daemon.domain.model import WorkspaceKey, WorkspaceKind
from nexo_daemon.registry.workspaces import check_workspace
from nexo_daemon.rpc.drafts import question_of

PIECES = st.sampled_from(["acme", "other", ".", "..", "", "ACME", "x y", "é"])


def directory(value: str) -> WorkspaceKey:
    return WorkspaceKey(WorkspaceKind.PATH, value)


@given(st.lists(PIECES, max_size=6), st.sampled_from(["", "/", "//"]))
def test_of_all_spellings_of_a_directory_one_is_taken(pieces: list[str], lead: str) -> None:
    path = lead + "/".join(pieces)
    canonical = bool(path) and path.startswith("/") and path == posixpath.normpath(path) and path[:2] != "//"
    if canonical:
        assert check_workspace(directory(path)).value == path
    else:
        with pytest.raises(InvalidField) as refused:
            check_workspace(directory(path))
        assert refused.value.hint


@pytest.mark.parametrize("path", ["/a" * 2049, "/" + "a" * 4096, "/\0", "/a\0b"])
def test_a_path_has_a_bound(path: str) -> None:
    with pytest.raises(InvalidField):
        check_workspace(directory(path))
    check_workspace(directory("/a" * 2048))


@pytest.mark.parametrize("name", ["", " ", " a", "a\t", "a\nb", "e\u0301", "n" * 257])
def test_a_name_has_one_spelling_too(name: str) -> None:
    with pytest.raises(InvalidField):
        check_workspace(WorkspaceKey(WorkspaceKind.NAME, name))


@pytest.mark.parametrize(
    "question",
    [
        workspace_pb2.Inquiry(connection=""),
        workspace_pb2.Inquiry(connection="  "),
        workspace_pb2.Inquiry(workspace=workspace_pb2.Workspace()),
        workspace_pb2.Inquiry(workspace=workspace_pb2.Workspace(path="")),
        workspace_pb2.Inquiry(workspace=workspace_pb2.Workspace(name="")),
        workspace_pb2.Inquiry(workspace=workspace_pb2.Workspace(path="clients/acme")),
    ],
)
def test_what_is_given_and_names_nothing_is_an_error_and_never_the_default(
    question: workspace_pb2.Inquiry,
) -> None:
    with pytest.raises(InvalidField):
        question_of(question)


def test_what_is_not_given_is_no_error() -> None:
    asked = question_of(workspace_pb2.Inquiry(environment_connection=""))
    assert (asked.workspace, asked.connection) == (None, "")


def test_the_parents_of_a_canonical_path_are_canonical() -> None:
    for parent in PurePosixPath("/a/b/c").parents:
        assert check_workspace(directory(str(parent)))
