# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Packages of any Debian suite, unpacked into the cache beside the machine's own.

The machine's own apt sources, lists and package state are neither read nor written: apt runs here
with its own.
"""

import fcntl
import os
import re
import subprocess
import sys
import tempfile

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
APT_CONF = """
Dir::State "{dir}/state";
Dir::State::status "{dir}/status";
Dir::Cache "{dir}/cache";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "srcpkgcache.bin";
Dir::Etc::sourcelist "{dir}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::netrcparts "/etc/apt/auth.conf.d";
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; }};
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::http::Timeout "30";
// An old suite is no longer re-signed and a mirror may lag; the signature itself is still checked.
Acquire::Check-Valid-Until "false";
// Hooks of the machine's configuration act on the machine's own package cache.
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
"""


class FetchError(Exception):
    """What went wrong: cause, consequence and one command, ready to print."""

    def __init__(self, cause, consequence, command):
        super().__init__(f"{cause}\n  {consequence}\n  try: {command}")


def cache_dir():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "daxtop")


def capture(argv, **kwargs):
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True, **kwargs).stdout


def mirror():
    """The base URL of the Debian mirror that this machine is configured to use."""
    if os.environ.get("DEBIAN_MIRROR"):
        return os.environ["DEBIAN_MIRROR"]
    lines = capture(["apt-get", "indextargets", "--format", "$(LABEL)|$(REPO_URI)",
                     "Created-By: Packages"]).splitlines()
    targets = [line.split("|", 1) for line in lines if "|" in line]
    for label, uri in targets:
        if label == "Debian":
            return uri
    # Before the first "apt-get update" a target has no label yet: go by the archive's usual path.
    for _, uri in targets:
        if uri.rstrip("/").endswith("/debian"):
            return uri
    raise FetchError("apt on this machine knows no Debian mirror",
                     "so there is nowhere to fetch Debian's packages from",
                     f"DEBIAN_MIRROR=URL {' '.join(sys.argv)}")


class Apt:
    """apt with a configuration, package lists and a package state of its own."""

    def __init__(self, directory, uri, suite):
        self.dir, self.uri, self.suite = directory, uri, suite
        for sub in ("state/lists/partial", "cache/archives/partial"):
            os.makedirs(os.path.join(directory, sub))
        self.write("status", "")
        self.write("sources.list", f"deb [signed-by={KEYRING}] {uri} {suite} main\n")
        self.write("apt.conf", APT_CONF.format(dir=directory))

    def write(self, name, text):
        with open(os.path.join(self.dir, name), "w", encoding="utf-8") as file:
            file.write(text)

    def argv(self, tool, *args):
        return [tool, "-c", os.path.join(self.dir, "apt.conf"), *args]

    def update(self):
        if not os.path.exists(KEYRING):
            raise FetchError(f"{KEYRING} is missing", "so Debian's signatures cannot be checked",
                             "apt-get install debian-archive-keyring")
        done = subprocess.run(self.argv("apt-get", "-q", "update", "--error-on=any"),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise FetchError(f"apt cannot read suite {self.suite} at {self.uri}:\n{done.stdout}",
                             "the suite has left this mirror, or the mirror is out of reach: name "
                             "one that has it, such as Debian's archive of old suites",
                             f"DEBIAN_MIRROR=URL {' '.join(sys.argv)}")

    def names(self, prefix):
        return capture(self.argv("apt-cache", "pkgnames", prefix)).split()

    def show(self, name):
        """The newest record of a package as a dictionary; empty if nobody provides it."""
        done = subprocess.run(self.argv("apt-cache", "show", "--no-all-versions", name),
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return dict(re.findall(r"^([A-Za-z-]+): (.*)$", done.stdout, re.M))

    def download(self, names):
        target = os.path.join(self.dir, "debs")
        os.makedirs(target)
        subprocess.run(self.argv("apt-get", "-q", "download", *names), cwd=target, check=True,
                       stdout=subprocess.DEVNULL)
        return sorted(os.path.join(target, name) for name in os.listdir(target))

    def closure(self, name):
        """The package and all that it depends on, as apt would install it on an empty machine."""
        plan = capture(self.argv("apt-get", "-q", "--simulate", "--no-install-recommends",
                                 "install", name))
        return re.findall(r"^Inst (\S+)", plan, re.M)


def unpack(debs, target):
    for deb in debs:
        subprocess.run(["dpkg-deb", "-x", deb, target], check=True)


def cached(name, what, suite, fill):
    """
    The directory of this name in the cache. If there is none fill(apt, target) makes it as target;
    one that fails leaves nothing behind.
    """
    final = os.path.join(cache_dir(), name)
    parent, base = os.path.split(final)
    os.makedirs(parent, exist_ok=True)
    with open(final + ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.isdir(final):
            return final
        uri = mirror()
        with tempfile.TemporaryDirectory(prefix=f".{base}.", dir=parent) as scratch:
            apt = Apt(os.path.join(scratch, "apt"), uri, suite)
            tell(what, f"reading suite {suite}")
            apt.update()
            fill(apt, os.path.join(scratch, "made"))
            os.rename(os.path.join(scratch, "made"), final)
    return final


def tell(what, text):
    print(f"{program()}: {what}: {text}", file=sys.stderr)


def program():
    return os.path.basename(sys.argv[0])


def run(main):
    """main() of a program that fetches; what keeps it from that ends it with a message."""
    try:
        main()
    except FetchError as error:
        sys.exit(f"{program()}: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"{program()}: {error}\n  nothing was fetched, the cache is unchanged\n"
                 f"  try: {' '.join(map(str, error.cmd))}")
