#!/usr/bin/env bash
# fresh-debian.sh [--shared DIR] [--keep] [FOLDER]: does the project build, run and pass its tests on a bare Debian 12?
#
# Makes a minimal Debian 12 with git and make and nothing else in a new folder (under FOLDER, or TMPDIR, or the system's), clones the
# committed state of this repository into it, and runs there `make run`, `make run` again and `make test`, each with its time. Packages
# come from wherever this host's apt gets them. --shared shows DIR, read-only, beside the clone as ../shared. --keep leaves the root.
# Needs root and mmdebstrap (packages-dev.txt). Exit status 0 if all three steps passed.
set -euo pipefail

fail() { echo "fresh-debian.sh: $*" >&2; exit 2; }

shared='' keep=0 folder=${TMPDIR:-/tmp}
while (($#)); do
  case $1 in
    --shared) shared=$(realpath -e "${2:?--shared needs a folder}"); shift ;;
    --keep) keep=1 ;;
    -*) fail "unknown option $1" ;;
    *) folder=$1 ;;
  esac
  shift
done
[[ $(id -u) == 0 ]] || fail "only root can make a root file system"
command -v mmdebstrap >/dev/null || fail "mmdebstrap is missing: tools/install_packages.sh packages-dev.txt"
repository=$(realpath "$(dirname "${BASH_SOURCE[0]}")/..")
commit=$(git -C "$repository" rev-parse HEAD)
[[ -z $(git -C "$repository" status --porcelain) ]] || echo "note: changes that are not committed are not tested" >&2

mkdir -p "$folder"
root=$(mktemp -d "$(realpath "$folder")/fresh-debian.XXXXXX")
# All mounts below are made in a mount namespace of their own and end with it, so nothing but the root itself can be removed here.
cleanup() {
  if ((keep)); then echo "kept: $root"; else rm -rf --one-file-system "$root"; fi
}
trap cleanup EXIT

# The host's package sources, settings and keys.
shopt -s nullglob
sources=() settings=() extra=''
for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
  [[ -s $f ]] && sources+=("$f")
done
for f in /etc/apt/apt.conf /etc/apt/apt.conf.d/*; do
  if [[ -f $f ]] && grep -q '^Acquire' "$f"; then settings+=("--aptopt=$f"); fi
done
if grep -q https: "${sources[@]}"; then extra=,ca-certificates; fi

start=$SECONDS
mmdebstrap --quiet --mode=root --variant=minbase --include="git,make$extra" "${settings[@]}" bookworm "$root/debian" "${sources[@]}" >&2
cd "$root/debian"
cp -a /etc/hosts /etc/resolv.conf etc/
for f in /etc/apt/auth.conf /etc/apt/auth.conf.d /etc/apt/keyrings /etc/apt/trusted.gpg.d /etc/apt/preferences.d; do
  if [[ -e $f ]]; then cp -a "$f" etc/apt/; fi
done
if [[ $extra ]]; then cp -aL /etc/ssl/certs/ca-certificates.crt etc/ssl/certs/; fi
mkdir -p src/shared
git clone --quiet --no-local "$repository" src/waferllm
git -C src/waferllm -c advice.detachedHead=false checkout --quiet --detach "$commit"
echo "bare Debian with git and make: $((SECONDS - start)) s, $(du -sm . | cut -f1) MB"

export shared
# /proc and /dev are the host's kind; the environment is empty but for proxies.
unshare --mount --propagation private bash -euo pipefail -c '
  mount -t proc proc proc
  mount --rbind /dev dev
  if [[ $shared ]]; then mount --bind "$shared" src/shared; mount -o remount,bind,ro src/shared; fi
  proxies=()
  for v in http_proxy https_proxy no_proxy; do [[ -n ${!v:-} ]] && proxies+=("$v=${!v}"); done
  exec chroot . env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb \
    "${proxies[@]}" bash -c "$1"
' bash '
  cd /src/waferllm
  failed=0
  report=""
  step() {
    echo "== $*"
    local begin=${EPOCHREALTIME/./} status=0 outcome
    "$@" </dev/null || status=$?
    local ms=$(((${EPOCHREALTIME/./} - begin) / 1000))
    if ((status)); then outcome="FAILED with status $status"; failed=1; else outcome=passed; fi
    report+=$(printf "%-12s %5d.%d s  %s" "$*" $((ms / 1000)) $((ms % 1000 / 100)) "$outcome")$'"'\\n'"'
  }
  step make run
  step make run
  step make test
  printf "\n%s" "$report"
  exit $failed
'
