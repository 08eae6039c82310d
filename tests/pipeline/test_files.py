import contextlib
import hashlib
from pathlib import Path

from pipeline.files import replacing, sha256_of, write_json


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    write_json(path, {"a": 1})
    before = path.read_bytes()
    with contextlib.suppress(RuntimeError), replacing(path) as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_digest_is_that_of_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "new" / "data"
    with replacing(path) as temporary:
        temporary.write_bytes(b"slices")
    assert sha256_of(path) == hashlib.sha256(b"slices").hexdigest()
