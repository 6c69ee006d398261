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

run --duration 5
is "a time without a unit is status 1" "$status" = 1
says "a time without a unit is told what it lacks" "$err" "--duration=5: it is a time with a unit"

image=$(dirname "$0")/../unit/images/6.12-xfs-two-dio-truncate.gz
run --image-read "$image" -k -w "$work/hang.dxt"
is "a recording is written" "$status" = 0
live=$out
run -r "$work/hang.dxt" -k
is "a replay says what the live run said" "$out" = "$live"
is "a recording is for its owner only" "$(stat -c %a "$work/hang.dxt")" = 600
run -r "$work/hang.dxt" -e
is "a replay tells the finding by its status" "$status" = 10

run -r "$work/hang.dxt" --hist
says "a recording of one look ends no wait" "$out" "0 waits ended; waiting now: 1"
run -r "$work/hang.dxt" --folded=hold
is "holds are folded" "$status" = 0

run --image-read "$image" -j
echo "$out" >"$work/hang.ndjson"
is "facts are one object per line" "$(grep -vc '^{.*}$' "$work/hang.ndjson")" = 0
run -r "$work/hang.ndjson" -k
says "facts of --ndjson can be replayed" "$out" "BLOCKED"

head -c 1200 "$work/hang.dxt" >"$work/cut.dxt"
run -r "$work/cut.dxt"
is "a recording that was cut off is status 1" "$status" = 1
says "it says where it was cut off" "$err" "cut off behind line"
says "it shows what came before" "$out" "lost: 1 of recording"

echo '{"type":"schema","schema":"daxtrace-facts/2"}' >"$work/later.dxt"
run -r "$work/later.dxt"
is "another schema is status 1" "$status" = 1
says "another schema is named" "$err" "daxtrace-facts/2"
is "another schema prints no data" -z "$out"

run --image-read "$image" -w /dev/full
is "a recording on a full disk is status 1" "$status" = 1
says "the full disk is told" "$err" "No space left on device"
says "a command is named" "$err" "run:  df -h"
says "the answer is printed all the same" "$out" "BLOCKED"

run --image-read "$image" -q -- sh -c 'exit 7'
is "a command gives its exit status" "$status" = 7
says "and the answer is printed" "$out" "BLOCKED"
run --image-read "$image" -q -- sh -c 'kill -9 $$'
is "a command killed by a signal gives 128 and its number" "$status" = 137
run --image-read "$image" -q -e -- sh -c 'exit 7'
is "with -e it is the finding" "$status" = 10
run --image-read "$image" -q -- "$work/no-such-command"
is "a command that cannot run is status 1" "$status" = 1
says "it is named" "$err" "no-such-command"

run --image-read "$image" -q --interval 100ms -d 300ms -w "$work/watch.dxt"
is "a watch of some time ends" "$status" = 0
is "its looks are in the recording" "$(gzip -dc "$work/watch.dxt" | grep -c look_end)" -gt 1
says "its end is in the recording" "$(gzip -dc "$work/watch.dxt" | tail -n 1)" '"ended":"duration"'
run --image-read "$image" -q --interval 50ms -d 100ms -w /dev/full
says "a watch says at once that its recording has ended" "$err" "cannot go on behind look 0"

run --image-read "$image" -q --interval 100ms --until-stuck=100ms
is "a watch ends when somebody is stuck" "$status" = 0
says "with the verdict" "$out" "BLOCKED"

for signal in INT TERM; do
	: >"$work/out"
	# sh starts what it puts in the background with SIGINT ignored; env gives it back
	env --default-signal=INT "$DAXTRACE" --image-read "$image" --interval 100ms --follow \
		-w "$work/$signal.dxt" >"$work/out" 2>"$work/err" &
	until [ -s "$work/out" ]; do sleep 0.1; done
	kill -s "$signal" $!
	wait $!
	status=$?
	out=$(cat "$work/out")
	err=$(cat "$work/err")
	is "SIG$signal ends a watch with status 0" "$status" = 0
	says "SIG$signal ends it with a report" "$out" "WHAT HELPS"
	says "SIG$signal ends the recording in order" "$(gzip -dc "$work/$signal.dxt" | tail -n 1)" \
		'"ended":"signal"'
done

mkdir "$work/ring"
"$DAXTRACE" --image-read "$image" --interval 100ms --recorder "$work/ring" >"$work/out" 2>"$work/err" &
until gzip -dc "$work/ring/"daxtrace-*.dxt 2>/dev/null | grep -q look_end; do sleep 0.1; done
kill $!
wait $!
status=$?
out=$(cat "$work/out")
err=$(cat "$work/err")
is "a recorder ends on SIGTERM with status 0" "$status" = 0
is "a recorder prints nothing" -z "$out$err"
run -r "$work/ring/"daxtrace-*.dxt
says "what it recorded can be explained" "$out" "BLOCKED"

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
elif [ "$(readlink /proc/self/ns/pid)" != "pid:[4026531836]" ]; then
	skip "$name" "this is a PID namespace, which is refused first"
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
