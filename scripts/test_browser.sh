#!/usr/bin/env bash
# Chromium and its driver, for the tests that look at pages. Root on a machine with apt-get gets them installed.
set -euo pipefail

if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then exit 0; fi
"$(dirname "${BASH_SOURCE[0]}")/debian_install.sh" chromium chromium-driver || {
    echo "test_browser.sh: Expected chromium and chromedriver, found none. Install both, then try again." >&2
    exit 1
}
