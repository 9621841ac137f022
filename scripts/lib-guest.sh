# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Shared parts of build, boot, kunit, selftest and demo: sourced after lib.sh.

KCONF=$TOP/kernel-config

# fragments_of FLAVOUR: sets FRAGMENTS to the configuration fragments, in order.
fragments_of() {
	case $1 in
	normal)	FRAGMENTS=(base-x86_64 mitigations policy_group) ;;
	debug)	FRAGMENTS=(base-x86_64 debug policy_group) ;;
	off)	FRAGMENTS=(base-x86_64 mitigations off) ;;
	lean)	FRAGMENTS=(base-x86_64 mitigations lean) ;;
	plain)	FRAGMENTS=(base-x86_64 mitigations) ;;
	plain-debug) FRAGMENTS=(base-x86_64 debug) ;;
	smallest) FRAGMENTS=(smallest policy_group) ;;
	smallest-off) FRAGMENTS=(smallest off) ;;
	*)	die "unknown kernel '$1': normal, debug, off, lean, plain, plain-debug, smallest or smallest-off" ;;
	esac
	FRAGMENTS=("${FRAGMENTS[@]/#/$KCONF/}")
	FRAGMENTS=("${FRAGMENTS[@]/%/.config}")
}

# config_lines FILE...: the settings of all fragments; a later one wins.
config_lines() {
	awk '
		/^CONFIG_[A-Za-z0-9_]+=/ { split($0, a, "="); name = a[1] }
		/^# CONFIG_[A-Za-z0-9_]+ is not set$/ { name = $2 }
		name == "" { next }
		!(name in value) { order[++n] = name }
		{ value[name] = $0; name = "" }
		END { for (i = 1; i <= n; i++) print value[order[i]] }' "$@"
}

