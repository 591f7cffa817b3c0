# SPDX-License-Identifier: ISC
# For scripts that run in dom0 (busybox sh), sourced: guests, ballast, the observer, results.
# Sizes are KiB unless a name says MiB. Times are seconds of dom0's own clock.

samples=/var/log/samples

# Processes are dear under emulation: what is called again and again makes do without sed and cut.

# A script begins with plain numbers that tests/xen/run reads: plan (how many results there are; what
# never came counts as failed), and what its host is: host_mib, dom0_mib, swap_disks; and if they are not
# the usual ones, its store (oxenstored); cores=2: it keeps two cores busy by itself.
number=0

# What most of them have in common, for configure, launch and others.
reserve_mib=80
pool_mib=64
min_mib=112
start_mib=128
maxmem_mib=512
policy=weighted
surplus=spread # what nobody needs: or keep, on the host

say() {
    echo "# $*" >&3
}

# check TEXT COMMAND...: one result, and the command's status. What it prints explains a failure.
check() {
    text=$1
    shift
    number=$((number + 1))
    if explanation=$("$@" 2>&1); then
        echo "ok $number - $text" >&3
    else
        echo "not ok $number - $text" >&3
        [ -z "$explanation" ] || echo "$explanation" | sed 's/^/#   /' >&3
        say "  at $(now) s: $(sizes)"
        return 1
    fi
}

now() {
    read -r uptime _ </proc/uptime
    echo "${uptime%.*}"
}

now_ms() {
    read -r uptime _ </proc/uptime
    echo "${uptime%.*}${uptime#*.}0"
}

# Limits are meant for a machine with nothing else to do. A busy one gets so many times as much: see
# measure_patience.
patience=1

# measure_patience SECONDS: how long the first guest took to start; 5 s when the machine is idle.
measure_patience() {
    patience=$((1 + $1 / 10))
}

# Another host on the same cores may get busy at any time.
slower_beside_another=3

# within SECONDS COMMAND...: polls until the command succeeds, for so long, or longer where the machine may
# have other work; prints what it said last if it never does.
within() {
    deadline=$(($(now) + $1 * patience * slower_beside_another))
    shift
    until said=$("$@" 2>&1); do
        if [ "$(now)" -ge "$deadline" ]; then
            echo "not within the time limit: $*"
            [ -z "$said" ] || echo "$said"
            return 1
        fi
        usleep 300000
    done
}

# word_of KEY TEXT: the value of a word KEY=VALUE in a text
word_of() {
    for word in $2; do
        case $word in
        "$1="*) echo "${word#*=}" ;;
        esac
    done
}

# The first disk takes the logs, as a bare tar archive. Done after each group of tests, so that a run
# that is cut off leaves something to look at.
save_logs() {
    tar -c -f /dev/vda -C / var/log && sync
}

# --- guests ---------------------------------------------------------------------------------------

# start_guest NAME MEMORY_MIB MAXMEM_MIB AGENT [SWAP_DISK [KERNEL_ARGUMENT]]
start_guest() {
    guest_disk=
    guest_swap=
    if [ -n "$5" ]; then
        guest_disk="disk = [ 'phy:/dev/$5,xvda,w' ]"
        guest_swap="swap=yes"
    fi
    cat >"/tmp/$1.cfg" <<END
type = "pv"
name = "$1"
kernel = "/test/kernel"
ramdisk = "/test/guest.cpio"
extra = "console=hvc0 panic=-1 quiet mitigations=off cryptomgr.notests=1 agent=$4 $guest_swap $6"
memory = $2
maxmem = $3
vcpus = 1
on_crash = "destroy"
$guest_disk
END
    # -e: no xl of its own for each guest, which would cost dom0 more memory than all the rest. A guest
    # that is to reboot needs it: $create_by is for that, and for ballast reserve.
    ${create_by:-xl create -q -e} "/tmp/$1.cfg" || return 1
    note_domid "$1"
}

# swap_disk NUMBER: the name of one of the disks that there are to swap to, from 1
swap_disk() {
    echo "vd$(echo bcdefghijklmnopqrstuvwxyz | cut -c "$1")"
}

note_domid() {
    xl domid "$1" >"/tmp/$1.domid"
}

domid() {
    read -r domid <"/tmp/$1.domid" && echo "$domid"
}

# A guest has started when its PID 1 has written its first state.
started() {
    xenstore-read "/local/domain/$(domid "$1")/data/state" >/dev/null
}

has_free_mib() {
    at_least "free memory" "$(host_free)" $(($1 * 1024))
}

# launch NAME AGENT [SWAP_DISK [KERNEL_ARGUMENT [MEMORY_MIB]]]: starts a guest out of what is free
# above the reserve, as an operator who looks first.
launch() {
    memory_mib=${5:-$start_mib}
    within 60 has_free_mib $((reserve_mib + memory_mib + 8)) &&
        start_guest "$1" "$memory_mib" "$maxmem_mib" "$2" "$3" "$4" &&
        within 60 started "$1"
}

