"""The examples run where their framework is installed, and are checked where not."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import inspect
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import mri_contrast
from tests.client.small_server import SmallServer, ball

EXAMPLES = Path(__file__).parents[2] / "serving" / "client" / "examples"


def sources() -> dict[str, str]:
    """The Python in each example."""
    found = {p.name: p.read_text("utf-8") for p in EXAMPLES.glob("*.py")}
    for path in EXAMPLES.glob("*.ipynb"):
        found[path.name] = "\n".join(cells(path))
    return found


def cells(notebook: Path) -> list[str]:
    content = json.loads(notebook.read_text("utf-8"))
    return [c["source"] for c in content["cells"] if c["cell_type"] == "code"]


def test_all_of_them_are_looked_at() -> None:
    assert set(sources()) == {
        "celery_task.py",
        "django_upload.py",
        "fastapi_upload.py",
        "notebook.ipynb",
    }


@pytest.mark.parametrize(("name", "source"), sources().items())
def test_an_example_asks_for_nothing_that_is_not_there(name: str, source: str) -> None:
    """Names imported from the package, and calls of the client with their arguments."""
    tree = ast.parse(source, name)
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "mri_contrast"
        for alias in node.names
    }
    assert imported & {"Client", "AsyncClient"}
    assert imported <= set(mri_contrast.__all__)
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "client"
    ]
    assert calls
    for call in calls:
        assert isinstance(call.func, ast.Attribute)
        method = getattr(mri_contrast.Client, call.func.attr)
        named = {keyword.arg: None for keyword in call.keywords if keyword.arg}
        inspect.signature(method).bind(None, *call.args, **named)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallServer]:
    with SmallServer() as server:
        monkeypatch.setenv("MRI_SERVER", server.target)
        yield server


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def files(nifti: Callable[..., Path]) -> dict[str, bytes]:
    return {
        name: nifti(ball(name), f"{name}.nii.gz").read_bytes()
        for name in ("T1", "FLAIR", "other")
    }


def test_fastapi_takes_an_upload_and_refuses_a_swapped_one(
    small: SmallServer, files: dict[str, bytes]
) -> None:
    pytest.importorskip("fastapi", reason="fastapi is not installed")
    pytest.importorskip("multipart", reason="python-multipart is not installed")
    from fastapi.testclient import TestClient

    with TestClient(load("fastapi_upload").app) as web:

        def post(t1: str, flair: str) -> Any:
            given = {"t1": ("a.nii.gz", files[t1]), "flair": ("b.nii.gz", files[flair])}
            return web.post("/uploads", files=given)

        assert post("T1", "FLAIR").json() == {"accepted": True, "checked": True}
        refused = post("FLAIR", "T1")
        assert refused.status_code == 422
        assert refused.json()["detail"]["swapped"] == {"T1": "FLAIR", "FLAIR": "T1"}
        small.stop()
        later = post("T1", "FLAIR").json()
    assert later == {
        "accepted": True,
        "checked": False,
        "reason": "ServerUnavailable",
    }


def test_django_tells_the_user_what_is_wrong(
    small: SmallServer, files: dict[str, bytes]
) -> None:
    pytest.importorskip("django", reason="django is not installed")
    from django.conf import settings
    from django.core.exceptions import ValidationError
    from django.core.files.uploadedfile import SimpleUploadedFile

    if not settings.configured:
        settings.configure()
    with contextlib.closing(load("django_upload").client):
        field = load("django_upload").ScanField(expected="T1")
        good = SimpleUploadedFile("a.nii.gz", files["T1"])
        assert field.clean(good).read() == files["T1"], "from its start again"
        with pytest.raises(ValidationError, match="looks like FLAIR"):
            field.clean(SimpleUploadedFile("b.nii.gz", files["FLAIR"]))
        with pytest.raises(ValidationError, match="cannot be used"):
            field.clean(SimpleUploadedFile("c.nii.gz", b"no scan"))
        small.stop()
        assert field.clean(SimpleUploadedFile("b.nii.gz", files["FLAIR"]))


def test_celery_keeps_a_verdict(
    small: SmallServer,
    nifti: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("celery", reason="celery is not installed")
    monkeypatch.setenv("MRI_AUDIT", str(tmp_path / "audit.jsonl"))
    task = load("celery_task")
    scan = str(nifti(ball("FLAIR")))
    kept = task.identify.apply(args=(scan, "T1")).get()
    assert (kept["verdict"], kept["looks_like"]) == ("wrong slot", "FLAIR")
    assert json.loads(json.dumps(kept)) == kept
    missing = task.identify.apply(args=(str(tmp_path / "none.nii"), "T1")).get()
    assert missing["verdict"] == "not usable"


def test_the_notebook_runs_from_top_to_bottom(
    small: SmallServer, nifti: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    matplotlib.use("Agg")
    scan = nifti(ball("T2"), "a.nii")
    monkeypatch.setenv("MRI_SCANS", str(scan.parent))
    names: dict[str, Any] = {}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for number, cell in enumerate(cells(EXAMPLES / "notebook.ipynb")):
            exec(compile(cell, f"cell {number}", "exec"), names)
    names["client"].close()
    assert printed.getvalue() == f"{scan.parent} None T2\n"
    assert names["figure"].get_suptitle().startswith("T2 9")


@pytest.mark.skipif(os.name != "posix", reason="a shell of POSIX")
def test_the_shell_loop_writes_a_table_and_goes_on_after_a_broken_file(
    small: SmallServer, nifti: Callable[..., Path], tmp_path: Path
) -> None:
    command = Path(sys.executable).with_name("mri-contrast")
    if not command.exists():
        pytest.skip("the command is not installed beside this Python")
    folder = nifti(ball("T1"), "a.nii.gz").parent
    nifti(ball("FLAIR"), "b.nii.gz")
    (folder / "c.nii.gz").write_bytes(b"broken")
    table = tmp_path / "contrasts.jsonl"
    done = subprocess.run(
        ["sh", str(EXAMPLES / "identify_folder.sh"), str(folder), str(table)],
        env={**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    rows = [json.loads(line) for line in table.read_text().splitlines()]
    assert [row["contrast"] for row in rows] == ["T1", "FLAIR", None]
    said = [line.split("\t")[0] for line in done.stdout.splitlines() if "\t" in line]
    assert said == ["T1", "not T1", "not T1"]
