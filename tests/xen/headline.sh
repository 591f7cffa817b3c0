# SPDX-License-Identifier: ISC
# Fifteen domains of up to 512 MiB each on a host of 2 GiB: in 2008 the patch that started
# self-ballooning ran "as many as 15 lightly loaded 512MB domains on a 2GB system (yes, very slowly)".
# A load moves among them, one or two at a time, while the others idle; then the same load on static
# shares of the same host, and then as many more domains as fit.
. /test/lib.sh

plan=21
host_mib=2048
dom0_mib=208
swap_disks=22
cores=2

count=15
count_most=22
min_mib=88

# So many that idle are to leave the processors to the one that does not.
start() {
    launch_reserved "g$1" ballast "$(swap_disk "$1")" idle=3
}

# --- a load, and what became of it ----------------------------------------------------------------

# A load lasts for so long, in the guest's own time, and for so long after all of it was there; but not
# for ever when it does not get there.
load_ms=30000
reached_load_ms=12000
load_most_ms=90000 # where the machine is idle
growth_mib_s=40

# loaded SIZE_MIB GUEST...: a load in each of the guests at once, from rest to rest. Leaves for each
# GUEST, in figures_GUEST: reached_ms (0: never), waited_ms (stood still for lack of memory until then),
# stalled (thousandths of the load's time), touched (MiB a minute).
loaded() {
    size=$1
    shift
    for guest in "$@"; do
        eval "before_$guest=\$(whole_state $guest) there_$guest="
        load "$guest" "$size" $growth_mib_s
    done
    for guest in "$@"; do
        until has_had_its_time "$guest"; do
            usleep 300000
        done
    done
    for guest in "$@"; do
        load "$guest" 0
        eval "assess $guest \"\$before_$guest\" \"\$there_$guest\" \"\$(whole_state $guest)\""
    done
}

# Notes in there_GUEST the state in which all of the load was there.
has_had_its_time() {
    state=$(whole_state "$1")
    reached_ms=$(word_of reached_ms "$state")
    eval "elapsed \"\$before_$1\" \"\$state\" uptime_ms; there=\$there_$1"
    if [ "$reached_ms" -gt 0 ] && [ -z "$there" ]; then
        eval "there_$1=\$state"
    fi
    [ "$difference" -ge "$most_ms" ] ||
        { [ "$reached_ms" -gt 0 ] && [ "$difference" -ge $load_ms ] &&
            [ "$difference" -ge $((reached_ms + reached_load_ms)) ]; }
}

# assess GUEST BEFORE THERE AFTER
assess() {
    elapsed "$2" "$4" uptime_ms
    elapsed_ms=$difference
    elapsed "$2" "$4" full_ms
    stalled=$((difference * 1000 / elapsed_ms))
    elapsed "$2" "$4" touched
    touched=$((difference * 60000 / elapsed_ms))
    elapsed "$2" "${3:-$4}" full_ms
    waited_ms=$difference
    reached_ms=$(word_of reached_ms "${3:-$4}")
    eval "figures_$1='reached_ms=$reached_ms waited_ms=$waited_ms stalled=$stalled touched=$touched'"
    if [ "$reached_ms" -gt 0 ]; then
        came="there after $reached_ms ms, of which it waited $waited_ms"
    else
        came="$(word_of held "$4") MiB of it came"
    fi
    say "  $1, $size MiB: $came; stalled $((stalled / 10)).$((stalled % 10)) % of $elapsed_ms ms;" \
        "touched $touched MiB a minute; swapped out $(word_of swap "$4") MiB"
}

# figure GUEST FIELD
figure() {
    eval "word_of $2 \"\$figures_$1\""
}

served() {
    for guest in "$@"; do
        at_least "ms until the load of $guest was there" "$(figure "$guest" reached_ms)" 1 &&
            waits_little "$guest" "$(figure "$guest" waited_ms)" "$(figure "$guest" reached_ms)" ||
            return 1
    done
}

# In thousandths. A guest whose disk is dom0's stalls longer where dom0 is short of processor; but never
# for as much of the time as it does without us.
stall_most=100
stall_most_busy=350

hardly_stalled() {
    limit=$((stall_most * patience))
    [ $limit -le $stall_most_busy ] || limit=$stall_most_busy
    for guest in "$@"; do
        at_most "$guest's stall in thousandths of its load's time" "$(figure "$guest" stalled)" \
            $limit || return 1
    done
}

test_start() {
    configure
    check "ballastd starts" daemon start || exit 1
    since=$(now)
    check "a guest starts" start 1 || exit 1
    measure_patience $(($(now) - since))
    since=$(now)
    check "fourteen more start, one after the other, each with memory freed for it" launch_rest || exit 1
    say "  $(($(now) - since)) s: $(sizes)"
    measure_patience "$(cat /tmp/last_start)" # with fourteen others beside it
    most_ms=$((load_most_ms * patience))
    check "all post" within 30 all_post
}

launch_rest() {
    for n in $(seq 2 $count); do
        since=$(now)
        start "$n" || return 1
        echo $(($(now) - since)) >/tmp/last_start
        say "  g$n after $(cat /tmp/last_start) s"
    done
}

all_post() {
    for n in $(seq $count); do
        is "g$n" dialect ballast || return 1
    done
}

test_loads() {
    for guests in "g3" "g7 g8" "g15" "g1 g9"; do
        set -- $guests
        size=$((80 + 160 / $#))
        loaded $size "$@"
        check "$size MiB in $guests: served in time" served "$@"
        check "and hardly stalled" hardly_stalled "$@"
        say "  $(sizes)"
    done
}

# In twice the time that it took under weighted shares
not_there() {
    at_most "ms until the load of $1 was there" "$(figure "$1" reached_ms)" 0
}

# Than under weighted shares, and than a load may with us on an idle machine
stalls_longer() {
    at_least "$1's stall in thousandths" "$(figure "$1" stalled)" $((before_stalled * 6 / 5)) &&
        at_least "$1's stall in thousandths" "$(figure "$1" stalled)" $stall_most
}

test_static() {
    before_ms=$(figure g3 reached_ms)
    before_stalled=$(figure g3 stalled)
    policy=static
    configure
    check "static shares are taken in" daemon reload
    check "all hold the same" within 60 alike
    most_ms=$((2 * before_ms + 5000)) # from its state before, which may be old
    loaded 240 g3
    check "a load thrashes: it is not there in twice the time" not_there g3
    check "and stands still for longer" stalls_longer g3
    policy=weighted
    configure
    check "the shares that follow need are taken in again" daemon reload
}

alike() {
    for n in $(seq $count); do
        near "g$n" "$(actual "g$n")" "$(actual g1)" || return 1
    done
}

test_more() {
    n=$count
    while [ "$n" -lt $count_most ] && start $((n + 1)); do
        n=$((n + 1))
    done
    say "  $n domains fit: $(sizes)"
    check "more than $count fit" at_least "domains" "$n" $((count + 2))
}

nobody_killed() {
    for n in $(seq $n); do
        at_most "workers of g$n killed for lack of memory" "$(state "g$n" kills)" 0 &&
            at_most "starts of the agent of g$n" "$(state "g$n" agents)" 1 || return 1
    done
}

test_promise() {
    check "nobody was killed for lack of memory" nobody_killed
    never_exceeded
}

run_groups start loads static more promise
