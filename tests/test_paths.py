"""Cache folders that only their user can write to, files that are whole or not there, a lock per folder."""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from dnas import cli, paths
from dnas.errors import StorageError
from dnas.runs import loop

NOBODY = 65534


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_the_cache_folder_is_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for chosen in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", chosen)
        assert paths.cache_dir() == tmp_path / ".cache" / "dnas"
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert paths.cache_dir() == Path("/elsewhere/dnas")


def test_it_lies_beside_no_data(monkeypatch, tmp_path, cache):
    monkeypatch.setenv("DNAS_DATA_DIR", str(tmp_path / "data"))
    assert paths.private("programs") == cache / "dnas" / "programs"


def test_a_private_folder_is_private(cache):
    before = os.umask(0)
    try:
        folder = paths.private("xla")
    finally:
        os.umask(before)
    assert {mode(path) for path in (folder, folder.parent, cache)} == {0o700}
    folder.chmod(0o755)
    assert paths.private("xla") == folder and mode(folder) == 0o700


def test_a_user_with_a_home_that_is_a_link_has_one(cache, tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "link" / "cache"))
    assert paths.private("xla") == cache / "dnas" / "xla"  # what is used is no link, which could be moved


def as_a_file(folder):
    folder.parent.mkdir(parents=True)
    folder.touch()


def as_a_link(folder):
    folder.parent.mkdir(parents=True)
    (folder.parent / "elsewhere").mkdir()
    folder.symlink_to(folder.parent / "elsewhere")


def below_a_file(folder):
    folder.parent.parent.mkdir()
    folder.parent.touch()


def where_all_may_write(folder):
    folder.mkdir(parents=True)
    folder.parents[1].chmod(0o777)


def where_a_group_may_write(folder):
    folder.mkdir(parents=True)
    folder.parent.chmod(0o770)
    os.chown(folder.parent, -1, NOBODY)


REFUSED = {
    "a file": (as_a_file, "exists"),
    "a link": (as_a_link, "is no folder"),
    "below a file": (below_a_file, "Not a directory"),
    "where all may write": (where_all_may_write, "other users can change"),
    "where a group may write": (where_a_group_may_write, "other users can change"),
}


@pytest.mark.parametrize("how", REFUSED)
def test_a_folder_that_is_not_the_users_alone_is_refused(how, cache, capsys):
    make, reason = REFUSED[how]
    if make is where_a_group_may_write and os.geteuid():
        pytest.skip("only root can give a folder to a group that is not its own")
    make(cache / "dnas" / "xla")
    with pytest.raises(OSError, match=reason):
        paths.private("xla")
    assert [paths.cache_folder("xla") for _ in range(3)] == [None] * 3
    assert capsys.readouterr().err.count("No cache (") == 1  # one notice


def test_where_nothing_can_be_written_there_is_no_cache(cache, monkeypatch, capsys):
    def mkdir(self, *_, **__):
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "mkdir", mkdir)
    assert [paths.cache_folder(name) for name in ("xla", "programs", "native")] == [None] * 3
    assert capsys.readouterr().err.count("Read-only file system") == 1


def test_a_sticky_folder_of_all_is_safe(cache):
    cache.mkdir()
    cache.chmod(0o1777)
    assert paths.private("xla") == cache / "dnas" / "xla"


def test_a_group_of_ones_own_is_oneself(cache, monkeypatch):
    folder = paths.private("xla")
    folder.parent.chmod(0o770)
    monkeypatch.setattr(paths, "_alone_in", lambda group: group == folder.parent.stat().st_gid)
    assert paths.private("xla") == folder
    monkeypatch.setattr(paths, "_alone_in", lambda group: False)
    with pytest.raises(PermissionError):
        paths.private("xla")


def test_who_is_alone_in_a_group(monkeypatch):
    import grp
    import pwd

    user = pwd.getpwuid(os.geteuid())
    for name, members, alone in (
        (user.pw_name, [], True),
        (user.pw_name, [user.pw_name], True),
        (user.pw_name, ["mallory"], False),
        ("users", [], False),
    ):
        about = grp.struct_group((name, "x", 4242, members))
        monkeypatch.setattr(grp, "getgrgid", lambda group, about=about: about)
        assert paths._alone_in(4242) == alone
    monkeypatch.setattr(os, "geteuid", lambda: 4242424)
    assert not paths._alone_in(4242)


def test_a_folder_of_another_user_is_refused(cache, monkeypatch):
    paths.private("xla")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(PermissionError, match="belongs to another user"):
        paths.private("xla")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_nothing_of_another_user_is_in_or_around_a_private_folder(cache):
    folder = paths.private("xla")
    (folder / "planted").touch()
    os.chown(folder / "planted", NOBODY, -1)
    with pytest.raises(PermissionError, match="planted belongs to another user"):
        paths.private("xla")
    (folder / "planted").unlink()
    os.chown(cache, NOBODY, -1)
    with pytest.raises(PermissionError, match="other users can change what is in"):
        paths.private("xla")


