# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Where the kernel comes from, and how it and the series become a git
# repository: sourced by tree and rebase, after lib.sh.
#
# source_option ARG...  takes one option that both scripts have
# source_find           sets SRC (folder, tarball or .deb) and SRC_NAME
# source_import DIR     SRC as a commit on the branch `base` of the repository DIR
# series_names          the patches of the series, one a line
# series_apply DIR      git am of the series on `base`; sets HEAD_NEW

# shellcheck disable=SC2016,SC2034,SC2153

# shellcheck source=kernel-config/kernel.env
. "$TOP/kernel-config/kernel.env"

PATCHES=${POLGRP_PATCHES:-$TOP/patches}
SERIES=$(dirname "$PATCHES")/series
DOWNLOAD=$BUILD/download
SRC=''
SRC_NAME=''
SRC_REV=HEAD
VERSION=''
NO_ARCHIVE=''	# set when it did not answer, for not asking twice

# An identity that is nobody, the same on every machine, and no setting of the
# user's git that changes what is written.
kgit() {
	GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 \
	GIT_COMMITTER_NAME='policy group series' GIT_COMMITTER_EMAIL=series@localhost \
	git -c core.hooksPath=/dev/null -c commit.gpgSign=false -c core.autocrlf=false \
		-c core.quotePath=false -c apply.whitespace=nowarn -c advice.detachedHead=false \
		"$@"
}

# Each of them takes a value: shift by two.
source_option() {
	case "$1" in
	--source|--base|--version) [ $# -ge 2 ] || die "$1 needs a value" ;;&
	--source) SRC=$(realpath -e "$2" 2>/dev/null) || die "no such kernel source: $2" ;;
	--base) SRC_REV=$2 ;;
	--version) VERSION=${2/-rc/\~rc}
		[[ $VERSION =~ ^[0-9]+\.[0-9]+(\.[0-9]+)?(~rc[0-9]+)?$ ]] ||
			die "not a kernel version: $2 (7.3.4, 7.3~rc7, or 7.3 for the newest 7.3.y)" ;;
	*) die "unknown option: $1 (see --help)" ;;
	esac
}

# Version of the source in a folder, as 7.3.4 or 7.3~rc7.
version_of() { version_from <"$1/Makefile"; }
version_from() {
	awk -F ' *= *' '/^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) *=/ { v[$1] = $2 }
		END { sub(/^-rc/, "~rc", v["EXTRAVERSION"])
		      print v["VERSION"] "." v["PATCHLEVEL"] \
			(v["SUBLEVEL"] > 0 ? "." v["SUBLEVEL"] : "") v["EXTRAVERSION"] }'
}

source_find() {
	local want=${VERSION:-$KERNEL_BASE}
	mkdir -p "$DOWNLOAD/partial"
	need_space "$BUILD" 5
	if [ -n "$SRC" ]; then
		source_given
	elif source_cached "$want" || source_upstream "$want" || source_apt "$want"; then
		:
	elif [ -z "$VERSION" ] && { source_upstream "$KERNEL_SERIES" || source_apt "$KERNEL_SERIES"; }; then
		note "Linux $want is not to be had, taking $SRC_NAME"
	else
		die "no source of Linux $want: the upstream release and the distribution's" \
		    "package cannot be reached; give one with --source DIR|TARBALL"
	fi
}

source_given() {
	SRC_NAME=$(basename "$SRC")
	if [ ! -d "$SRC" ]; then
		return 0
	elif git -C "$SRC" rev-parse -q --verify "$SRC_REV^{commit}" >/dev/null 2>&1; then
		SRC_NAME=$(git -C "$SRC" describe --always "$SRC_REV")
		git -C "$SRC" diff-index --quiet HEAD -- ||
			note "local changes in $SRC are not taken, only what $SRC_REV holds"
	elif [ -e "$SRC/.git" ]; then
		die "no commit $SRC_REV in $SRC"
	elif [ -e "$SRC/.config" ] || [ -e "$SRC/vmlinux" ]; then
		die "$SRC has been built in: run 'make mrproper' there, or give a clean tree"
	fi
}

