"""Make `.venv-NAME` beside the project for an engine of reinforcement learning: the real package, for the CPU.

    python tests/engines/install.py                 # all of them
    python tests/engines/install.py trl verl        # these
    python tests/engines/install.py --force trl     # again from nothing

An environment lies over `.venv` (`make setup`): what is not pinned otherwise, torch above all, is taken from there, so
that one costs seconds and some hundred MB. Agent Lightning needs Python 3.12, which has to be there; its environment is
its server's alone, and nothing of ours is in it. OpenRLHF asks for CUDA packages; it is installed without its
dependencies, of which its executors need none.

From nothing, with `.venv` there, on two cores that others used too: trl 16 s and 105 MB, verifiers 13 s and 130 MB,
skyrl 32 s and 86 MB, verl 108 s and 666 MB, agent_lightning 29 s and 95 MB, openrlhf 20 s. Should a newer release of
something break one of them: they worked with torch 2.13.0, transformers 5.24.0 (verl: 5.10.4), accelerate 1.15.0,
datasets 5.2.0, ray 2.60.0, tensordict 0.10.0, openai 2.54.0 and fastapi 0.165.0.
"""

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
BASE = ROOT / ".venv"


class Engine(NamedTuple):
    """What an environment is made of."""

    packages: tuple[str, ...]
    check: str
    """Module that has to be importable in the end."""
    alone: tuple[str, ...] = ()
    """Packages that are installed without their dependencies."""
    python: str = ""
    """Minor version of an interpreter of its own; it lies over `.venv` when empty."""


ENGINES = {
    "trl": Engine(("trl==1.16.0",), "trl.trainer.grpo_trainer"),
    "verifiers": Engine(("verifiers==0.4.0",), "verifiers.v1"),
    "skyrl": Engine(("skyrl-gym==0.4.0",), "skyrl_gym"),
    "verl": Engine(
        ("verl==0.9.1", "TransferQueue==0.1.11", "cachetools", "uvicorn", "fastapi", "aiohttp"),
        "verl.trainer.ppo.core_algos",
    ),
    "openrlhf": Engine(("pylatexenc==2.11",), "openrlhf.utils.agent", alone=("openrlhf==0.11.2",)),
    "agent_lightning": Engine(("agentlightning==1.0.2",), "agentlightning.server.app", python="3.12"),
}


def environment(name: str) -> Path:
    """The folder of an engine's environment."""
    return ROOT / f".venv-{name}"


def fingerprint(engine: Engine) -> str:
    """What an environment is made from, and how long ago what it lies over was made."""
    base = "" if engine.python else f", over {(BASE / '.installed').stat().st_mtime_ns}"
    return ", ".join([engine.python or sys.version.split()[0], *engine.packages, *engine.alone]) + base


def interpreter(version: str) -> str:
    """An interpreter of this minor version.

    Raises:
        FileNotFoundError: there is none.
    """
    known = [str(path) for path in sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))]
    found = [*known, *filter(None, [shutil.which(f"python{version}")])]  # a shim of pyenv may be a name and no more
    if not found:
        raise FileNotFoundError(f"no python{version} on the path")
    return found[0]


def run(*command: str | Path) -> None:
    """Run a command; what it says is shown only when it fails.

    Raises:
        CalledProcessError: it failed.
    """
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)
    if done.returncode != 0:
        print("\n".join(done.stdout.splitlines()[-40:]), file=sys.stderr)
    done.check_returncode()


def install(name: str) -> None:
    """Make an environment and prove that its engine can be imported.

    Raises:
        CalledProcessError: a step failed.
        FileNotFoundError: there is no `.venv` to lie over, or no interpreter.
    """
    engine, folder, began = ENGINES[name], environment(name), time.monotonic()
    python = folder / "bin" / "python"
    shutil.rmtree(folder, ignore_errors=True)
    if engine.python:
        run(interpreter(engine.python), "-m", "venv", folder)
    else:
        if not (BASE / "bin" / "python").exists():
            raise FileNotFoundError("no .venv to lie over: run `make setup` first")
        run(BASE / "bin" / "python", "-m", "venv", "--without-pip", folder)
        places = [next(each.glob("lib/python*/site-packages")) for each in (folder, BASE)]
        (places[0] / "_base.pth").write_text(f"import site; site.addsitedir({str(places[1])!r})\n", encoding="utf-8")
    pip = (python, "-m", "pip", "install", "--no-input")
    run(*pip, *engine.packages)
    if engine.alone:
        run(*pip, "--no-deps", *engine.alone)
    run(python, "-c", f"import {engine.check}")
    (folder / "installed.txt").write_text(fingerprint(engine) + "\n", encoding="utf-8")
    print(f"{name} is ready in {folder.name} after {time.monotonic() - began:.0f} s", flush=True)


def main() -> int:
    """Exit status: 0 when the environments are there, 1 when one could not be made."""
    parser = argparse.ArgumentParser(description="Install engines of reinforcement learning, each for itself.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(ENGINES))
    parser.add_argument("--force", action="store_true", help="start from nothing")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in ENGINES]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there is {', '.join(ENGINES)}")
    failed = False
    for name in options.names or ENGINES:
        stamp = environment(name) / "installed.txt"
        try:
            if not options.force and stamp.is_file() and stamp.read_text().strip() == fingerprint(ENGINES[name]):
                print(f"{name} is up to date")
                continue
            install(name)
        except (subprocess.CalledProcessError, OSError, StopIteration) as exc:
            print(f"{name} could not be installed ({exc})", file=sys.stderr)
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
