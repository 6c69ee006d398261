#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What shells complete. Bash and fish are asked, zsh reads the script. Speaks TAP; DAXTRACE and DAXTOP
# name the programs.
set -u

: "${DAXTRACE:?names the program}" "${DAXTOP:?names the program}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/directory"
: >"$work/file.dxt"
: >"$work/fil e"
n=0
failed=0

# is NAME GOT WANTED
is() {
	n=$((n + 1))
	if [ "$2" = "$3" ]; then
		echo "ok $n - $1"
		return
	fi
	failed=1
	echo "not ok $n - $1"
	printf '# got: %s\n# not: %s\n' "$2" "$3"
}

skip() {
	n=$((n + 1))
	echo "ok $n - $1 # SKIP $2"
}

for shell in bash zsh fish; do
	"$DAXTRACE" --completion=$shell >"$work/daxtrace.$shell"
	"$DAXTOP" --completion $shell >"$work/daxtop.$shell"
done

# in_bash WORD...: the completions of the last word, as bash takes words apart.
in_bash() {
	(cd "$work" && bash -c '
		source ./daxtrace.bash && source ./daxtop.bash
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		_$1
		printf "%s\n" "${COMPREPLY[@]}"' bash "$@" | sort | tr '\n' ' ')
}

# bash_is NAME WANTED WORD...
bash_is() {
	name=$1
	wanted=$2
	shift 2
	is "bash: $name" "$(in_bash "$@")" "$wanted"
}

bash_is "an option" "--image-read --image-write " daxtrace --im
bash_is "an option of this program only" "--image-read " daxtop --im
bash_is "a word" "always auto " daxtop --color = a
bash_is "all words" "always auto never " daxtop --color =
bash_is "a word behind a short option" "comm " daxtop -s c
bash_is "an item of a list" "vmsplice " daxtop --how vms
bash_is "the next item of a list" "aio,vmsplice " daxtop --how aio,vms
bash_is "a file" "file.dxt " daxtop -r file
bash_is "a directory" "directory " daxtrace --recorder ""
bash_is "a path" "file.dxt " daxtrace -k file
bash_is "a path with a blank" "fil e file.dxt " daxtrace fil
bash_is "nothing where anything may stand" " " daxtop -C ""
every=$("$DAXTOP" --help | grep -oE '^ +(-.,)? +--[a-z-]+' | grep -oE '[-][-][a-z-]+' | sort | tr '\n' ' ')
bash_is "every option of the help" "$every" daxtop --
# The key itself, in a shell that reads from a terminal.
typed=$(cd "$work" && script -qec 'env PS1= bash --noprofile --norc -i' /dev/null <<KEYS 2>/dev/null
source ./daxtop.bash; daxtop() { echo "got:\$*"; }
daxtop --colo	
exit
KEYS
)
case $typed in
*got:--color*) is "bash: Tab completes" yes yes ;;
*) is "bash: Tab completes" "$typed" "got:--color" ;;
esac

name="zsh: the scripts are sound"
if command -v zsh >/dev/null 2>&1; then
	is "$name" "$(zsh -n "$work/daxtrace.zsh" 2>&1; zsh -n "$work/daxtop.zsh" 2>&1)" ""
else
	skip "$name" "zsh is not installed"
fi

name="fish: options, words, lists and files"
if command -v fish >/dev/null 2>&1; then
	got=$(cd "$work" && HOME=$work fish --no-config -c 'source daxtop.fish; source daxtrace.fish
		complete -C "daxtrace --image-w"; complete -C "daxtop --color=n"
		complete -C "daxtop --how aio,vmsp"; complete -C "daxtop -r file"' 2>&1 |
		cut -f 1 | tr '\n' ' ')
	is "$name" "$got" "--image-write --color=never aio,vmsplice file.dxt "
else
	skip "$name" "fish is not installed"
fi

echo "1..$n"
exit $failed
