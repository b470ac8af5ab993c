"""The committed code is the code that protos/ describes."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.skipif(
    importlib.util.find_spec("grpc_tools") is None, reason="the compiler is a development tool"
)
@pytest.mark.parametrize("suffix", ["py", "pyi"])
def test_the_generated_code_matches_the_protos(tmp_path: Path, suffix: str):
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT / 'protos'}",
               f"--python_out={tmp_path}", f"--pyi_out={tmp_path}", "store.proto"]  # fmt: skip
    subprocess.run(command, check=True, cwd=ROOT)
    committed = ROOT / "scheduler/store" / f"store_pb2.{suffix}"
    assert committed.read_text() == (tmp_path / committed.name).read_text(), "run `make protos`"