# Something that was downloaded before, for an exact version only.
source_cached() {
	local f
	for f in "$DOWNLOAD/linux-$1.tar.xz" "$DOWNLOAD/linux-source-"*"_$1-"*.deb; do
		[ -f "$f" ] || continue
		[[ $1 =~ ^[0-9]+\.[0-9]+$ ]] && continue
		SRC=$f
		SRC_NAME=$(basename "$f")
		return 0
	done
	return 1
}

# The release tarball, with its published checksum. A missing network has to
# show in seconds. Release candidates have no published checksum: not taken.
source_upstream() {
	local version=$1 file sum sums=$DOWNLOAD/partial/sha256sums.asc
	case $version in *~*) return 1 ;; esac
	curl -fsS --connect-timeout 3 --max-time 60 -o "$sums" "$KERNEL_URL/sha256sums.asc" \
		2>/dev/null || return 1
	if [[ $version =~ ^[0-9]+\.[0-9]+$ ]]; then
		file=$(grep -oE "linux-${version//./\\.}(\.[0-9]+)?\.tar\.xz" "$sums" | sort -V | tail -n 1)
	else
		file=linux-$version.tar.xz
	fi
	sum=$(awk -v f="$file" '$2 == f { print $1 }' "$sums")
	rm -f "$sums"
	[ -n "$file" ] && [ -n "$sum" ] || return 1
	if [ ! -f "$DOWNLOAD/$file" ]; then
		step "downloading $file" "$BUILD/log/download" curl -fsSL --connect-timeout 3 \
			--speed-limit 10000 --speed-time 20 -o "$DOWNLOAD/partial/$file" \
			"$KERNEL_URL/$file" || return 1
		if ! echo "$sum  $DOWNLOAD/partial/$file" | sha256sum -c --status ||
		   { [ "$file" = "linux-$KERNEL_BASE.tar.xz" ] && [ -n "$KERNEL_SHA256" ] &&
		     [ "$sum" != "$KERNEL_SHA256" ]; }; then
			rm -f "$DOWNLOAD/partial/$file"
			die "wrong checksum of $file, thrown away: try again"
		fi
		mv "$DOWNLOAD/partial/$file" "$DOWNLOAD/$file"
	fi
	SRC=$DOWNLOAD/$file
	SRC_NAME=$file
}

# The distribution's package, from suites newer than the machine's own. All
# apt state is private; the archive and its keyring are what apt uses already.
source_apt() {
	local package=linux-source-$KERNEL_SERIES version deb
	[ -z "$NO_ARCHIVE" ] || return 1
	command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
	if ! version=$(apt_version "$package" "$1"); then
		version=$(apt_update "$package" "$1") || { [ $? -ne 2 ] || NO_ARCHIVE=1; return 1; }
	fi
	if ! apt_download "$package=$version"; then
		# the lists may be older than the archive
		version=$(apt_update "$package" "$1") && apt_download "$package=$version" || return 1
	fi
	deb=$(find "$DOWNLOAD/partial/deb" -name '*.deb')
	mv "$deb" "$DOWNLOAD/"
	SRC=$DOWNLOAD/$(basename "$deb")
	SRC_NAME=$(basename "$deb")
}

apt_private() {
	local apt=$DOWNLOAD/apt tool=$1
	shift
	"$tool" -q -o Dir::State::Lists="$apt/lists" -o Dir::Etc::SourceList=/dev/null \
		-o Dir::Etc::SourceParts="$apt/sources" -o Dir::Cache="$apt/cache" \
		-o Dir::State::status=/dev/null -o Acquire::Languages=none \
		-o Acquire::Retries=1 -o Acquire::http::Timeout=10 -o Acquire::https::Timeout=10 \
		-o APT::Sandbox::User=root "$@"
}

