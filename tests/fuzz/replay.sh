#!/bin/sh
# SPDX-License-Identifier: ISC
# Replays each fuzzer's corpus; with libFuzzer the same command runs its inputs once.
set -u

number=0
status=0
for name in $FUZZ_NAMES; do
    number=$((number + 1))
    corpus=$top_srcdir/tests/fuzz/corpus/$name
    set -- "$corpus"
    # libFuzzer takes a folder as a corpus to grow; single files it only runs.
    if "$top_builddir/tests/fuzz/fuzz-$name" -help=1 2>&1 | grep -q -- -max_total_time; then
        set -- "$corpus"/*
    fi
    if "$top_builddir/tests/fuzz/fuzz-$name" "$@" >&2; then
        echo "ok $number - corpus $name"
    else
        echo "not ok $number - corpus $name"
        status=1
    fi
done
echo "1..$number"
exit $status
