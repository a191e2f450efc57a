#!/usr/bin/env bash
# Runs a command with SwiftShader, a GPU made of the CPU, as its Vulkan driver:
#   bash test/kernels/swiftshader.sh npx vitest run --config test/kernels/vitest.config.ts
# Takes one library (5 MB) out of Debian's chromium-common and keeps it under node_modules/.cache. No root, no install.
# Where it cannot be had the command runs all the same, and FATHOM_NO_GPU says why. FATHOM_GPU=system keeps the
# machine's own driver.
set -euo pipefail

if [ "${FATHOM_GPU:-}" != system ]; then
  cache="$(cd "$(dirname "$0")/../.." && pwd)/node_modules/.cache/swiftshader"
  if [ ! -e "$cache/libvulkan.so.1" ]; then
    work="$(mktemp -d)"
    trap 'rm -rf "$work"' EXIT
    fetch() { (cd "$work" && apt-get download chromium-common >/dev/null 2>&1); }
    if fetch || (apt-get update >/dev/null 2>&1 && fetch); then
      mkdir -p "$cache"
      dpkg-deb --fsys-tarfile "$work"/chromium-common_*.deb | tar -x -C "$work" --strip-components=4 ./usr/lib/chromium/libvk_swiftshader.so
      # Dawn asks for a Vulkan loader of this name; a driver answers as well
      mv "$work/libvk_swiftshader.so" "$cache/libvulkan.so.1"
    else
      export FATHOM_NO_GPU="apt-get cannot download chromium-common, which holds SwiftShader"
    fi
  fi
  export LD_LIBRARY_PATH="$cache${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
fi
"$@"