# apt_update PACKAGE VERSION: fetch the lists, print the version that they have. A
# suite that is missing or has expired is no reason to give up the other ones. Each is
# asked once, so that an archive that does not answer is given up in seconds (status 2).
apt_update() {
	local apt=$DOWNLOAD/apt uri='' key='' component label suite u k keyring
	while IFS='|' read -r component label suite u k; do
		[ "$component" = main ] || continue
		case "$label$suite$u" in *ecurity*) continue ;; esac
		uri=$u
		key=$k
		break
	done < <(apt-get indextargets --format \
		'$(COMPONENT)|$(LABEL)|$(RELEASE)|$(REPO_URI)|$(SIGNED_BY)' 2>/dev/null)
	[ -n "$uri" ] || return 1
	mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/sources"
	for keyring in "$key" /usr/share/keyrings/debian-archive-keyring.gpg; do
		[ -f "$keyring" ] || continue
		printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' "$uri" \
			'trixie-backports experimental sid' "$keyring" >"$apt/sources/kernel.sources"
		STEP_LIMIT=300 step "package lists of newer suites" "$BUILD/log/apt-update" \
			apt_private apt-get -o Acquire::Retries=0 -o Acquire::http::Timeout=3 \
			-o Acquire::https::Timeout=3 update >&2 || true
		! apt_version "$1" "$2" || return 0
		grep -qE '^(Get|Hit|Ign):' "$BUILD/log/apt-update" || return 2
	done
	return 1
}

