#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The command line from outside: exit statuses, and what goes to which stream. Speaks TAP; DAXTRACE
# names the program.
set -u

: "${DAXTRACE:?names the program}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
n=0
failed=0

# run ARG...: leaves status, out and err.
run() {
	"$DAXTRACE" "$@" >"$work/out" 2>"$work/err"
	status=$?
	out=$(cat "$work/out")
	err=$(cat "$work/err")
}

ok() {
	n=$((n + 1))
	echo "ok $n - $1"
}

not_ok() {
	n=$((n + 1))
	failed=1
	echo "not ok $n - $1"
	printf '# status %s\n# out: %s\n# err: %s\n' "$status" "$out" "$err"
}

skip() {
	n=$((n + 1))
	echo "ok $n - $1 # SKIP $2"
}

# is NAME TEST...: TEST is an expression of test(1).
is() {
	name=$1
	shift
	if [ "$@" ]; then ok "$name"; else not_ok "$name"; fi
}

# says NAME TEXT PATTERN
says() {
	case $2 in
	*"$3"*) ok "$1" ;;
	*) not_ok "$1" ;;
	esac
}

run --help
is "help succeeds" "$status" = 0
says "help is data" "$out" "Usage: daxtrace"
is "help says nothing on stderr" -z "$err"

run --version
says "version names the program" "$out" "daxtrace "

run --no-such-option
is "a usage error is status 1" "$status" = 1
is "a usage error prints no data" -z "$out"
says "a usage error points to the help" "$err" "Try 'daxtrace --help'"

run --duration 5s
is "tracing is refused with status 2" "$status" = 2
is "what is refused prints no data" -z "$out"
says "what is refused names a command" "$err" "run:  daxtrace"

run "$work/gone"
is "a path that is gone is status 1" "$status" = 1
says "a path that is gone is named" "$err" "$work/gone"
is "a path that is gone prints no data" -z "$out"

run "$work"
is "a path that is not on DAX is status 1" "$status" = 1
says "a path that is not on DAX is told so" "$err" "not on DAX"

run --image-read "$work/gone"
is "an image that is gone is status 1" "$status" = 1
is "an image that is gone prints no data" -z "$out"

"$DAXTRACE" --help >/dev/full 2>"$work/err"
status=$?
err=$(cat "$work/err")
is "a full disk is status 1" "$status" = 1
says "a full disk is told" "$err" "incomplete"

"$DAXTRACE" --help >&- 2>"$work/err"
status=$?
is "a closed stdout is status 1" "$status" = 1

# The reader is gone before anything is written.
{
	sleep 0.2
	"$DAXTRACE" --help 2>"$work/err"
	echo $? >"$work/status"
} | :
status=$(cat "$work/status")
err=$(cat "$work/err")
is "a closed pipe is status 1 and no signal" "$status" = 1

name="without privilege: status 3, and the capabilities are named"
if [ "$(id -u)" != 0 ] || ! command -v setpriv >/dev/null 2>&1; then
	skip "$name" "needs root and setpriv to give it up"
elif ! setpriv --reuid=65534 --regid=65534 --clear-groups "$DAXTRACE" --version >/dev/null 2>&1; then
	skip "$name" "nobody may not execute $DAXTRACE"
elif [ ! -e /sys/kernel/btf/vmlinux ]; then
	skip "$name" "this kernel has no BTF, which is refused first"
else
	setpriv --reuid=65534 --regid=65534 --clear-groups "$DAXTRACE" >"$work/out" 2>"$work/err"
	status=$?
	out=$(cat "$work/out")
	err=$(cat "$work/err")
	case $status:$err in
	3:*CAP_BPF*sudo*) ok "$name" ;;
	*) not_ok "$name" ;;
	esac
fi

echo "1..$n"
exit $failed