# launch_reserved NAME AGENT [SWAP_DISK [KERNEL_ARGUMENT]]: starts a guest with memory that is freed for
# it.
launch_reserved() {
    create_by="ballast reserve $((start_mib + 8)) -- xl create -q -e"
    start_guest "$1" "$start_mib" "$maxmem_mib" "$2" "$3" "$4" && within 60 started "$1"
}

# load NAME SIZE_MIB [GROWTH_MIB_S [SWEEP_MIB_S [HOT_MIB]]]: see guest-init.c. On a busy machine, where
# agent and daemon are slower too, it grows more slowly.
load() {
    xenstore-write "/local/domain/$(domid "$1")/data/work" \
        "$2 $((${3:-50} / patience)) ${4:-25} ${5:-0}"
}

# at_rest NAME...: without a load
at_rest() {
    for guest in "$@"; do
        load "$guest" 0
    done
}

# attack NAME [WORD]: see attacks.h; without a word it ends
attack() {
    xenstore-write "/local/domain/$(domid "$1")/data/attack" "$2"
}

# state NAME FIELD: a figure of data/state
state() {
    word_of "$2" "$(xenstore-read "/local/domain/$(domid "$1")/data/state")"
}

whole_state() {
    xenstore-read "/local/domain/$(domid "$1")/data/state"
}

# elapsed BEFORE AFTER FIELD: sets difference
elapsed() {
    difference=$(($(word_of "$3" "$2") - $(word_of "$3" "$1")))
}

# --- sizes as the hypervisor has them -------------------------------------------------------------

actual() {
    figures=$(observer domain "$(domid "$1")") && echo "${figures% *}"
}

cap() {
    figures=$(observer domain "$(domid "$1")") && echo "${figures#* }"
}

host_free() {
    figures=$(observer host) && echo "${figures#* }"
}

# All sizes in MiB, held and cap, on one line, for people.
sizes() {
    echo -n "host free $(($(host_free) / 1024))"
    for file in /tmp/*.domid; do
        [ -e "$file" ] && line=$(observer domain "$(cat "$file")" 2>/dev/null) || continue
        echo -n ", $(basename "$file" .domid) $((${line% *} / 1024)) of $((${line#* } / 1024))"
    done
}

start_observer() {
    observer watch "$samples" "$1" &
    within 10 test -s "$samples"
}

# summary FIELD [UNTIL_MS]: of all samples up to now
summary() {
    word_of "$1" "$(observer summary "$samples" $2)"
}

# never_exceeded [UNTIL_MS]: the promise, two results
never_exceeded() {
    say "observer: $(observer summary "$samples" $1)"
    check "the host's memory was never exceeded: free, claims, reserve and untaken" \
        at_most "samples" "$(summary headroom_broken $1)" 0
    check "the host's memory was never exceeded: sum of max(actual, cap) and reserve" \
        at_most "samples" "$(summary room_broken $1)" 0
}

# No domain's cap moves.
all_caps() {
    for file in /tmp/*.domid; do
        line=$(observer domain "$(cat "$file")") && echo "$(basename "$file" .domid) ${line#* }"
    done
}

same_caps() {
    caps_now=$(all_caps)
    if [ "$caps_now" != "$caps_before" ]; then
        echo "caps were $caps_before"
        echo "and are $caps_now"
        return 1
    fi
}

nothing_moves() {
    caps_before=$(all_caps)
    lasts "$1" same_caps
}

# unharmed GUEST...: none was below its minimum, or lost a process
unharmed() {
    for guest in "$@"; do
        at_least "$guest, at the least," "$(observer least "$samples" "$(domid "$guest")" 0)" \
            $((min_mib * 1024)) &&
            at_most "workers of $guest killed for lack of memory" "$(state "$guest" kills)" 0 &&
            at_most "starts of the agent of $guest" "$(state "$guest" agents)" 1 || return 1
    done
}

# run_groups GROUP...: test_GROUP one after the other, under the observer's eyes
run_groups() {
    if ! start_observer $((reserve_mib * 1024)); then
        say "the observer does not run"
        exit 1
    fi
    for group in "$@"; do
        test_$group
        save_logs
    done
}

# --- ballast --------------------------------------------------------------------------------------

# The daemon's words on one domain, as one line of JSON without braces, and without the objects in it.
# (An exit status of 3 is a warning about the host, and no failure here.)
query() {
    ballast status --json | tr -d '\n' | sed 's/: *{[^{}]*}/: null/g' | tr '{}' '\n\n' |
        grep "\"name\": *\"$1\""
}

# field NAME KEY: a member of it, without quotes
field() {
    query "$1" | sed -n "s/.*\"$2\": *\"\{0,1\}\([^\",]*\)\"\{0,1\}.*/\1/p"
}

