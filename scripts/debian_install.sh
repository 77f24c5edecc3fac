#!/usr/bin/env bash
# Installs Debian packages for the tests, as root on a machine with apt-get; elsewhere it ends with 1 and says why.
#
#   scripts/debian_install.sh PACKAGE...
set -euo pipefail

if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
    echo "debian_install.sh: cannot install $*: that takes root and apt-get." >&2
    exit 1
fi
echo "debian_install.sh: installing $*" >&2
export DEBIAN_FRONTEND=noninteractive
{ apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@"; } >&2 || {
    echo "debian_install.sh: Expected apt-get to install $*, but it failed: see above." >&2
    exit 1
}
