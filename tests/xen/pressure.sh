# SPDX-License-Identifier: ISC
# Memory that moves: guests that size themselves, a famine, a swing, and dom0 as one of those that share.
. /test/lib.sh

plan=40
host_mib=1280
dom0_mib=288
swap_disks=3
store=oxenstored

test_start() {
    since=$(now)
    check "a guest starts" start_all "one ballast vdb" || exit 1
    measure_patience $(($(now) - since))
    check "and two more" start_all "two ballast vdc" "three ballast vdd" || exit 1
    configure
    check "ballastd starts" daemon start || exit 1
    check "it knows those that were there before" within 20 known one two three
}

# --- guests that size themselves ------------------------------------------------------------------

# The floor of one that may grow to 512 MiB is 168 MiB; an eighth of the way there each 5 s.
part_kib=$((40 * 1024))

from_inside() {
    xenstore-write "/local/domain/$(domid two)/data/selfballoon" "$1"
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
    ballast set two min=300M
    check "a guest is given more than it needs" within 30 holds_at_least two $((300 * 1024))
    ballast set two min=${min_mib}M
    before_kib=$(actual two)
    free_kib=$(host_free)
    from_inside on
    check "a guest that is told so inside sizes itself" within 60 holds_at_most two \
        $((before_kib - part_kib))
    check "what it does not hold is there for others" at_least "free memory" "$(host_free)" \
        $((free_kib + part_kib / 2))
    from_inside off
    check "told so, it leaves that to dom0 again" within 30 no_wish
    ballast set two min=300M
    within 30 holds_at_least two $((300 * 1024))
    ballast set two min=${min_mib}M selfballoon=on
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
    load two 160 50 5
    carries two 160
    check "dom0's limit holds for it" at_most "two, at the most," \
        "$(observer most "$samples" "$(domid two)" "$since_ms")" $((181 * 1024))
    at_rest two
    ballast set two max=512M selfballoon=off
    from_inside on
    check "dom0's no goes before what is said inside" within 30 lasts 8 no_wish
    ballast set two selfballoon=default
    from_inside off
    # What nobody needs stays with whom it is; so that the others have to move it is kept on the host.
    surplus=keep
    configure
    daemon reload
}