# configure [RULE...]: the configuration, with rules for single domains
configure() {
    {
        echo "policy = '$policy'"
        echo "reserve = '${reserve_mib}M'"
        echo "pool = '${pool_mib}M'"
        echo "surplus = '$surplus'"
        echo "grace = '5s'"
        echo "defaults = 'weight=256, min=${min_mib}M'"
        echo "domains = ["
        for rule in "$@"; do
            echo "    '$rule',"
        done
        echo "]"
    } >/etc/xen/ballast.conf
}

daemon() {
    /etc/init.d/ballast "$@"
}

# The init script kills a daemon that does not end by itself; then its pid file is still there.
has_gone() {
    daemon status
    [ $? = 3 ]
}

kill_daemon() {
    kill -KILL "$(cat /run/ballast/ballastd.pid)"
}

# start_all "NAME AGENT [SWAP_DISK]"...: the first guests of a script, before the daemon: out of memory
# that nobody has
start_all() {
    for words in "$@"; do
        set -- $words
        start_guest "$1" $start_mib $maxmem_mib "$2" "$3" && within 60 started "$1" || return 1
    done
}

# --- the end of the store -------------------------------------------------------------------------

told_once() {
    lines=$(grep -c "the host cannot be observed" /var/log/syslog)
    at_least "lines about it" "$lines" 1 && at_most "lines about it" "$lines" 1
}

answers() {
    ballast status --json >/tmp/status || [ $? = 3 ]
}

# test_store_ends, five results: the last of a script, since neither xl nor a guest's state is to be had
# after it.
test_store_ends() {
    since_ms=$(now_ms)
    kill -KILL "$(cat /run/xenstored.pid)"
    check "when the store ends the daemon says so, once" settles 30 told_once
    check "it still answers" answers
    check "every domain stays as it is" nothing_moves 3
    check "and no more is promised than there is" at_most "the time for which the promise was broken" \
        "$(observer breach "$samples" "$since_ms")" 0
    daemon stop
    check "and the daemon ends when it is told to" has_gone
}

# --- comparisons, which explain themselves when they fail -----------------------------------------

# is NAME KEY VALUE
is() {
    value=$(field "$1" "$2")
    if [ "$value" != "$3" ]; then
        echo "$1: $2 is '$value', not '$3'"
        return 1
    fi
}

# at_least WHAT FIGURE LIMIT, at_most WHAT FIGURE LIMIT
at_least() {
    if [ -z "$2" ] || [ "$2" -lt "$3" ]; then
        echo "$1 is '$2', not at least $3"
        return 1
    fi
}

at_most() {
    if [ -z "$2" ] || [ "$2" -gt "$3" ]; then
        echo "$1 is '$2', not at most $3"
        return 1
    fi
}

# near WHAT FIGURE WANTED: within 5 %
near() {
    at_least "$1" "$2" $(($3 * 95 / 100)) && at_most "$1" "$2" $(($3 * 105 / 100))
}

# A load that rises waits no longer than this for its memory, all in all; or, where all that a guest does
# takes long, for half of the time in which it gets there.
wait_most_ms=3000

# waits_little NAME WAITED_MS REACHED_MS
waits_little() {
    limit=$(($3 / 2))
    [ $limit -ge $wait_most_ms ] || limit=$wait_most_ms
    at_most "ms that the load of $1 waited for memory" "$2" $limit
}

holds_at_least() {
    at_least "$1" "$(actual "$1")" "$2"
}

holds_at_most() {
    at_most "$1" "$(actual "$1")" "$2"
}

needs_at_least() {
    at_least "need of $1" "$(field "$1" need_kib)" "$2"
}

needs_at_most() {
    at_most "need of $1" "$(field "$1" need_kib)" "$2"
}

# A load that has not grown for so long has stopped to grow. How fast it grows while it does is the
# machine's matter.
load_patience_s=30

# carries NAME MIB: the load that was asked for is there, or will be
carries() {
    carried_last=-1
    while carried=$(state "$1" held) && [ "${carried:-0}" -lt "$2" ]; do
        if [ -z "$carried" ]; then
            echo "$1 has no load"
            return 1
        fi
        if [ "$carried" -gt "$carried_last" ]; then
            carried_last=$carried
            carried_since=$(now)
        elif [ $(($(now) - carried_since)) -gt $((load_patience_s * patience)) ]; then
            echo "the load of $1 does not go beyond $carried of $2 MiB"
            return 1
        fi
        usleep 300000
    done
}

# lasts SECONDS COMMAND...: true at each look for so long
lasts() {
    until_time=$(($(now) + $1))
    shift
    while [ "$(now)" -lt "$until_time" ]; do
        "$@" || return 1
        usleep 200000
    done
}

# settles SECONDS COMMAND...: within so long it is true, and stays so
settles() {
    settle_time=$1
    shift
    within "$settle_time" lasts 3 "$@"
}

known() {
    for guest in "$@"; do
        is "$guest" phase running || return 1
    done
}

not_known() {
    query Domain-0 >/dev/null && ! query "$1"
}