def test_a_user_without_a_home_has_no_cache(monkeypatch, capsys):
    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    assert paths.cache_folder("xla") is None
    assert "this user has no home folder" in capsys.readouterr().err


@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_a_cache_that_is_a_link_to_itself_is_said(below, tmp_path, monkeypatch, capsys):
    for name, target in (("a", "b"), ("b", "a")):
        (tmp_path / name).symlink_to(tmp_path / target)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a" / below))
    assert paths.cache_folder("xla") is None
    said = capsys.readouterr().err
    assert "leads back to itself" in said and str(tmp_path) in said and said.count("\n") == 1


@pytest.mark.parametrize("name", ["XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR"])
@pytest.mark.parametrize("arguments", [["show", "DARTS_V2", "--png", "cells.png"], ["data"]], ids=["show", "data"])
def test_a_folder_of_the_user_that_is_a_link_to_itself_is_one_sentence(arguments, name, tmp_path, monkeypatch, capsys):
    (tmp_path / "a").symlink_to(tmp_path / "a")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, str(tmp_path / "a" / "cache"))
    assert cli.main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"dnas: {name} is ") and said.count("\n") == 1 and "leads back to itself" in said
    with pytest.raises(StorageError, match=name):
        loop.prepare_process()


def test_only_own_files_are_read(tmp_path, monkeypatch):
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_bytes(b"content")
    path.chmod(0o644)
    link.symlink_to(path)
    assert paths.read_own(path) == b"content"
    for bits in (0o664, 0o646):
        path.chmod(bits)
        with pytest.raises(PermissionError):
            paths.read_own(path)
    path.chmod(0o600)
    with pytest.raises(OSError):
        paths.read_own(link)
    with pytest.raises(OSError):
        paths.read_own(tmp_path)
    with pytest.raises(FileNotFoundError):
        paths.read_own(tmp_path / "nothing")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(PermissionError):
        paths.read_own(path)


def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PermissionError):
        paths.read_own(tmp_path / "pipe")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), paths.replaced(path) as part:
        part.write_text("ha")
        raise ZeroDivisionError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    with paths.replaced(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_what_replaces_is_on_the_disk_first(tmp_path, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: done.append("fsync") or fsync(file))
    monkeypatch.setattr(os, "replace", lambda *names: done.append("replace") or replace(*names))
    with paths.replaced(tmp_path / "file") as part:
        part.write_text("new")
    assert done == ["fsync", "replace"]


HOLD = """
import sys, time
from pathlib import Path
from dnas import cli, paths
from dnas.runs import loop

with paths.locked(Path(sys.argv[1]), "a search"):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_folder_has_one_process(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"locked\n"
        with (
            pytest.raises(StorageError, match=f"number {holder.pid}. is running one in"),
            paths.locked(tmp_path, "one"),
        ):
            pass
        holder.kill()
    with paths.locked(tmp_path, "one"):
        assert (tmp_path / paths.LOCK).read_text() == f"{os.getpid()}\n"


def test_a_disk_that_knows_no_locks_is_done_without(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(paths.fcntl, "flock", flock)
    with paths.locked(tmp_path, "one"):
        pass


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("name", ["run.json", "run.py", "cell.json", "run"])
def test_no_command_waits_for_a_pipe(name, tmp_path):
    """What is named on the command line, or lies in a run folder, may be a pipe that nobody writes to."""
    path = tmp_path / name
    if name == "run":
        path.mkdir()
        path = path / "config.json"
    os.mkfifo(path)
    command = ["show", str(path)] if name == "cell.json" else ["search", str(path.parent if name == "run" else path)]
    done = subprocess.run(
        [sys.executable, "-m", "dnas", *command], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 2 and "named pipe" in done.stderr and done.stderr.count("\n") == 1


def test_only_regular_files_are_opened(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    os.symlink(tmp_path / "a", tmp_path / "link")
    assert paths.content_of(tmp_path / "link") == b"abc"
    with pytest.raises(ValueError, match="3 bytes, where at most 2"):
        paths.content_of(tmp_path / "a", 2)
    for odd in ("/dev/zero", tmp_path):
        with pytest.raises(OSError):
            paths.content_of(odd)


@pytest.mark.skipif(paths.fcntl is None, reason="this system has no such locks")
def test_a_lock_follows_no_link(tmp_path):
    (tmp_path / "thesis").write_text("precious")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / paths.LOCK).symlink_to(tmp_path / "thesis")
    with pytest.raises(OSError), paths.locked(tmp_path / "run", "a test"):
        pass
    assert (tmp_path / "thesis").read_text() == "precious"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no device that is full")
def test_output_that_cannot_be_written_is_said(tmp_path):
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "dnas", "list"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 2 and done.stderr == "dnas: Cannot write the output: No space left on device.\n"