# verify_config CONFIG FILE...: every setting of the fragments is in CONFIG, or
# the option is named.
verify_config() {
	local config=$1 line name got bad=0
	shift
	while IFS= read -r line; do
		! grep -qxF -- "$line" "$config" || continue
		name=${line#\# }
		name=${name%%[= ]*}
		got=$(grep -E "^(# )?$name(=| is not set)" "$config" || true)
		note "wanted '$line', got '${got:-no such option (renamed, or a dependency is missing)}'"
		bad=$((bad + 1))
	done < <(config_lines "$@")
	[ "$bad" -eq 0 ] || die "$bad option(s) of kernel-config/ did not survive in $config"
}

# make_config OUT FILE...: OUT/.config from tinyconfig and the fragments. The
# file is touched only when its content changes, so that nothing is built again.
make_config() {
	local out=$1 new=$1/.config.new log=$1/config.log
	shift
	mkdir -p "$out"
	{
		kmake -s O="$out" KCONFIG_CONFIG="$new" tinyconfig &&
			config_lines "$@" >"$new.add" &&
			grep -vwFf <(grep -oE 'CONFIG_[A-Za-z0-9_]+' "$new.add") "$new" >"$new.base" &&
			cat "$new.base" "$new.add" >"$new" &&
			kmake -s O="$out" KCONFIG_CONFIG="$new" olddefconfig
	} >"$log" 2>&1 || die "no configuration from $TREE: $(tail -n 1 "$log")"
	rm -f "$new.base" "$new.add" "$new.old"
	verify_config "$new" "$@"
	if cmp -s "$new" "$out/.config"; then
		rm -f "$new"
	else
		mv "$new" "$out/.config"
	fi
}

# take_tree DIR: --tree DIR of the scripts.
take_tree() {
	[ -n "$1" ] || die "--tree needs a folder"
	[ -f "$1/Kbuild" ] || die "--tree $1: not a kernel tree"
	# shellcheck disable=SC2034	# lib.sh's
	TREE=$(cd "$1" && pwd -P)
}

# What a kernel prints when something is wrong. An out-of-memory kill is not among
# it: tests of limits provoke them.
TROUBLE='BUG:|BUG at|WARNING:|Oops|general protection|Kernel panic|page allocation failure'
TROUBLE+='|possible (recursive locking|circular locking|irq lock inversion|deadlock)'
TROUBLE+='|inconsistent lock state|bad unlock balance|Invalid wait context|held lock freed'
TROUBLE+='|still has locks held|turning off the locking correctness|suspicious RCU usage'
TROUBLE+='|sleeping function called|scheduling while atomic|KASAN|UBSAN'
TROUBLE+='|unreferenced object|new suspected memory leak|kmemleak: .*(disabled|exhausted|rror)'
TROUBLE+='|detected stall|self-detected stall|blocked for more than|soft lockup|hard LOCKUP'
TROUBLE+='|refcount_t:|list_(add|del) corruption|Bad page|Bad rss-counter|unable to handle'
TROUBLE+='|invalid opcode|stack guard page|stack-protector'

# scan_log FILE: print what the kernel complained about; false if it did, or if
# there is no log.
scan_log() {
	local hits
	if ! grep -q 'Linux version' "$1" 2>/dev/null; then
		note "no kernel messages in $1"
		return 1
	fi
	hits=$(grep -nE "$TROUBLE" "$1" || true)
	[ -n "$hits" ] || return 0
	note "the kernel complained ($(wc -l <<<"$hits") lines, in $1):"
	head -n 12 <<<"$hits" | sed 's/^/    /' >&2
	return 1
}

# guest_program NAME SOURCE: a static program for the guest, in $BUILD/guest.
guest_program() {
	local bin=$BUILD/guest/$1 src=$TOP/selftests/$2 file fresh=1
	mkdir -p "$BUILD/guest"
	for file in "$src" "${src%/*}"/*.h; do
		[ ! -e "$file" ] || [ "$bin" -nt "$file" ] || fresh=''
	done
	[ -z "$fresh" ] || return 0
	gcc -static -O2 -Wall -Wextra -Werror -o "$bin.$$" "$src" || die "selftests/$2 does not compile"
	mv "$bin.$$" "$bin"	# at once: two guests may start at the same time
}

# initramfs KERNEL DIR [GUEST=HOST...]: DIR/initramfs from init, busybox and the files,
# with DIR/{argv,env,conf} for init. Made with the kernel's own tool, without root.
initramfs() {
	local dir=$2 gen=$BUILD/out-$1/usr/gen_init_cpio name host guest parent
	shift 2
	guest_program init guest/init.c
	guest_program swapon guest/swapon.c
	guest_program runtests guest/runtests.c
	[[ $(ldd "$(command -v busybox)" 2>&1 || true) == *'not a dynamic'* ]] ||
		die "$(command -v busybox) is not static (as root: scripts/deps)"
	if [ ! -x "$gen" ]; then
		gen=$BUILD/guest/gen_init_cpio
		[ -f "$TREE/usr/gen_init_cpio.c" ] || need_tree
		gcc -O2 -o "$gen" "$TREE/usr/gen_init_cpio.c" || die "usr/gen_init_cpio.c does not compile"
	fi
	{
		for name in dev etc etc/guest bin sbin usr usr/bin proc sys root tests; do
			echo "dir /$name 0755 0 0"
		done
		echo "nod /dev/console 0600 0 0 c 5 1"
		echo "file /init $BUILD/guest/init 0755 0 0"
		echo "file /sbin/swapon $BUILD/guest/swapon 0755 0 0"
		echo "file /bin/runtests $BUILD/guest/runtests 0755 0 0"
		echo "file /bin/busybox $(command -v busybox) 0755 0 0"
		for name in $(busybox --list); do
			case $name in busybox | init | swapon) continue ;; esac
			echo "slink /bin/$name busybox 0777 0 0"
		done
		echo "file /etc/profile $TOP/selftests/guest/profile 0644 0 0"
		echo "file /etc/passwd $TOP/selftests/guest/passwd 0644 0 0"
		for name in argv env conf; do
			echo "file /etc/guest/$name $dir/$name 0644 0 0"
		done
		for name in "$@"; do
			guest=${name%%=*} host=$(realpath "${name#*=}")
			[ -f "$host" ] || die "--file $name: no such file on the host"
			parent=$(dirname "$guest")
			case $parent in
			/ | /bin | /sbin | /etc | /root | /tests | /usr/bin) ;;
			*) echo "dir $parent 0755 0 0" ;;
			esac
			echo "file $guest $host 0$(stat -c %a "$host") 0 0"
		done
	} >"$dir/list"
	"$gen" "$dir/list" >"$dir/initramfs" || die "no initramfs from $dir/list"
}

# copy_tree FROM TO: hard links where the file system allows, a copy where not;
# without .git. Nothing may be written in place in TO.
copy_tree() {
	local name
	for name in "$1"/* "$1"/.[a-z]*; do
		case ${name##*/} in .git | '.[a-z]*') continue ;; esac
		cp -al "$name" "$2/" 2>/dev/null || { rm -rf "${2:?}/${name##*/}"; cp -a "$name" "$2/"; } || return 1
	done
}

# run_lock NAME: one run of this kind at a time for a build folder, held until the
# script ends. Not the lock of the kernel builds: a run may take long.
run_lock() {
	local fd
	mkdir -p "$BUILD"
	exec {fd}>"$BUILD/$1.lock"
	flock -n "$fd" || { note "another run holds $BUILD/$1.lock, waiting for it"; flock "$fd"; }
}
