"""How each function's process is started: command, path and environment.

The environment is what the template gives, plus what Lambda sets itself, plus the standard overrides that point an AWS
client at the local endpoints. Nothing of ours is passed through, so a variable missing in the template is missing here.
"""

import importlib.util
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from local.declared import Function
from local.state import PROJECT
from local.template import REGION, TemplateError
from local.workers import Launch

# Fake credentials: moto takes any; the RDS token that they sign is not looked at.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIALOCALSTACK000000",
    "AWS_SECRET_ACCESS_KEY": "local-stack-secret",
    "AWS_SESSION_TOKEN": "local-stack-token",
}
# The only differences in functions' settings between AWS and here: the local Postgres is built without TLS, and an
# issuer of tokens on this machine may do without.
LOCAL_SETTINGS = {"DATABASE_TLS": "disable", "OIDC_TLS": "not-on-loopback"}
# What the managed Python runtime brings along, beside the standard library.
RUNTIME_MODULES = (
    "awslambdaric",
    "runtime_client",
    "simplejson",
    "snapshot_restore_py",
    "boto3",
    "botocore",
    "s3transfer",
    "jmespath",
    "dateutil",
    "six",
    "urllib3",
)


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    """Where functions find AWS: moto for nearly all of it, and the stack's own Lambda Invoke API."""

    aws: str
    s3: str
    lambda_api: str


def build_launch(function: Function, *, endpoints: Endpoints, logs: Path, source: Path | None, runtime: Path) -> Launch:
    """The launch of one function.

    `source`: the folder that functions run from in the work tree; None runs what `sam build` made, where only the
    artefact, its layers and `runtime` (see `make_runtime_folder`) are importable, as in AWS.
    """
    folder = source or function.code
    if not folder.is_dir():
        raise TemplateError(f"{function.logical_id}: there is no code at {folder}")
    path = [str(folder)]
    isolation: tuple[str, ...] = ()
    if source is None:
        path += [str(layer / "python") for layer in function.layers]
        path.append(str(runtime))
        isolation = ("-S",)  # without this environment's site-packages
    return Launch(
        command=(sys.executable, *isolation, "-m", "awslambdaric", function.handler),
        environment=build_environment(function, endpoints=endpoints, task_root=folder, path=path),
        directory=folder,
        log=logs / f"{function.logical_id}.log",
    )


def build_environment(
    function: Function, *, endpoints: Endpoints, task_root: Path, path: Iterable[str]
) -> dict[str, str]:
    """All environment variables of a function's process but AWS_LAMBDA_RUNTIME_API, which differs for each worker."""
    overrides = {name: value for name, value in LOCAL_SETTINGS.items() if name in function.environment}
    lambda_own = {
        "_HANDLER": function.handler,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": function.log_format,
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "local",
        "AWS_REGION": REGION,
        "LAMBDA_TASK_ROOT": str(task_root),
        "LANG": "en_US.UTF-8",
        "PATH": os.defpath,
        "PYTHONPATH": os.pathsep.join(path),
        "TZ": ":UTC",
        **CREDENTIALS,
    }
    if function.log_level is not None:
        lambda_own["AWS_LAMBDA_LOG_LEVEL"] = function.log_level
    return {**function.environment, **overrides, **lambda_own, **_endpoint_variables(function, endpoints)}


def _endpoint_variables(function: Function, endpoints: Endpoints) -> dict[str, str]:
    """Inside the VPC only S3 can be reached: anything else must fail here too, as it would there."""
    if function.inside_vpc:
        return {"AWS_ENDPOINT_URL_S3": endpoints.s3}
    return {
        "AWS_ENDPOINT_URL": endpoints.aws,
        "AWS_ENDPOINT_URL_S3": endpoints.s3,
        "AWS_ENDPOINT_URL_LAMBDA": endpoints.lambda_api,
    }


def make_runtime_folder(folder: Path) -> Path:
    """Fills a folder with links to what Lambda's Python runtime itself brings, and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in RUNTIME_MODULES:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            continue  # runtime_client is missing where awslambdaric has no compiled client
        origin = Path(spec.origin)
        source = origin.parent if origin.name == "__init__.py" else origin
        link = folder / source.name
        if not link.exists():
            link.symlink_to(source)
    return folder


def build_helper_environment() -> dict[str, str]:
    """For our own helper processes: nothing of AWS, so that nothing can reach a real account."""
    return {
        "PATH": os.defpath,
        "PYTHONPATH": os.pathsep.join([str(PROJECT), *filter(None, sys.path)]),
        "AWS_DEFAULT_REGION": REGION,
        **CREDENTIALS,
    }
