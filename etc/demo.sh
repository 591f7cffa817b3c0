#!/bin/sh
# SPDX-License-Identifier: ISC
# The demo: the real daemon on a simulated host, the live view, then the summary and a picture.
# Run by `./bootstrap demo`; BUILD names the build folder.
set -eu

cd "$(dirname "$0")/.."
build=${BUILD:-build}
scenario=etc/scenarios/demo.conf
picture=$build/demo.svg
dir=$(mktemp -d)
daemon=

finish() {
    [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || :
    rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' INT TERM

echo "A simulated host of 2 GiB, fifteen domains of up to 512 MiB each ($scenario)."
"$build/ballastd" --foreground --scenario "$scenario" --socket "$dir/sock" \
    --pidfile "$dir/pid" 2>"$dir/log" &
daemon=$!
i=0
until "$build/ballast" --socket "$dir/sock" status >/dev/null 2>&1 || [ $? -eq 3 ]; do
    i=$((i + 1))
    if [ $i -gt 50 ]; then
        cat "$dir/log" >&2
        exit 1
    fi
    sleep 0.1
done
"$build/ballast" --socket "$dir/sock" top --delay 1 --iterations 20
"$build/ballast" --socket "$dir/sock" status || :
kill "$daemon"
wait "$daemon" || :
daemon=

echo
echo "The same host in virtual time:"
"$build/ballast" simulate "$scenario" --svg "$picture"
echo
echo "The picture of it: $picture"