# apt_version PACKAGE VERSION: the newest package of that kernel version.
apt_version() {
	local re=${2//./\\.}
	[ -d "$DOWNLOAD/apt/lists" ] || return 1
	[[ $2 =~ ^[0-9]+\.[0-9]+$ ]] && re+='(\.[0-9]+)?'
	apt_private apt-cache madison "$1" 2>/dev/null | awk -F ' *[|] *' '{ print $2 }' |
		grep -E "^$re-" | sort -V | tail -n 1 | grep .
}

apt_download() {
	rm -rf "$DOWNLOAD/partial/deb"
	mkdir -p "$DOWNLOAD/partial/deb"
	( cd "$DOWNLOAD/partial/deb" &&
	  step "downloading ${1/=/ }" "$BUILD/log/apt-download" apt_private apt-get download "$1" )
}

# (No errexit in a function that step runs for a caller that tests its status.)
source_unpack() {
	local dir=$1 inner
	mkdir -p "$dir" || return 1
	if [ -d "$SRC" ] && git -C "$SRC" rev-parse -q --verify "$SRC_REV^{commit}" >/dev/null 2>&1; then
		git -C "$SRC" archive "$SRC_REV" | tar -x -C "$dir"
	elif [ -d "$SRC" ]; then
		tar -c -C "$SRC" --exclude-vcs . | tar -x -C "$dir"
	elif [[ $SRC = *.deb ]]; then
		inner=$(dpkg-deb --fsys-tarfile "$SRC" | tar -t | grep '/linux-source-[^/]*\.tar') &&
		dpkg-deb --fsys-tarfile "$SRC" | tar -xO "$inner" |
			tar -xJ --no-same-owner --strip-components=1 -C "$dir"
	else
		tar -xf "$SRC" --no-same-owner --strip-components=1 -C "$dir"
	fi &&
	[ -f "$dir/Makefile" ] && [ -f "$dir/Kbuild" ] &&
	# The packaged tree ignores everything, new files of the series too.
	sed -i '/^# Debian packaging: ignore everything/,$d' "$dir/.gitignore"
}

# Everything is added by force: a release has no build output in it.
source_commit() {
	local git_dir=$1 work=$2 when='2026-01-01T00:00:00Z' tree
	rm -f "$git_dir/index.base"
	export GIT_DIR=$git_dir GIT_WORK_TREE=$work GIT_INDEX_FILE=$git_dir/index.base
	cd "$work" &&
	kgit add -f . &&
	tree=$(kgit write-tree) &&
	printf 'Linux %s\n\nSource: %s\n' "$(version_of "$work")" "$SRC_NAME" |
		GIT_AUTHOR_NAME=base GIT_AUTHOR_EMAIL=base@localhost GIT_AUTHOR_DATE=$when \
		GIT_COMMITTER_DATE=$when kgit commit-tree "$tree" >"$git_dir/base.new"
}

# source_import DIR: DIR is made, or its branch base moves; files that are
# checked out in an existing DIR are left to the caller.
source_import() {
	local dir=$1 work=$1.unpacked
	need git tar xz
	rm -rf "$work" "$dir.new"
	mkdir -p "$dir.new"
	# shellcheck disable=SC2064
	trap "rm -rf '$work' '$dir.new'" EXIT
	step "unpacking $SRC_NAME" "$BUILD/log/unpack" source_unpack "$work" ||
		die "$SRC is no kernel source that can be unpacked"
	[ "$(version_of "$work" | cut -d. -f1-2 | cut -d~ -f1)" = "$KERNEL_SERIES" ] ||
		note "this is Linux $(version_of "$work"), the series is made for $KERNEL_SERIES"
	if [ -e "$dir/.git" ]; then
		step "importing Linux $(version_of "$work")" "$BUILD/log/import" \
			source_commit "$(git -C "$dir" rev-parse --absolute-git-dir)" "$work" ||
			die "the import failed"
		return 0
	fi
	kgit init -q -b base "$dir.new"
	kgit -C "$dir.new" config gc.auto 0
	# A second tree shares the objects of the first one.
	if [ "$dir" != "$TREE" ] && [ -d "$TREE/.git/objects" ]; then
		echo "$TREE/.git/objects" >"$dir.new/.git/objects/info/alternates"
	fi
	step "importing Linux $(version_of "$work")" "$BUILD/log/import" \
		source_commit "$dir.new/.git" "$work" || die "the import failed"
	mv "$dir.new/.git" "$work/.git"
	mv "$work/.git/index.base" "$work/.git/index"
	kgit -C "$work" update-ref refs/heads/base "$(cat "$work/.git/base.new")"
	kgit -C "$work" update-index -q --refresh || true
	rmdir "$dir.new"
	mv "$work" "$dir"
	trap - EXIT
}

series_names() {
	[ -f "$SERIES" ] || return 0
	sed 's/[[:space:]]*#.*//; /^[[:space:]]*$/d' "$SERIES"
}

# What series names and what is in patches/ must be the same.
series_verify() {
	local d
	[ -f "$SERIES" ] || die "no file $SERIES"
	d=$(diff <(series_names | sort) \
		<(find "$PATCHES" -name '*.patch' ! -name '0000-*' -printf '%f\n' | sort) | grep '^[<>]' | head -n 3 |
		sed 's/^</in series only:/; s/^>/in patches only:/' | paste -sd';') || true
	[ -z "$d" ] || die "series and patches/ disagree: $d"
	[ -n "$(series_names)" ] || die "series names no patch"
}

# series_apply DIR: in a worktree without files, so that nothing is touched
# until all of it has applied; git am writes only what the patches change.
# On failure: status 1, FAILED_PATCH and FAILED_FILES say what.
series_apply() {
	local dir=$1 way=${2:---no-3way} w=$BUILD/apply.$$ log=$BUILD/log/am names next stale
	HEAD_NEW=''
	for stale in "$BUILD"/apply.*; do
		[ -e "$stale" ] && ! kill -0 "${stale##*.}" 2>/dev/null && rm -rf "$stale"
	done
	kgit -C "$dir" worktree prune
	mapfile -t names < <(series_names | sed "s,^,$PATCHES/,")
	mkdir -p "$BUILD/log"
	kgit -C "$dir" worktree add -q --no-checkout --detach "$w" refs/heads/base
	kgit -C "$w" read-tree HEAD
	if kgit -C "$w" am -q "$way" --keep-cr --no-scissors --no-message-id \
		--committer-date-is-author-date "${names[@]}" >"$log" 2>&1 </dev/null; then
		HEAD_NEW=$(kgit -C "$w" rev-parse HEAD)
	else
		next=$(cat "$(kgit -C "$w" rev-parse --absolute-git-dir)/rebase-apply/next" \
			2>/dev/null) || next=1
		FAILED_PATCH=$(basename "${names[next - 1]}")
		FAILED_FILES=$(sed -n 's/^error: patch failed: \(.*\)/\1/p
			s/^error: \(.*\): \(does not exist in index\|already exists in index\)/\1 (\2)/p
			s/^CONFLICT.* in \(.*\)/\1/p' "$log" | sort -u | paste -sd' ')
		[ -n "$FAILED_FILES" ] || FAILED_FILES=$(tail -n 1 "$log")
	fi
	kgit -C "$dir" worktree remove --force "$w"
	[ -n "$HEAD_NEW" ]
}
