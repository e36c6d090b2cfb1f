"""A landing place that several machines share: a folder at any address that fsspec knows (S3, Google Cloud, Azure, a mounted disk).

Whole files only, in and out, each checked by its hash when it comes back. Which files should be where is decided in `shared.py`. fsspec and
its packages are imported when a store is first used; credentials are theirs to find, in the environment or their own configuration.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from soundscope.errors import BadInput, DiskFull, SoundScopeError

log = logging.getLogger(__name__)
T = TypeVar("T")
# Seconds before each further attempt; the clients of the stores try again by themselves as well, within each.
PATIENCE_S = (0.5, 2.0, 6.0)
# An object there is seen whole or not at all; elsewhere a file is written aside and renamed.
_WHOLE_OBJECTS = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss"}
_EXTRAS = {"s3": "s3", "s3a": "s3"}
_QUERY = re.compile(r"\?\S+")


class StoreUnreachable(SoundScopeError):
    """The shared store did not answer, or refused; nothing is lost, because landed files stay on this machine until it has them."""


class StoreLacks(SoundScopeError):
    """The shared store has no such file, or its bytes are others."""


class Store:
    """Files below one address.

    Args:
        url: as s3://bucket/prefix or file:///mnt/shared.
        sleep: waits between attempts.
    """

    def __init__(self, url: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self.url = url
        self._sleep = sleep
        self._opened: tuple[Any, str] | None = None

    def put(self, file: Path, name: str) -> None:
        """Copy a file into the store under a name, whole; one that is there is replaced.

        Raises:
            StoreUnreachable: the store did not take it.
        """

        def copy(fs: Any, root: str) -> None:
            target = f"{root}/{name}"
            if _is_object_store(fs):
                fs.put_file(str(file), target)
                return
            aside = f"{target}.{uuid.uuid4().hex[:8]}.incoming"
            fs.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
            try:
                fs.put_file(str(file), aside)
                fs.mv(aside, target)
            except BaseException:
                with suppress(OSError):
                    fs.rm_file(aside)
                raise

        if not file.exists():
            raise SoundScopeError(f"{file} is gone before it was copied to {self.url}.", next_step="soundscope doctor --fix")
        self._try(f"copying {name} to it", copy)

    def get(self, name: str, file: Path, sha256: str | None) -> None:
        """Bring a file from the store; it is seen under its name only once it is whole and its hash is right.

        Args:
            name: in the store.
            file: where it goes; one that is there is replaced.
            sha256: what its hash must be; None where nobody knows.
        Raises:
            StoreLacks: it is not there, or its bytes are others.
            StoreUnreachable: the store did not answer.
        """
        aside = file.with_name(file.name + ".incoming")
        file.parent.mkdir(parents=True, exist_ok=True)

        def copy(fs: Any, root: str) -> str:
            try:
                fs.get_file(f"{root}/{name}", str(aside))
            except FileNotFoundError as error:
                if "bucket does not exist" in str(error):
                    raise OSError(str(error)) from error
                raise _lacks(self.url, name, "it is not there") from error
            with aside.open("rb") as handle:
                os.fsync(handle.fileno())
                return hashlib.file_digest(handle, "sha256").hexdigest()

        try:
            found = self._try(f"bringing {name} from it", copy)
            if sha256 is not None and found != sha256:
                raise _lacks(self.url, name, f"its SHA-256 is {found[:12]}…, not {sha256[:12]}…")
            os.replace(aside, file)
        finally:
            aside.unlink(missing_ok=True)

    def remove(self, names: Sequence[str]) -> None:
        """Remove files from the store; those that are not there are no trouble.

        Raises:
            StoreUnreachable: the store did not answer.
        """

        def drop(fs: Any, root: str) -> None:
            for name in names:
                with suppress(FileNotFoundError):
                    fs.rm_file(f"{root}/{name}")

        if names:
            self._try(f"removing {len(names)} files from it", drop)

    def sizes(self, folder: str = "") -> dict[str, int]:
        """Bytes of every file in the store, or in one folder of it, by name.

        Raises:
            StoreUnreachable: the store did not answer.
        """

        def look(fs: Any, root: str) -> dict[str, int]:
            found = fs.find(f"{root}/{folder}".rstrip("/"), detail=True)
            if not found and not folder and _is_object_store(fs):
                # Nothing there looks like no bucket, so the bucket is asked about by itself.
                fs.ls(root.split("/", 1)[0], detail=False)
            cut = len(root) + 1
            return {path[cut:]: int(info["size"] or 0) for path, info in found.items() if not path.endswith(".incoming")}

        return self._try("listing it", look)

    def ready(self) -> tuple[Any, str]:
        """The client of the store and the folder in it; nothing is asked yet.

        Raises:
            BadInput: fsspec knows no such address, or the package for it is not installed.
        """
        if self._opened is None:
            import fsspec

            protocol = self.url.partition("://")[0]
            try:
                made = fsspec.filesystem(protocol, use_listings_cache=False, skip_instance_cache=True)
            except ImportError as error:
                extra = _EXTRAS.get(protocol)
                how = f"make setup EXTRAS=app,dev,postgres,{extra}" if extra else "install the package that it names"
                raise BadInput(f"The shared store {self.url} needs a package: {error}.", next_step=f"{how}.") from error
            except ValueError as error:
                raise BadInput(
                    f"The shared store {self.url}: {error}.", next_step="correct [landing] store; s3:// and file:// are usual."
                ) from error
            self._opened = made, str(made._strip_protocol(self.url)).rstrip("/")
        return self._opened

    def _open(self) -> tuple[Any, str]:
        fs, root = self.ready()
        if not _is_object_store(fs) and not fs.isdir(root):
            # Making it would fill the folder below where a disk should be mounted.
            raise FileNotFoundError(f"there is no folder {root}")
        return fs, root

    def _try(self, doing: str, work: Callable[[Any, str], T]) -> T:
        for wait_s in (*PATIENCE_S, None):
            try:
                return work(*self._open())
            except SoundScopeError:
                raise
            except Exception as error:
                said = _QUERY.sub("?…", str(error).splitlines()[0] if str(error) else type(error).__name__)
                if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                    raise DiskFull(f"{doing.capitalize()} failed: {said}.", next_step="free some space and run again.") from error
                if wait_s is None or isinstance(error, PermissionError):
                    raise StoreUnreachable(
                        f"The shared store {self.url} cannot be used, {doing}: {said}.",
                        next_step="check that it is there and what your credentials allow (soundscope doctor), then run again: what was landed "
                        "is kept on this machine, is not fetched twice, and is copied then.",
                    ) from error
                log.warning("the shared store %s, %s: %s; trying again in %g s", self.url, doing, said, wait_s)
                self._sleep(wait_s)
        raise AssertionError("the last attempt returns or raises")


def _lacks(url: str, name: str, what: str) -> StoreLacks:
    return StoreLacks(
        f"The shared store {url} has no usable {name}: {what}.",
        next_step="the next run on a machine that has it copies it again; if none has, soundscope doctor --fix forgets it.",
    )


def _is_object_store(fs: Any) -> bool:
    said = fs.protocol if isinstance(fs.protocol, tuple | list) else (fs.protocol,)
    return bool(_WHOLE_OBJECTS & set(said))
