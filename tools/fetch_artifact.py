#!/usr/bin/env python3
"""Prints the path of an artefact of third_party/LOCK, downloaded once with pip into the cache and verified each time.

usage: tools/fetch_artifact.py PACKAGE [--field version|sha256]
"""

import argparse
import fcntl
import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile

LOCK = pathlib.Path(__file__).resolve().parent.parent / "third_party" / "LOCK"
DOWNLOAD_TIMEOUT_S = 900


class FetchError(Exception):
    pass


def cache_root():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return pathlib.Path(base) / "llmd"


def locked(package):
    for line in LOCK.read_text().splitlines():
        fields = line.split(None, 4)
        if line.startswith("#") or not fields:
            continue
        kind, name, version, sha256, _ = fields
        if name == package:
            return kind, version, sha256
    raise FetchError(f"{package} is not in third_party/LOCK; add it there with its version and sha256")


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def pip_download(kind, package, version, sha256, folder):
    """Lets pip check the hash too: before it runs the build backend of a source package to read its metadata."""
    binary = ["--only-binary", ":all:"] if kind == "pypi-wheel" else ["--no-binary", package]
    print(f"fetching {package} {version} with pip", file=sys.stderr, flush=True)
    how = "check the network and pip's index setting, or install python3-pip with tools/install.sh"
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as requirements:
        requirements.write(f"{package}=={version} --hash=sha256:{sha256}\n")
        requirements.flush()
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--disable-pip-version-check"]
        command += ["--require-hashes", "--dest", str(folder), *binary, "--requirement", requirements.name]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, timeout=DOWNLOAD_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise FetchError(f"{package} {version} did not arrive within {DOWNLOAD_TIMEOUT_S} s; {how}") from error
    files = list(folder.iterdir())
    if done.returncode != 0 or len(files) != 1:
        raise FetchError(
            f"{package} {version} with sha256 {sha256} cannot be fetched (pip exit {done.returncode}, its reason is "
            f"above); {how}"
        )
    return files[0]


def fetch(package):
    kind, version, sha256 = locked(package)
    folder = cache_root() / "downloads" / f"{package}-{version}-{sha256[:12]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for path in folder.glob("*"):
            if sha256_of(path) == sha256:
                return path
            path.unlink()
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            path = pip_download(kind, package, version, sha256, pathlib.Path(temporary))
            found = sha256_of(path)
            if found != sha256:
                raise FetchError(
                    f"{path.name} has sha256 {found}, third_party/LOCK says {sha256}: the package index has other bytes"
                )
            folder.mkdir(exist_ok=True)
            return path.replace(folder / path.name)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package")
    parser.add_argument("--field", choices=["version", "sha256"])
    arguments = parser.parse_args()
    try:
        if arguments.field:
            _, version, sha256 = locked(arguments.package)
            print(version if arguments.field == "version" else sha256)
        else:
            print(fetch(arguments.package))
    except (FetchError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
