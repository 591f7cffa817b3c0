# SPDX-License-Identifier: ISC
# Memory that moves: guests that size themselves, a famine, a swing, and dom0 as one of those that share.
. /test/lib.sh

plan=29
host_mib=1280
dom0_mib=288
swap_disks=3

reserve_mib=80
pool_mib=64
min_mib=112
start_mib=128
maxmem_mib=512
min_kib=$((min_mib * 1024))

# What nobody needs stays with whom it is; so that the others have to move, it is kept on the host, but
# where it is what is looked at.
surplus=spread

# configure [RULE]
configure() {
    cat >/etc/xen/ballast.conf <<END
reserve = '${reserve_mib}M'
pool = '${pool_mib}M'
grace = '5s'
surplus = '$surplus'
defaults = 'weight=256, min=${min_mib}M'
domains = [ $1 ]
END
}

at_rest() {
    for guest in "$@"; do
        load "$guest" 0
    done
}

test_start() {
    configure
    check "ballastd starts" daemon start || exit 1
    since=$(now)
    check "a guest starts" launch one ballast vdb || exit 1
    measure_patience $(($(now) - since))
    check "and two more" launch_others || exit 1
    check "ballast knows them" within 20 known one two three
}

launch_others() {
    launch_reserved two ballast vdc && launch_reserved three ballast vdd
}

# --- guests that size themselves ------------------------------------------------------------------

# The floor of one that may grow to 512 MiB is 168 MiB; an eighth of the way there each 5 s.
part_kib=$((40 * 1024))

from_inside() {
    xenstore-write "/local/domain/$(domid two)/data/selfballoon" "$1"
}

# What nobody needs is not moved for less than an eighth.
equal() {
    for guest in one three; do
        at_least two "$(actual two)" $(($(actual $guest) * 7 / 8)) &&
            at_most two "$(actual two)" $(($(actual $guest) * 9 / 8)) || return 1
    done
}

# It says nothing of a size of its own.
no_wish() {
    post=$(xenstore-read "/local/domain/$(domid two)/data/ballast/stats")
    if [ -n "$(word_of selftarget_kib "$post")" ]; then
        echo "$post"
        return 1
    fi
}

test_selfballoon() {
    check "at rest all hold about the same" within 150 equal
    before_kib=$(actual two)
    from_inside on
    check "a guest that is told so inside sizes itself" within 60 holds_at_most two \
        $((before_kib - part_kib))
    check "what it does not hold is others'" within 150 holds_at_least one $((before_kib + part_kib / 4))
    from_inside off
    check "told so, it leaves that to dom0 again" within 150 equal
    ballast set two selfballoon=on
    check "a guest that dom0 tells so sizes itself" within 60 holds_at_most two \
        $((before_kib - part_kib))
    since_ms=$(now_ms)
    load two 200
    check "it gets at once what it needs" carries two 200
    check "and nothing is swapped for it" at_most "swapped MiB" "$(state two swap)" 20
    at_rest two
    ballast set two max=180M
    within 60 holds_at_most two $((180 * 1024))
    since_ms=$(now_ms)
    load two 160
    carries two 160
    check "dom0's limit holds for it" at_most "two, at the most," \
        "$(observer most "$samples" "$(domid two)" "$since_ms")" $((181 * 1024))
    at_rest two
    ballast set two max=512M selfballoon=off
    from_inside on
    check "dom0's no goes before what is said inside" within 30 lasts 12 no_wish
    ballast set two selfballoon=default
    from_inside off
    surplus=keep
    configure
    daemon reload
}

# --- asking while there is nothing ----------------------------------------------------------------

waits() {
    is one reason share
}

test_famine() {
    size=300
    load two $size
    load three $size
    load one $size
    check "three ask for more than there is" within 120 waits
    since_ms=$(now_ms)
    waiting_kib=$(actual one)
    sleep 10
    at_rest two three
    check "when others need it no more, the one who waits has it, without asking anew" carries one \
        $size
    check "it has all it needs" within 60 holds_at_least one $(((size + 57) * 1024))
    check "and kept what it had in part" at_least "one, at the least," \
        "$(observer least "$samples" "$(domid one)" $since_ms)" $((waiting_kib * 9 / 10))
    at_rest one
}

# --- a swing --------------------------------------------------------------------------------------

swing_mib=330

# Once up and once down; the time up, and how long it stood still meanwhile, in ms
swing() {
    before=$(whole_state one)
    load one $swing_mib 100
    carries one $swing_mib || return 1
    sleep 5
    after=$(whole_state one)
    elapsed "$before" "$after" full_ms
    load one 0
    say "  $(word_of reached_ms "$after") ms, of which it waited $difference"
    sleep 15
    at_most "ms that it waited for memory" "$difference" $((3000 * patience)) &&
        holds_at_most one $((300 * 1024))
}

test_swing() {
    check "a guest swings between almost nothing and $swing_mib MiB" swing
    check "and again" swing
    check "and again" swing
}

# --- dom0 -----------------------------------------------------------------------------------------

dom0_gives() {
    figures=$(observer domain 0)
    at_most "dom0" "${figures% *}" $(((dom0_mib - 12) * 1024))
}

test_dom0() {
    dom0_min_mib=$((dom0_mib - 40))
    configure "'Domain-0, min=${dom0_min_mib}M, max=${dom0_mib}M'"
    check "dom0 is named in the configuration" daemon reload
    check "and shares" within 20 is Domain-0 managed true
    check "it posts, without an agent" within 30 is Domain-0 dialect ballast
    since_ms=$(now_ms)
    load one 300
    load two 300
    check "it gives what it does not need to who needs it" within 60 dom0_gives
    at_rest one two
    check "down to its minimum at most" at_least "dom0, at the least," \
        "$(observer least "$samples" 0 "$since_ms")" $((dom0_min_mib * 1024))
    configure
    daemon reload
    check "named no more, it is left alone" within 20 is Domain-0 managed false
}

# --- at every sample ------------------------------------------------------------------------------

test_promise() {
    never_exceeded
    check "no guest fell below its minimum, or lost a process" unharmed one two three
}

run_groups start selfballoon famine swing dom0 promise
