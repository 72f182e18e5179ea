"""Applies templates of mails from files by the API."""

from pathlib import Path

from admin.calls import call_api, check_url
from admin.template_files import read_folder


def check_templates(folder: Path) -> None:
    """Reads all files, and tells what they hold. Raises `TemplateFilesError`."""
    files = read_folder(folder)
    for file in files:
        print(f"{file.name}: {file.template['subject']}")
    print(f"{len(files)} templates of {folder} are well formed")


def apply_templates(folder: Path, url: str, key: str, *, dry_run: bool = False) -> None:
    """Sends all to the API, whose `url` ends in /api/v1, and tells of each what changed; of a dry run what would.

    Raises `TemplateFilesError` before anything is sent, or `CallError`: those before it are applied, and to apply them
    again does no harm.
    """
    files = read_folder(folder)
    base = check_url(url)
    for file in files:
        url = f"{base}/templates/{file.name}"
        method, asked = ("POST", f"{url}/dry-run") if dry_run else ("PUT", url)
        saved = call_api(method, asked, key, file.template)[1]["results"]
        if not saved["changed"]:
            print(f"unchanged  {file.name}, version {saved['version']}")
        elif saved["version"] == 1:
            print(f"{'new' if dry_run else 'created':<9}  {file.name}, version 1")
        else:
            parts = ", ".join(saved["parts"])
            print(f"{'differs' if dry_run else 'changed':<9}  {file.name}, version {saved['version']}: {parts}")
