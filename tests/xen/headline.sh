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

count=15
count_most=22
reserve_mib=80
pool_mib=144
min_mib=88
start_mib=128
maxmem_mib=512

configure() {
    cat >/etc/xen/ballast.conf <<END
policy = "$1"
reserve = "${reserve_mib}M"
pool = "${pool_mib}M"
grace = "5s"
defaults = "min=${min_mib}M"
END
}

has_free_mib() {
    at_least "free memory" "$(host_free)" $(($1 * 1024))
}

launch() {
    within 60 has_free_mib $((reserve_mib + start_mib + 8)) &&
        start_guest "g$1" "$start_mib" $maxmem_mib ballast "$(swap_disk "$1")" &&
        within 60 started "g$1"
}

# --- a load, and what became of it ----------------------------------------------------------------

# Each is ordered for so long, of the guest's own time.
load_ms=20000
growth_mib_s=50

# loaded SIZE_MIB GUEST...: a load in each of the guests at once, from rest to rest. Leaves for each
# GUEST, in figures_GUEST, reached_ms, stalled (thousandths of the load's time) and touched (MiB).
loaded() {
    size=$1
    shift
    for guest in "$@"; do
        eval "before_$guest=\$(whole_state $guest)"
        load "$guest" "$size" $growth_mib_s
    done
    for guest in "$@"; do
        eval "before=\$before_$guest"
        until after=$(whole_state "$guest") && elapsed "$before" "$after" uptime_ms &&
            [ "$difference" -ge $load_ms ]; do
            usleep 300000
        done
        elapsed_ms=$difference
        elapsed "$before" "$after" full_ms
        stalled=$((difference * 1000 / elapsed_ms))
        elapsed "$before" "$after" touched
        reached_ms=$(word_of reached_ms "$after")
        eval "figures_$guest='reached_ms=$reached_ms stalled=$stalled touched=$difference'"
        say "  $guest, $size MiB: $(
            if [ "$reached_ms" -gt 0 ]; then echo "there after $reached_ms ms"; else
                echo "$(word_of held "$after") MiB of it came"; fi
        ), stalled $((stalled / 10)).$((stalled % 10)) % of $elapsed_ms ms, touched $difference MiB," \
            "swapped out $(word_of swap "$after") MiB"
    done
    for guest in "$@"; do
        load "$guest" 0
    done
}

whole_state() {
    xenstore-read "/local/domain/$(domid "$1")/data/state"
}

# elapsed BEFORE AFTER FIELD: sets difference
elapsed() {
    difference=$(($(word_of "$3" "$2") - $(word_of "$3" "$1")))
}

# figure GUEST FIELD
figure() {
    eval "word_of $2 \"\$figures_$1\""
}

# A rise takes no longer than this many times what the first guest's took, when it was alone and had
# all memory at once: so a busy machine slows both.
slowdown_most=3

served() {
    for guest in "$@"; do
        at_least "ms until $guest's load was there" "$(figure "$guest" reached_ms)" 1 &&
            at_most "ms until $guest's load was there" "$(figure "$guest" reached_ms)" \
                $((slowdown_most * alone_ms)) || return 1
    done
}

hardly_stalled() {
    for guest in "$@"; do
        at_most "$guest's stall in thousandths of its load's time" "$(figure "$guest" stalled)" 100 ||
            return 1
    done
}

test_start() {
    configure weighted
    check "ballastd starts" daemon start || exit 1
    since=$(now)
    check "a guest starts" launch 1 || exit 1
    measure_patience $(($(now) - since))
    within 60 at_least "g1" "$(actual g1)" $((400 * 1024))
    loaded 240 g1
    alone_ms=$(figure g1 reached_ms)
    since=$(now)
    check "fourteen more start, one after the other" launch_rest || exit 1
    say "  $(($(now) - since)) s: $(sizes)"
    check "all post" within 30 all_post
}

launch_rest() {
    for n in $(seq 2 $count); do
        launch "$n" || return 1
    done
}

all_post() {
    for n in $(seq $count); do
        is "g$n" dialect ballast || return 1
    done
}

test_loads() {
    for guests in "g3" "g7 g8" "g15" "g1 g9" "g12"; do
        set -- $guests
        size=$((80 + 160 / $#))
        loaded $size "$@"
        check "$size MiB in $guests: served in time" served "$@"
        check "and hardly stalled" hardly_stalled "$@"
        say "  $(sizes)"
    done
}

test_static() {
    configure static
    check "static shares are taken in" daemon reload
    sleep 10
    say "  $(sizes)"
    loaded 240 g3
    loaded 160 g7 g8
    configure weighted
    daemon reload
}

test_more() {
    n=$count
    while [ "$n" -lt $count_most ] && launch $((n + 1)); do
        n=$((n + 1))
        say "  $n: $(sizes)"
    done
}

if ! start_observer $((reserve_mib * 1024)); then
    say "the observer does not run"
    exit 1
fi
for group in start loads static more; do
    test_$group
    save_logs
done
say "observer: $(observer summary "$samples")"
