#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The live view in a real terminal. Speaks TAP; DAXTOP names the program.
exec python3 "$(dirname "$0")/../top/terminal"
