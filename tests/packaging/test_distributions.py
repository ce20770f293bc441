"""The content of the wheel and the sdist, and that the base install works without the extras."""

import hashlib
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import grpc
import pytest
from google import protobuf

from typist import Typist

REPOSITORY = Path(__file__).parent.parent.parent
PACKAGES = (
    "nexo_cli",
    "nexo_client",
    "nexo_daemon",
    "nexo_gateway",
    "nexo_settings",
    "nexo_sources",
    "nexo_tray",
    "nexo",
)


def build(target: str, directory: Path, sources: Path = REPOSITORY) -> Path:
    """A wheel or an sdist, by the build back end that pip uses."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(directory)],
        cwd=sources,
        check=True,
        capture_output=True,
        env=os.environ | {"SOURCE_DATE_EPOCH": "1790000000"},
    )
    (made,) = directory.glob("*.whl" if target == "wheel" else "*.tar.gz")
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", tmp_path_factory.mktemp("sdist"))


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_wheel_has_every_file_of_the_packages_and_nothing_else(wheel: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", *("client", "daemon", "tray", "protos/nexo")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    if not tracked:
        pytest.skip("not a git checkout")
    expected = {name.partition("/")[2] for name in tracked if (REPOSITORY / name).exists()}
    found = {name for name in names_in(wheel) if ".dist-info/" not in name}
    assert not {name for name in found if name.partition("/")[0] not in PACKAGES}
    assert expected - found == set()
    assert not {name for name in found if "__pycache__" in name or name.endswith((".pyc", ".db", ".key"))}


def test_wheel_has_what_is_not_python(wheel: Path) -> None:
    found = names_in(wheel)
    for name in (
        "nexo_client/service/nexod.service",
        "nexo/connections/v1/connection.proto",
        "nexo/connections/v1/connection_pb2.pyi",
        "nexo/py.typed",
        "nexo_cli/py.typed",
        "nexo_sources/py.typed",
        "nexo_client/py.typed",
        "nexo_daemon/py.typed",
        "nexo_gateway/py.typed",
        "nexo_settings/page/LICENSE.lit-html",
        "nexo_settings/page/index.html",
        "nexo_settings/page/lit-html.js",
        "nexo_settings/py.typed",
        "nexo_tray/py.typed",
    ):
        assert name in found
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in found)


def test_wheel_says_what_it_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(archive.read(name).decode())
        points = archive.read(name.replace("METADATA", "entry_points.txt")).decode()
    needs = metadata.get_all("Requires-Dist") or []
    assert {re.split(r"[<>=]", one)[0] for one in needs if "extra ==" not in one} == {"grpcio", "protobuf"}
    extras = set(metadata.get_all("Provides-Extra") or [])
    assert {"cli", "daemon", "tray", "import", "settings", "all"} <= extras
    for program in ("nexod", "nexoctl", "nexo-tray"):
        assert f"{program} = " in points


def test_the_same_sources_give_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    again = build("wheel", tmp_path)
    assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(wheel.read_bytes()).digest()


def test_a_wheel_of_the_sdist_is_the_wheel_of_the_repository(
    wheel: Path, sdist: Path, tmp_path: Path
) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (sources,) = (one for one in tmp_path.iterdir() if one.is_dir())
    for name in (
        "tests/conftest.py",
        "packaging/deb/build",
        "packaging/reference",
        "docs",
        "CHANGELOG.md",
    ):
        assert (sources / name).exists(), name
    out = tmp_path / "out"
    assert names_in(build("wheel", out, sources)) == names_in(wheel)


def test_the_base_install_works_and_names_what_is_missing(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)  # noqa: S202 - our own wheel
    # The two libraries that the base install declares, and their own needs; nothing else of this environment.
    grpcio = Path(grpc.__file__).parent
    for library in (grpcio, grpcio.parent / "typing_extensions.py", Path(protobuf.__file__).parent):
        target = site / ("google/protobuf" if library.name == "protobuf" else library.name)
        target.parent.mkdir(exist_ok=True)
        target.symlink_to(library)

    code = f"import sys; sys.path.insert(0, {str(site)!r}); from nexo_cli.__main__ import main; "
    program = [sys.executable, "-I", "-S", "-c", code + "sys.exit(main(sys.argv[1:]))"]

    def nexoctl(*words: str, **more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*program, *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "OLLAMA_HOST": "127.0.0.1:9", **more},
        )

    assert nexoctl("--help").returncode == 0
    (tmp_path / ".continue").mkdir()
    (tmp_path / ".continue" / "config.yaml").write_text("models: []\n")
    found = nexoctl("import", "continue", "--dry-run")
    assert "pip install 'nexo-connections[import]'" in found.stdout
    opened = nexoctl("settings", "--no-start")
    assert opened.returncode == 3
    started = nexoctl("daemon", "start")
    assert started.returncode == 3
    assert "pip install 'nexo-connections[daemon]'" in started.stderr
    script = nexoctl("completion", "zsh")
    assert (script.returncode, script.stdout) == (1, "")
    assert "pip install 'nexo-connections[cli]'" in script.stderr
    # A script that an installation with the extra left behind: Tab must not run nexoctl without a command.
    pressed = nexoctl(_ARGCOMPLETE="1", COMP_LINE="nexoctl ", COMP_POINT="8")
    assert (pressed.returncode, pressed.stdout) == (1, "")
    assert "argcomplete" in pressed.stderr
    # On a terminal, too, though rich is missing; doctor prints lines of every style.
    with Typist(
        [*program, "doctor"], env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}, cwd=tmp_path
    ) as person:
        person.expect("daemon")
        assert person.wait() != 0
        assert "Traceback" not in person.text
        assert "\x1b" not in person.raw
