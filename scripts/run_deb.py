"""Make a Debian package; started by ``scripts/deb``.

Needs nothing but Python and dpkg-deb. The package has a virtual environment below /usr/lib/dfud with the wheel and
all that it depends on, so that a machine can be given it without a network. It is for one Python and one
architecture: those of the machine that it is made on.
"""

from __future__ import annotations

import email.utils
import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from distributions import DIST, current_distributions, install, make_environment, output_of
from environments import ROOT, run, version_of

PREFIX = "usr/lib/dfud"
TEMPLATES = ROOT / "scripts" / "debian"
MAN = ROOT / "scripts" / "man"
COMMANDS = ("dfud", "DataFileUploadDirectory", "DataFileDownloadDirectory")

_PROGRAM = "scripts/deb"
_IS_CHANGED = re.compile(r"\.\./\.\./\.\./bin/|\S*/direct_url\.json,").match  # a line of RECORD
_LIBC = "2.28"  # what the wheels of today need: they are of manylinux_2_28, or older
_UNIT = """
from dfud.service.program import Program
from dfud.service.unit import unit_text
print("# Changes belong into /etc: systemctl edit dfud@")
print(unit_text("system", Program(("/usr/lib/dfud/bin/dfud",), ())), end="")
"""


def main(arguments: list[str]) -> int:
    """Make it; return the exit status."""
    output = Path(arguments[0]) if arguments else DIST
    python = os.environ.get("DFUD_DEB_PYTHON", "/usr/bin/python3")
    version = version_of(python)
    if version is None or shutil.which("dpkg-deb") is None:
        sys.exit(f"{_PROGRAM}: needs dpkg-deb and {python}, as on Debian and Ubuntu")
    built = current_distributions()
    architecture = output_of("dpkg", "--print-architecture").strip()
    full_version = f"{built.version}-{os.environ.get('DFUD_DEB_REVISION', '1')}"
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder) / "dfud"
        top.mkdir()
        top.chmod(0o755)
        make_environment(python, top / PREFIX)
        install(str(built.wheel), top / PREFIX, "--no-compile", "--only-binary", ":all:")
        write(top / "usr/lib/systemd/system/dfud@.service", output_of(top / PREFIX / "bin/python3", "-IBc", _UNIT))
        move_environment(top)
        (top / "usr/bin").mkdir()
        for name in COMMANDS:
            (top / "usr/bin" / name).symlink_to(f"../lib/dfud/bin/{name}")
        (top / "etc/dfud").mkdir(parents=True)
        write_documents(top, full_version)
        write_manual(top / "usr/share/man/man1")
        size = sum(path.lstat().st_size for path in top.rglob("*") if path.is_file()) // 1024
        values = {
            "version": full_version,
            "architecture": architecture,
            "maintainer": maintainer(),
            "installed_size": str(size),
            "python": f"{version[0]}.{version[1]}",
            "next_python": f"{version[0]}.{version[1] + 1}",
            "libc": _LIBC,
        }
        control = (TEMPLATES / "control").read_text(encoding="utf-8")
        write(top / "DEBIAN/control", re.sub("@([a-z_]+)@", lambda match: values[match[1]], control))
        for script in ("postinst", "prerm", "postrm"):
            write(top / "DEBIAN" / script, (TEMPLATES / script).read_text(encoding="utf-8"), 0o755)
        set_modes(top)
        write(
            top / "DEBIAN/md5sums",
            output_of("sh", "-c", f"cd '{top}' && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum"),
        )
        package = output / f"dfud_{full_version}_{architecture}.deb"
        output.mkdir(exist_ok=True)
        if not run("dpkg-deb", "--root-owner-group", "-Zxz", "--build", top, package):
            return 1
    print(package)
    return 0


def maintainer() -> str:
    """Return who ships it."""
    name = os.environ.get("DEBFULLNAME", "dfud developers")
    return f"{name} <{os.environ.get('DEBEMAIL', 'root@localhost')}>"


