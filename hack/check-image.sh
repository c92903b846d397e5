#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Build the image of hack/Dockerfile and push it as hack/docs/moving.md tells to, with buildah in
# Docker's place and a folder in the registry's, and run the agent in it as the DaemonSet does:
# read-only, with two capabilities, in a network namespace of its own. Takes some minutes.
#
# Needs root, and Debian's packages buildah, mmdebstrap, iptables and iproute2. The base image is
# made from Debian's packages too, since a registry may be out of reach.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly BASE=localhost/kube-dataplane-base
readonly DOCUMENT=hack/docs/moving.md
readonly SUITE=trixie
readonly WAIT_SECONDS=30
work=$(mktemp --directory --tmpdir kube-dataplane-image.XXXXXX)
netns=kube-dataplane-image-$$
agent=

log() { printf 'check-image: %s\n' "$*" >&2; }
fail() {
  log "error: $*"
  exit 1
}

# Of a folder of its own: the machine's images and containers are not touched.
in_buildah() {
  buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"
}

clean_up() {
  [ -z "$agent" ] || kill "$agent" 2>/dev/null || true
  if [ -e "/run/netns/$netns" ]; then
    ip netns delete "$netns"
  fi
  rm -rf "$work"
}

check_tools() {
  local tool missing=()
  [ "$(id -u)" -eq 0 ] || fail "must be run as root"
  for tool in buildah mmdebstrap ip iptables-legacy-save unshare; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  [ ${#missing[@]} -eq 0 ] ||
    fail "missing: ${missing[*]}; apt-get install buildah mmdebstrap iptables iproute2 util-linux"
}

# Where PIP_CERT is set, pip in the image trusts that certificate as it does on this machine.
make_base() {
  local container folder certificate
  log "making a base image of Debian $SUITE"
  mmdebstrap --quiet --variant=minbase "$SUITE" "$work/base.tar"
  container=$(in_buildah from scratch)
  folder=$(in_buildah mount "$container")
  tar --extract --file "$work/base.tar" --directory "$folder"
  certificate=${PIP_CERT:-}
  if [ -n "$certificate" ]; then
    cp --dereference "$certificate" "$folder/etc/pip.pem"
    printf '[global]\ncert = /etc/pip.pem\n' >"$folder/etc/pip.conf"
  fi
  in_buildah commit --quiet --rm "$container" "$BASE" >/dev/null
}

docker() {
  case "$1" in
    build)
      in_buildah build --isolation chroot --pull-never --build-arg "BASE=$BASE" "${@:2}"
      ;;
    push) in_buildah push "$2" "dir:$work/pushed" ;;
    *) fail "$DOCUMENT tells to type docker $1, which is not known here" ;;
  esac
}

build_image() {
  local commands
  commands=$(sed --quiet 's/^\$ \(docker .*\)/\1/p' "$DOCUMENT")
  [ -n "$commands" ] || fail "$DOCUMENT tells nothing to type that begins with docker"
  log "typing what $DOCUMENT tells:"$'\n'"$commands"
  eval "${commands//$'\n'/ && }" >"$work/build.log" 2>&1 ||
    fail "it failed:"$'\n'"$(tail --lines 30 "$work/build.log")"
}

check_content() {
  local unwanted
  log "size: $(du --summarize --block-size=M "$root" | cut --fields 1), of it the agent:" \
    "$(du --summarize --block-size=M "$root/opt/dataplane" | cut --fields 1)"
  for unwanted in usr/bin/gcc usr/bin/pip3 opt/dataplane/bin/pip root/.cache var/cache/apt; do
    [ ! -e "$root/$unwanted" ] || fail "/$unwanted is in the image"
  done
}

# in_image COMMAND...: become the command, in what a container runtime makes of the DaemonSet's
# securityContext; so call it in a subshell, whose process id is the command's then.
in_image() {
  # shellcheck disable=SC2016 # for the inner shell
  exec ip netns exec "$netns" unshare --mount --propagation private bash -euc '
    root=$1 work=$2
    shift 2
    mount --bind "$root" "$root"
    mount --bind hack/demo/manifests "$root/mnt"
    mount --bind "$work/xtables.lock" "$root/run/xtables.lock"
    mount --bind "$work/agent.lock" "$root/run/kube-dataplane.lock"
    mount -t tmpfs -o size=1m tmpfs "$root/tmp"
    mount -t proc proc "$root/proc"
    mkdir -p "$root/host/proc/sys/net"
    mount --bind /proc/sys/net "$root/host/proc/sys/net"
    mount --bind "$root/proc/sys" "$root/proc/sys"
    mount -o remount,bind,ro "$root/proc/sys"
    mount -o remount,bind,ro "$root"
    exec chroot "$root" /usr/bin/env --ignore-environment PYTHONDONTWRITEBYTECODE=1 \
      PATH=/opt/dataplane/bin:/usr/sbin:/usr/bin:/sbin:/bin setpriv --no-new-privs --inh-caps=-all \
      --bounding-set=-all,+net_admin,+net_raw "$@"
  ' in_image "$root" "$work" "$@"
}

# With its rules the node has the setting that localhost node ports need.
is_served() {
  ip netns exec "$netns" iptables-legacy-save --table nat |
    grep --quiet -- "--to-destination 10.244" &&
    [ "$(ip netns exec "$netns" cat /proc/sys/net/ipv4/conf/all/route_localnet)" = 1 ]
}

run_agent() {
  local deadline=$((SECONDS + WAIT_SECONDS))
  log "running the agent"
  (in_image dataplane run --manifests=/mnt --hostname-override=demo-node \
    --cluster-cidr=10.244.0.0/16 --proc-sys=/host/proc/sys) >"$work/agent.log" 2>&1 &
  agent=$!
  until is_served; do
    [ "$SECONDS" -lt "$deadline" ] || fail "no rules, or no settings:"$'\n'"$(cat "$work/agent.log")"
    kill -0 "$agent" 2>/dev/null || fail "the agent ended:"$'\n'"$(cat "$work/agent.log")"
    sleep 0.2
  done
  kill -TERM "$agent"
  wait "$agent" || fail "exit code $? after SIGTERM:"$'\n'"$(cat "$work/agent.log")"
  agent=
}

check_tools
trap clean_up EXIT
make_base
build_image
root=$(in_buildah mount "$(in_buildah from --quiet "dir:$work/pushed")")
check_content
touch "$work/xtables.lock" "$work/agent.lock" "$root/run/xtables.lock" \
  "$root/run/kube-dataplane.lock"
ip netns add "$netns"
ip -n "$netns" link set lo up
(in_image dataplane dump --manifests=/mnt --hostname-override=demo-node \
  --cluster-cidr=10.244.0.0/16) >"$work/dump"
grep --quiet -- "--to-destination 10.244" "$work/dump" || fail "the dry run has no endpoints"
(in_image modprobe --version) >/dev/null
# What hack/docs/troubleshooting.md tells to type in a pod.
(in_image bash -c 'type cat cut dataplane' >/dev/null)
# Pods of hack/kind run these modules of the standard library, which Debian has in parts.
(in_image python3 -c "import asyncio, http.client, json, socket, zipimport")
run_agent
log "what it said:"$'\n'"$(cat "$work/agent.log")"
log "the image works"
