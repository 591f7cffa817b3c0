# SPDX-License-Identifier: ISC
# What ballast is to do on a real Xen. Run in dom0 by dom0-init (busybox sh); see README.md.
#
# About 1000 MiB are there for guests, of which each of the first four could take 512. The reserve is
# the same from begin to end, so that the observer's sums hold for the whole run. Memory is scarce, not
# plenty, because touching it is what takes the time here: some 25 MiB/s.
. /test/lib.sh

plan=60
host_mib=1280
dom0_mib=256
swap_disks=2

pool_mib=176 # free at rest: a guest can be started without asking others for memory
rest_mib=136 # what an idle guest needs, with room to grow, at the most

# --- helpers of these tests -----------------------------------------------------------------------

# spread NAME...: they hold the same, to a sixth: each may be an eighth from its share, for less of which
# nothing is moved that nobody needs, and some steps; and no more lies idle than the reserve and the pool
spread() {
    sum_kib=0
    for guest in "$@"; do
        sum_kib=$((sum_kib + $(actual "$guest")))
    done
    for guest in "$@"; do
        at_least "$guest" "$(actual "$guest")" $((sum_kib / $# * 5 / 6)) &&
            at_most "$guest" "$(actual "$guest")" $((sum_kib / $# * 7 / 6)) || return 1
    done
    at_most "free memory" "$(host_free)" $(((reserve_mib + pool_mib + 32) * 1024))
}

# eased NAME...: they have what they need and no more
eased() {
    for guest in "$@"; do
        holds_at_most "$guest" $((rest_mib * 1024)) || return 1
    done
}

# twice A B: B holds twice what A holds
twice() {
    near "$2" "$(actual "$2")" $((2 * $(actual "$1")))
}

# --- start ----------------------------------------------------------------------------------------

test_start() {
    since=$(now)
    check "a guest starts" start_all "one ballast vdb" || exit 1
    measure_patience $(($(now) - since))
    check "and three more, which together could take more than the host has" \
        start_all "two ballast vdc" "three ballast" "four ballast" || exit 1
    configure
    check "ballastd starts by its init script" daemon start || exit 1
    check "its status says that it runs" daemon status
    check "ballast shows dom0" is Domain-0 managed false
    check "ballast knows the four" within 20 known one two three four
    check "each posts in ballast's own dialect" within 20 each_posts
    # In the time that it takes nobody must have had to give for a minute.
    check "idle, they share what there is about equally" within 120 spread one two three four
}

each_posts() {
    for guest in one two three four; do
        is "$guest" dialect ballast && is "$guest" conduct cooperative || return 1
    done
}

# --- 1: a load that rises and falls ---------------------------------------------------------------

load_mib=350

# Memory kept up with the load, if hardly any of it was swapped out on the way.
hardly_swapped() {
    at_most "swapped MiB of $1" "$(state "$1" swap)" $((load_mib / 10))
}

others_gave() {
    for guest in two three four; do
        holds_at_most "$guest" $((rest_kib - 20 * 1024)) || return 1
    done
}

test_load() {
    rest_kib=$(actual one)
    since=$(now)
    load one $load_mib 50
    check "a load of $load_mib MiB in one guest finds its memory" carries one $load_mib
    say "  $(($(now) - since)) s; $(state one swap) MiB swapped out"
    check "which came before the guest was short of it" hardly_swapped one
    check "the guest holds it within seconds" within 5 holds_at_least one $((load_mib * 1024))
    check "the others gave what they do not need" others_gave
    since=$(now)
    load one 0
    surplus=keep # so that it moves at once
    configure
    check "what nobody needs is to be kept on the host" daemon reload
    check "when the load falls, it goes there" within 120 eased one two three four
    say "  $(($(now) - since)) s"
}

# --- 2: weights -----------------------------------------------------------------------------------

# three and four are given a large minimum, so that one and two have little: a load of more than
# that is then quickly there, and swaps no more than it must. Of what is there one is to get some 120 MiB
# and two twice as much.
large_min_mib=272
both_load_mib=240

large_minimums() {
    holds_at_least three $((large_min_mib * 1024)) && holds_at_least four $((large_min_mib * 1024))
}

both_carry() {
    carries one $both_load_mib && carries two $both_load_mib
}

both_want_more() {
    for guest in one two; do
        needs_at_least "$guest" $(($(actual "$guest") + 16 * 1024)) || return 1
    done
}

test_weights() {
    configure "two, weight=512, min=${min_mib}M" "three, min=${large_min_mib}M" \
        "four, min=${large_min_mib}M"
    check "a new configuration is taken in" daemon reload
    check "minimums that were raised are given" within 60 large_minimums
    minimums_ms=$(now_ms)
    load one $both_load_mib 50 15
    load two $both_load_mib 50 15
    check "a load above what is there, in two guests" both_carry
    check "weights 1:2 under equal load give sizes 1:2" settles 90 twice one two
    check "both would like to have more" both_want_more
    check "and nobody fell below the raised minimum" kept_large_minimums
    say "  $(sizes); swapped $(state one swap) and $(state two swap) MiB"
    at_rest one two
    configure
    check "the old configuration is taken in" daemon reload
    check "all are at rest again" within 120 eased one two three four
}

kept_large_minimums() {
    for guest in three four; do
        least=$(observer least "$samples" "$(domid $guest)" "$minimums_ms")
        at_least "$guest, at the least," "$least" $((large_min_mib * 1024)) || return 1
    done
}

# --- 5: domains come and go, the daemon dies ------------------------------------------------------

# The daemon is killed when this much of a move has been made.
part_kib=$((24 * 1024))
change_mib=300

test_changes() {
    load one $change_mib
    xl destroy four
    check "a guest that was destroyed is forgotten" within 20 not_known four
    check "its memory goes to who needs it" carries one $change_mib
    check "a guest that is started is looked after" launch five ballast
    check "and known" within 20 known five
    load one 0
    check "the four of now are at rest" within 120 eased one two three five

    before_kib=$(actual one)
    load one $change_mib
    check "a load makes sizes move" within 60 holds_at_least one $((before_kib + part_kib))
    check "SIGKILL ends the daemon in the middle" kill_daemon
    check "every domain stays as it is" nothing_moves 3
    check "the daemon starts again" daemon start
    check "it knows all domains" within 20 known one two three five
    check "and the move is finished" carries one $change_mib
    load one 0
}

# --- 4: other agents, and none --------------------------------------------------------------------

# Qubes' toolstack makes its agent's node writable.
allow_qubes_node() {
    node=/local/domain/$(domid "$1")/memory/meminfo
    xenstore-write "$node" "" && xenstore-chmod "$node" "n$(domid "$1")"
}

# These posts come once a second, and the guests have no swap: a load must not grow faster than the room
# to grow in that they are given, 32 MiB.
sparse_growth_mib_s=12
sparse_load_mib=120

# follows NAME NEED_KIB: with a load its need rises above what it was, and so does its memory
follows() {
    carries "$1" $sparse_load_mib && within 20 needs_at_least "$1" $(($2 + 60 * 1024)) &&
        within 20 holds_at_least "$1" $(($2 + 60 * 1024))
}

# entitled_to_twice A B: B is entitled to twice of what A is
entitled_to_twice() {
    near "what $2 is entitled to" "$(field "$2" entitled_kib)" $((2 * $(field "$1" entitled_kib)))
}

holds_its_share() {
    at_least "$1" "$(actual "$1")" $(($(field "$1" entitled_kib) * 95 / 100))
}

test_dialects() {
    xl destroy three
    xl destroy five
    check "a guest without an agent" launch silent none
    check "a guest with XenServer's nodes" launch tools xenserver
    check "a guest with Qubes' node" launch qubes qubes
    allow_qubes_node qubes
    check "of the silent one no more is known than what it holds" is silent dialect none
    check "XenServer's nodes are understood" within 20 is tools dialect xenserver
    check "Qubes' node is understood" within 20 is qubes dialect qubes
    tools_kib=$(field tools need_kib)
    qubes_kib=$(field qubes need_kib)
    load tools $sparse_load_mib $sparse_growth_mib_s
    load qubes $sparse_load_mib $sparse_growth_mib_s
    check "memory follows XenServer's figures" follows tools "$tools_kib"
    check "memory follows Qubes' figure" follows qubes "$qubes_kib"
    at_rest tools qubes
    check "and so it does when they fall, XenServer's" within 60 needs_at_most tools \
        $((tools_kib + 40 * 1024))
    check "and Qubes'" within 60 needs_at_most qubes $((qubes_kib + 40 * 1024))
    ballast set silent weight=512
    check "the silent one is entitled to the share of its weight" within 20 entitled_to_twice two silent
    check "and gets it" within 60 holds_its_share silent
    ballast set silent max=200M
    check "and no more than its maximum" within 60 holds_at_most silent $((200 * 1024))
}

# --- 6: a guest that does not let go --------------------------------------------------------------

# The frozen guest starts with more than the others, so that it is asked to let go.
frozen_mib=160
pair_load_mib=160

pair_carries() {
    carries one $pair_load_mib && carries two $pair_load_mib
}

load_pair() {
    load one "$1"
    load two "$1"
}

test_frozen() {
    xl destroy silent
    check "a guest with a frozen balloon starts" launch frozen ballast "" \
        initcall_blacklist=balloon_init $frozen_mib
    load_pair $pair_load_mib
    check "it is called unhelpful" within 90 is frozen conduct unhelpful
    frozen_kib=$(actual frozen)
    check "its cap is what it holds" at_most "cap of frozen" "$(cap frozen)" $((frozen_kib + 2048))
    check "the others get what they need" pair_carries
    load_pair 0
    check "when there is plenty, it gets nothing more" lasts 10 capped
    check "and the others are at rest" within 90 eased one two
}

capped() {
    at_most "cap of frozen" "$(cap frozen)" $((frozen_kib + 2048))
}

# --- 3: at every sample ---------------------------------------------------------------------------

never_below_minimum() {
    for file in /tmp/*.domid; do
        guest=$(basename "$file" .domid)
        at_least "$guest, at the least," "$(observer least "$samples" "$(cat "$file")" 0)" \
            $((min_mib * 1024)) || return 1
    done
}

no_worker_killed() {
    for guest in one two tools qubes frozen; do
        at_most "workers of $guest killed for lack of memory" "$(state "$guest" kills)" 0 || return 1
    done
}

agents_live() {
    for guest in one two frozen; do
        at_most "starts of the agent of $guest" "$(state "$guest" agents)" 1 || return 1
    done
}

test_promise() {
    check "the observer looked ten times a second" at_least "samples in ten seconds" \
        $(($(summary samples) * 10000 / $(summary duration_ms))) 100
    never_exceeded
    check "no domain was ever below its minimum" never_below_minimum
    check "no guest's work was killed for lack of memory" no_worker_killed
    check "no agent died" agents_live
    check "the daemon stops, by its init script" daemon stop
    check "and has gone" has_gone
}

run_groups start load weights changes dialects frozen promise
