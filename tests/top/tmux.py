# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A program in a terminal of its own, driven by keys and seen as text: tmux without its trimmings."""

import os
import subprocess
import tempfile
import time


class Timeout(Exception):
    """What was waited for did not come; the message holds the screen."""


class Terminal:
    """A shell in a terminal. Its server is its own: nobody else's tmux is touched."""

    def __init__(self, width=80, height=24, environment=None):
        self.directory = tempfile.mkdtemp(prefix="daxtop-tmux.")
        self.socket = os.path.join(self.directory, "socket")
        env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "PS1": "$ ", "HOME": self.directory,
               "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "")}
        env.update(environment or {})
        arguments = [word for name, value in env.items() for word in ("-e", f"{name}={value}")]
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height),
                  *arguments, "env", "-i", *(f"{name}={value}" for name, value in env.items()),
                  "TERM=screen", "sh")
        self.tmux("set-option", "-g", "remain-on-exit", "on")

    def tmux(self, *arguments):
        done = subprocess.run(["tmux", "-u", "-S", self.socket, *arguments], text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
        if done.returncode:
            raise Timeout(f"tmux {arguments[0]}: {done.stderr.strip()}")
        return done.stdout

    def screen(self):
        return self.tmux("capture-pane", "-p")

    def press(self, *keys):
        self.tmux("send-keys", *keys)

    def type(self, text):
        self.tmux("send-keys", "-l", "--", text)

    def run(self, command):
        self.type(command)
        self.press("Enter")

    def resize(self, width, height):
        self.tmux("resize-window", "-x", str(width), "-y", str(height))

    def pid(self):
        """Of the shell."""
        return int(self.tmux("display-message", "-p", "#{pane_pid}"))

    def child(self, pid=None):
        """The process that the shell, or the given one, has started; 0 none."""
        parent = pid or self.pid()
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as stat:
                    fields = stat.read().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == parent:
                return int(entry)
        return 0

    def wait(self, shown, seconds=10):
        """Until the text, or what a function of the screen wants, is there; returns the screen."""
        wanted = shown if callable(shown) else lambda screen: shown in screen
        end = time.monotonic() + seconds
        while True:
            screen = self.screen()
            if wanted(screen):
                return screen
            if time.monotonic() > end:
                raise Timeout(f"not within {seconds} s: {shown}\n{screen}")
            time.sleep(0.01)

    def close(self):
        try:
            self.tmux("kill-server")
        except (Timeout, subprocess.TimeoutExpired):
            pass
        subprocess.run(["rm", "-rf", self.directory])

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()
