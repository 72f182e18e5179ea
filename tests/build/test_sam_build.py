"""`sam build` makes what Lambda can run, for either processor, without an AWS account."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from s3_loader.library import LIBRARY
from tests.template.conftest import ROOT, read_template
from tests.template.reading import list_lazy, read_needs

pytestmark = pytest.mark.build

# e_machine, https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html
ELF_MACHINES = {"arm64": 183, "x86_64": 62}

# What Lambda's runtime brings, with its dependencies.
RUNTIME_MODULES = ("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six.py", "urllib3")

# Lambda unzips at most this much for a function and its layers.
LAMBDA_LIMIT_BYTES = 250 * 1024 * 1024

FUNCTIONS = {
    name: resource["Properties"]
    for name, resource in read_template()["Resources"].items()
    if resource["Type"] == "AWS::Serverless::Function"
}


def get_environment(**more: str) -> dict[str, str]:
    """Return this process's environment without anything that leads to AWS."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAM_"))}
    return {**kept, "SAM_CLI_TELEMETRY": "0", "SAM_CLI_CHECK_VERSION": "0", **more}


def build(folder: Path, *options: str) -> Path:
    """Run `sam build` into a folder."""
    command = [str(Path(sys.executable).with_name("sam")), "build", "--build-dir", str(folder), *options]
    done = subprocess.run(
        command, check=False, cwd=ROOT, env=get_environment(), capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session", params=sorted(ELF_MACHINES))
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A processor and what was built for it. arm64 is what comes of asking for nothing."""
    architecture: str = request.param
    options = () if architecture == "arm64" else ("--parameter-overrides", f"Architecture={architecture}")
    return architecture, build(tmp_path_factory.mktemp(architecture), *options)


def list_files(folder: Path, pattern: str) -> list[Path]:
    """Return the files of a name anywhere in a folder."""
    return [path for path in folder.rglob(pattern) if path.is_file()]


def test_machine_code_is_for_the_processor(built: tuple[str, Path]) -> None:
    """Every shared object is of the machine that the function will run on."""
    architecture, folder = built
    objects = list_files(folder, "*.so*")
    assert {"psycopg2", "zstandard"} <= {path.parent.name for path in objects}
    for path in objects:
        header = path.read_bytes()[:20]
        assert header[:4] == b"\x7fELF", path
        assert int.from_bytes(header[18:20], "little") == ELF_MACHINES[architecture], path


def test_loaders_library_is_in_its_layer(built: tuple[str, Path]) -> None:
    """Compiled for either processor by whatever machine builds, with nothing in it that Amazon Linux 2023 lacks."""
    _, folder = built
    library = (folder / "PostgresLayer" / "python" / LIBRARY).read_bytes()
    assert b"regular_render" in library
    versions = {tuple(map(int, found.split(b"."))) for found in re.findall(rb"GLIBC_(\d+\.\d+)", library)}
    assert versions
    assert max(versions) <= (2, 34)


def test_every_function_is_built(built: tuple[str, Path]) -> None:
    """Each artefact has its handler; the built template points at it."""
    _, folder = built
    template = yaml.load((folder / "template.yaml").read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    for name, properties in FUNCTIONS.items():
        *module, _function = properties["Handler"].split(".")
        assert folder.joinpath(name, *module).with_suffix(".py").is_file()
        assert template["Resources"][name]["Properties"]["CodeUri"] == name


def test_migrations_go_with_their_function(built: tuple[str, Path]) -> None:
    """MigrateDatabase carries every migration."""
    _, folder = built
    written = sorted(path.name for path in (ROOT / "sql" / "migrations").glob("*.sql"))
    assert written
    assert sorted(path.name for path in (folder / "MigrateDatabase" / "sql" / "migrations").glob("*.sql")) == written


def test_mappings_go_with_the_providers(built: tuple[str, Path]) -> None:
    """Each function that has the providers has the mappings too."""
    _, folder = built
    written = sorted(path.name for path in (ROOT / "functions" / "providers" / "mappings").glob("*.json"))
    assert written
    with_providers = [name for name in FUNCTIONS if (folder / name / "providers").is_dir()]
    assert {"WebhookListener", "S3Loader", "QueryEvents"} <= set(with_providers)
    for name in with_providers:
        assert sorted(path.name for path in (folder / name / "providers" / "mappings").glob("*.json")) == written


def test_certificates_are_where_the_functions_look(built: tuple[str, Path]) -> None:
    """Lambda mounts the layer at /opt, where DATABASE_CA_FILE says."""
    _, folder = built
    (setting,) = {
        properties["Environment"]["Variables"]["DATABASE_CA_FILE"]
        for properties in FUNCTIONS.values()
        if "DATABASE_CA_FILE" in properties["Environment"]["Variables"]
    }
    assert (folder / "PostgresLayer" / Path(setting).relative_to("/opt")).is_file()


def test_nothing_needless_is_shipped(built: tuple[str, Path]) -> None:
    """No tests, no caches of another Python, and well within Lambda's limit."""
    _, folder = built
    names = {path.name for path in folder.rglob("*")}
    assert not names & {"tests", ".pytest_cache", ".mypy_cache"}
    assert not [path for path in list_files(folder, "*.pyc") if ".cpython-313." not in path.name]
    layers = sum(
        path.stat().st_size
        for name in ("PostgresLayer", "WebLayer", "SignaturesLayer", "MailLayer")
        for path in list_files(folder / name, "*")
    )
    assert layers < LAMBDA_LIMIT_BYTES / 2


@pytest.mark.skipif(sys.version_info[:2] != (3, 13), reason="only Python 3.13 compiles for Lambda's Python 3.13")
def test_everything_is_compiled(built: tuple[str, Path]) -> None:
    """Each module has a .pyc that is used without a look at its source (flags 1: hash, not checked; PEP 552)."""
    _, folder = built
    for source in list_files(folder, "*.py"):
        compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"
        assert compiled.is_file(), source
        assert int.from_bytes(compiled.read_bytes()[4:8], "little") == 1, source


@pytest.mark.skipif(
    sys.version_info[:2] != (3, 13) or platform.system() != "Linux", reason="the artefacts are for Python 3.13 on Linux"
)
@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_artefact_imports_on_its_own(built: tuple[str, Path], name: str, tmp_path: Path) -> None:
    """With nothing but the runtime, its artefact and its layers, a function imports all that it imports."""
    architecture, folder = built
    if architecture != {"x86_64": "x86_64", "aarch64": "arm64"}[platform.machine()]:
        pytest.skip("built for another processor")
    package = FUNCTIONS[name]["Handler"].partition(".")[0]
    layers = [folder / layer["Ref"] / "python" for layer in FUNCTIONS[name].get("Layers", [])]
    needs = read_needs(package)
    # What parses in the providers' files is never imported by the listener.
    ours = needs.modules if layers and name != "WebhookListener" else needs.modules_at_load
    modules = sorted(ours | needs.third_party | list_lazy(name, needs))
    for module in RUNTIME_MODULES:
        (tmp_path / module).symlink_to(Path(sysconfig.get_path("purelib")) / module)
    script = "import importlib, sys\nfor module in sys.argv[1:]: importlib.import_module(module)"
    paths = os.pathsep.join(map(str, [folder / name, *layers, tmp_path]))
    done = subprocess.run(
        [sys.executable, "-S", "-B", "-c", script, *modules],
        check=False,
        env=get_environment(PYTHONPATH=paths, AWS_REGION="eu-central-1"),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_builds_are_repeatable(built: tuple[str, Path], tmp_path: Path) -> None:
    """The same source gives the same artefact, so that a deploy without a change changes nothing."""
    architecture, folder = built
    again = build(tmp_path, "StartMigration", "--parameter-overrides", f"Architecture={architecture}")
    assert read_contents(again / "StartMigration") == read_contents(folder / "StartMigration")


def read_contents(folder: Path) -> Mapping[Path, bytes]:
    """Return every file's content by its path in the folder."""
    return {path.relative_to(folder): path.read_bytes() for path in list_files(folder, "*")}