# A toolstack that lets its guests size themselves, as that patch had it, makes its nodes writable. What
# such a guest wishes counts only as far as its share goes.
test_2008() {
    check "a guest that posts as the first patch for self-ballooning did starts" \
        launch_reserved old 2008
    for node in selftarget minimum; do
        xenstore-write "/local/domain/$(domid old)/memory/$node" 0
        xenstore-chmod "/local/domain/$(domid old)/memory/$node" "n$(domid old)"
    done
    ballast set old weight=1024
    check "its nodes are understood" within 20 is old dialect selfballoon
    old_kib=$(field old need_kib)
    # It has no swap, looks at itself once a second, and asks for little more than it has committed.
    load old 120 3
    check "and its memory follows what it asks for" within 60 \
        holds_at_least old $((old_kib + 60 * 1024))
    xl destroy old
    rm /tmp/old.domid
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

has_no_load() {
    at_most "MiB that $1 holds" "$(state "$1" held)" 0
}

# --- a swing --------------------------------------------------------------------------------------

swing_mib=330

# Once up and once down
swing() {
    within 20 has_no_load one || return 1
    before=$(whole_state one)
    load one $swing_mib 100
    carries one $swing_mib || return 1
    sleep 3
    after=$(whole_state one)
    elapsed "$before" "$after" full_ms
    load one 0
    reached_ms=$(word_of reached_ms "$after")
    say "  $reached_ms ms, of which it waited $difference"
    waits_little one "$difference" "$reached_ms" &&
        within 60 holds_at_most one $((200 * 1024))
}

test_swing() {
    check "a guest swings between almost nothing and $swing_mib MiB" swing
    check "and again" swing
}

# --- what is in use is taken -----------------------------------------------------------------------

# One uses a part of what it holds all the time, and the rest no more. As another grows, it is to let go so
# much that two thirds of that rest have to be paged out.
whole_mib=330
hot_mib=100
hot_sweep_mib_s=150
other_mib=430
window_ms=30000

# rate STATE STATE: sets rate to what is touched between the two, in KiB/s, and span_ms to their distance
rate() {
    elapsed "$1" "$2" uptime_ms
    span_ms=$difference
    elapsed "$1" "$2" touched
    rate=$((difference * 1024000 / span_ms))
}

# loses COMMAND...: what one gives in the time that follows, and what that costs it. Leaves given_mib,
# refaults_mib, slowed (thousandths of the rate at which it worked before), stalled (of the time), worst_ms.
loses() {
    at_rest one two
    ballast set one weight=256
    ballast set two max=140M
    within 20 has_no_load one && within 60 holds_at_most two $((140 * 1024)) || return 1
    load one $whole_mib 50 25 $hot_mib
    carries one $whole_mib || return 1
    load one $whole_mib 50 $hot_sweep_mib_s $hot_mib
    sleep 2
    quiet=$(whole_state one)
    sleep 5
    before=$(whole_state one)
    held_mib=$(($(actual one) / 1024))
    "$@"
    until after=$(whole_state one) && elapsed "$before" "$after" uptime_ms &&
        [ $difference -ge $window_ms ]; do
        usleep 300000
    done
    given_mib=$((held_mib - $(actual one) / 1024))
    rate "$quiet" "$before"
    quiet_rate=$rate
    rate "$before" "$after"
    slowed=$((1000 - rate * 1000 / quiet_rate))
    elapsed "$before" "$after" full_ms
    stalled=$((difference * 1000 / span_ms))
    elapsed "$before" "$after" refaults
    refaults_mib=$difference
    worst_ms=$(word_of worst_ms "$after")
    say "  gave $given_mib of $held_mib MiB; missed $refaults_mib MiB of what it uses; worked $slowed of 1000" \
        "more slowly, at the worst $worst_ms ms for a tenth of a second's; stalled $stalled of 1000;" \
        "swapped out $(word_of swap "$after") MiB; killed $(word_of kills "$after") times"
}

give_to_other() {
    ballast set one weight=32
    ballast set two max=512M
    load two $other_mib 20 1
    carries two $other_mib
}

# As by a daemon that sets where it wants a guest to be, again and again until it is there
take_at_once() {
    daemon stop
    far_mib=$((held_mib - moderated_mib))
    until_time=$(($(now) + 25))
    until [ "$(now)" -ge $until_time ]; do
        xl mem-set one $far_mib
        usleep 300000
        xl mem-set one $((far_mib - 1))
        usleep 300000
    done
}

# With its memory it gave up what it does not use, and hardly noticed. On a busy machine a guest may miss
# a page that it uses, wait long for it, use none of the others meanwhile, and so lose those, too, or not come
# to give: then it is tried again (README.md).
tries=5
stall_most=350

hardly_noticed() {
    at_most "MiB missed of what it uses" "$refaults_mib" $((hot_mib / 10)) &&
        at_most "thousandths by which it was slowed" "$slowed" 300 &&
        at_most "thousandths of the time that it stalled" "$stalled" $stall_most
}

gave_enough() {
    at_least "MiB given" "$given_mib" $((held_mib / 5))
}

test_moderated() {
    for try in $(seq $tries); do
        loses give_to_other && gave_enough >/dev/null && hardly_noticed >/dev/null && break
    done
    check "what another needs comes from one that uses a part of what it holds" \
        carries two $other_mib
    check "as much as was to" gave_enough
    check "and that works on" hardly_noticed
    moderated_mib=$given_mib
    loses take_at_once
    say "  that was the same set at once, again and again, which is no test: see README.md"
    check "the daemon starts again" daemon start
    at_rest one two
    ballast set two max=512M
}

# --- dom0 -----------------------------------------------------------------------------------------

dom0_gives() {
    figures=$(observer domain 0)
    at_most "dom0" "${figures% *}" $(((dom0_mib - 12) * 1024))
}

test_dom0() {
    dom0_min_mib=$((dom0_mib - 40))
    configure "Domain-0, min=${dom0_min_mib}M, max=${dom0_mib}M"
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

run_groups start selfballoon 2008 famine swing moderated dom0 promise store_ends
