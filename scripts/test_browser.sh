#!/usr/bin/env bash
# Chromium and its driver, for the tests that look at pages. Root on a machine with apt-get gets them installed.
set -euo pipefail

if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then exit 0; fi
if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
    echo "test_browser.sh: Expected chromium and chromedriver, found none, and cannot install them: that takes root and" \
        "apt-get. Install both (Debian: apt-get install chromium chromium-driver)." >&2
    exit 1
fi
echo "test_browser.sh: installing chromium" >&2
export DEBIAN_FRONTEND=noninteractive
{ apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium chromium-driver; } >/dev/null || {
    echo "test_browser.sh: Expected apt-get to install chromium and chromium-driver, but it failed: see above." >&2
    exit 1
}