def move_environment(top: Path) -> None:
    """Make a virtual environment one that lies at /usr/lib/dfud: its programs name their Python by its path."""
    here, there = str(top / PREFIX), f"/{PREFIX}"
    folder = top / PREFIX / "bin"
    for path in folder.iterdir():
        if path.is_symlink():
            continue
        if path.name not in COMMANDS:
            path.unlink()  # of use in a shell, and of other packages
            continue
        first, rest = path.read_text(encoding="utf-8").split("\n", 1)
        path.write_text(f"#!{there}/bin/python3\n{rest}", encoding="utf-8")
        if here in path.read_text(encoding="utf-8"):
            sys.exit(f"{_PROGRAM}: {path.name} cannot be moved: {first}")
    python = folder / "python3"
    target = os.path.relpath(os.readlink(python), f"{there}/bin")
    python.unlink()
    python.symlink_to(target)
    configuration = top / PREFIX / "pyvenv.cfg"
    lines = configuration.read_text(encoding="utf-8").splitlines(keepends=True)
    configuration.write_text("".join(line for line in lines if here not in line), encoding="utf-8")
    for path in top.glob(f"{PREFIX}/lib/python*/site-packages/*.dist-info/direct_url.json"):
        path.unlink()  # where the wheel lay
    for path in top.glob(f"{PREFIX}/lib/python*/site-packages/*.dist-info/RECORD"):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(line for line in lines if not _IS_CHANGED(line)), encoding="utf-8")
    shutil.rmtree(top / PREFIX / "include", ignore_errors=True)
    left = subprocess.run(["grep", "-rlF", here, str(top)], capture_output=True, encoding="utf-8", check=False)
    if left.stdout:
        sys.exit(f"{_PROGRAM}: the folder that it was made in is named by {left.stdout}")


def write_documents(top: Path, version: str) -> None:
    """Write what Debian expects below /usr/share."""
    documents = top / "usr/share/doc/dfud"
    license_text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    others = "".join(
        f"\n{path.parent.name if path.parent.name != 'licenses' else path.parent.parent.name}: {path}\n"
        for path in sorted(
            Path("/", each.relative_to(top))
            for pattern in ("LICEN[CS]E*", "licenses/*")
            for each in top.glob(f"{PREFIX}/lib/python*/site-packages/*.dist-info/{pattern}")
            if each.is_file()
        )
    )
    write(documents / "copyright", f"dfud\n\n{license_text}\nPackages that are part of this one:\n{others}")
    released = f"dfud ({version}) unstable; urgency=medium\n\n  * What has changed is in changelog.gz.\n\n"
    released += f" -- {maintainer()}  {email.utils.formatdate(epoch())}\n"
    write_compressed(documents / "changelog.Debian.gz", released)
    write_compressed(documents / "changelog.gz", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    shutil.copy2(ROOT / "README.md", documents)
    shutil.copytree(ROOT / "docs", documents / "docs")
    write(top / "usr/share/lintian/overrides/dfud", (TEMPLATES / "lintian-overrides").read_text(encoding="utf-8"))


def write_manual(folder: Path) -> None:
    """Write the pages that ``scripts/man FOLDER`` makes."""
    folder.mkdir(parents=True)
    if not run(MAN, folder):
        sys.exit(f"{_PROGRAM}: {MAN.name} failed; see above")
    for page in list(folder.iterdir()):
        write_compressed(page.with_name(f"{page.name}.gz"), page.read_text(encoding="utf-8"))
        page.unlink()


def epoch() -> float:
    """Return the time of the release."""
    return float(os.environ.get("SOURCE_DATE_EPOCH") or time.time())


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file and the folders that it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


def write_compressed(path: Path, text: str) -> None:
    """Write a file as Debian wants documents: compressed, and without the time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def set_modes(top: Path) -> None:
    """Let all read what is installed, whatever umask it was made with, and execute programs alone."""
    for path in top.rglob("*"):
        if path.is_symlink():
            continue
        is_program = path.parent in (top / PREFIX / "bin", top / "DEBIAN") and path.name not in (
            "control",
            "md5sums",
        )
        path.chmod(0o755 if path.is_dir() or is_program else 0o644)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
