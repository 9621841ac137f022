# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Shared parts of the scripts: sourced, never run.
#
# Variables: TOP (this repository), BUILD (everything that is made; set
# POLGRP_BUILD for another place), TREE (the kernel tree, POLGRP_TREE for
# another one), JOBS.

set -euo pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
BUILD=$(realpath -m "${POLGRP_BUILD:-$TOP/build}")
TREE=$(realpath -m "${POLGRP_TREE:-$BUILD/linux}")
JOBS=${POLGRP_JOBS:-$(nproc)}
SELF=$(basename "$0")
export POLGRP_BUILD=$BUILD
export LC_ALL=C
# The kernel's python scripts need the modules of the system's own python.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
# The same objects in another folder are cache hits too.
export CCACHE_BASEDIR=$BUILD CCACHE_NOHASHDIR=1

die() { printf '%s: %s\n' "$SELF" "$*" >&2; exit 1; }
info() { printf '%s\n' "$*"; }
note() { printf '%s: note: %s\n' "$SELF" "$*" >&2; }

# pass NAME, fail NAME...: one test case; tally: the closing line that scripts/test
# adds up, and the status of the script.
PASSED=0
FAILED=0
pass() { PASSED=$((PASSED + 1)); printf 'ok      %s\n' "$*"; }
fail() { FAILED=$((FAILED + 1)); printf 'FAILED  %s\n' "$*"; }
tally() { printf '%d passed, %d failed\n' "$PASSED" "$FAILED"; [ "$FAILED" -eq 0 ]; }

# Print the comment block at the head of the script that was called.
usage() { awk 'NR > 3 && !/^#/ { exit } NR > 3 { sub(/^# ?/, ""); print }' "$0"; }

# need TOOL...: every tool must be there, and what is missing is named at once.
need() {
	local t missing=()
	for t in "$@"; do
		command -v "$t" >/dev/null || missing+=("$t")
	done
	[ ${#missing[@]} -eq 0 ] ||
		die "missing: ${missing[*]} (as root: scripts/deps installs all that is needed)"
}

# need_tree: the kernel tree must be there.
need_tree() {
	[ -e "$TREE/.git" ] || die "no kernel tree in $TREE: run scripts/tree first"
}

# need_space DIR GIB
need_space() {
	local dir=$1 free
	while [ ! -d "$dir" ]; do dir=$(dirname "$dir"); done
	free=$(df -Pk "$dir" | awk 'NR == 2 { print int($4 / 1048576) }')
	[ "$free" -ge "$2" ] || die "only $free GiB free in $dir, $2 are needed"
}

duration() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

# failures LOG: the first lines that tell of one, each with the indented ones behind it.
failures() {
	awk '/^(FAILED|not ok)|the kernel complained/ { print; more = 1; next }
		more && /^    / { print; next }
		{ more = 0 }' "$1" | awk 'NR <= 60'
}

# step TEXT LOG CMD...: run a long command (or function) with its output in
# LOG and without stdin. Shows progress, the time it took, and on failure what LOG
# says about failures, and its tail. STEP_LIMIT=SECONDS in front ends it, with its
# children, after that time (status 124). Returns the command's status.
step() {
	local text=$1 log=$2 pid t0=$SECONDS next rc=0 late='' every=30 t last
	shift 2
	mkdir -p "$(dirname "$log")"
	[ -t 1 ] && every=2
	next=$every
	set -m			# a process group of its own, to end it as a whole
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	set +m
	# shellcheck disable=SC2064
	trap "kill -- -$pid 2>/dev/null; exit 130" INT TERM HUP
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.2
		t=$((SECONDS - t0))
		if [ -n "${STEP_LIMIT:-}" ] && [ "$t" -ge "$STEP_LIMIT" ]; then
			late=1
			kill -TERM -- "-$pid" 2>/dev/null || true
			sleep 15
			kill -KILL -- "-$pid" 2>/dev/null || true
		elif [ "$t" -ge "$next" ]; then
			next=$((t + every))
			last=$(tail -n 1 "$log" | tr -d '\r\t' | cut -c 1-50)
			if [ -t 1 ]; then
				printf '\r\033[K%s ... %s  %s' "$text" "$(duration "$t")" "$last"
			else
				info "$text ... $(duration "$t")  $last"
			fi
		fi
	done
	wait "$pid" || rc=$?
	trap - INT TERM HUP
	[ -z "$late" ] || rc=124
	[ -t 1 ] && printf '\r\033[K'
	t=$(duration $((SECONDS - t0)))
	if [ "$rc" -eq 0 ]; then
		info "$text: done ($t)"
	else
		info "$text: FAILED (${late:+time limit of $STEP_LIMIT s, }status $rc, $t); failures and the end of $log:"
		failures "$log" | sed 's/^/    /'
		tail -n 8 "$log" | sed 's/^/    /'
	fi
	return "$rc"
}

# build_lock: one kernel build at a time for a build folder. Held until the
# script ends; a script that is called by the holder goes on at once.
build_lock() {
	local fd
	[ "${POLGRP_LOCKED:-}" != "$BUILD" ] || return 0
	mkdir -p "$BUILD"
	exec {fd}>"$BUILD/lock"
	if ! flock -n "$fd"; then
		note "another build holds $BUILD/lock, waiting for it"
		flock "$fd"
	fi
	export POLGRP_LOCKED=$BUILD
}

# kmake ARG...: make in the kernel tree (or -C DIR), with the compiler cache
# where there is one and a build stamp that does not spoil it.
kmake() {
	local cc=gcc
	! command -v ccache >/dev/null || cc='ccache gcc'
	make -C "$TREE" -j"$JOBS" CC="$cc" HOSTCC="$cc" \
		KBUILD_BUILD_TIMESTAMP=1970-01-01 KBUILD_BUILD_USER=user \
		KBUILD_BUILD_HOST=host "$@"
}
