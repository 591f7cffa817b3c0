# SPDX-License-Identifier: ISC
# Guests that are malicious on purpose (attacks.h), each beside two that are not and would like to have
# more memory than is there. Nobody gains by it, nobody is harmed by it, and the daemon does not mind.
. /test/lib.sh

plan=37
host_mib=1280
dom0_mib=256
swap_disks=2

pool_mib=176

# The load of the innocent, which with what it needs besides is about what the attacker leaves it when
# both are served alike.
load_mib=250
used_kib=$(((load_mib + 90) * 1024))

# With its room to grow, an eighth of that, but for a step of memory and what is rounded.
roomy_kib=$(((load_mib + 118) * 1024))

# Both of them need so much more than there is beside an attacker that takes.
squeeze_mib=320

# --- what it costs --------------------------------------------------------------------------------

# The daemon's processor time so far, in hundredths of a second
cpu() {
    read -r line <"/proc/$daemon_pid/stat"
    set -- ${line##*) }
    echo $((${12} + ${13}))
}

resident() {
    sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB$/\1/p' "/proc/$daemon_pid/status"
}

log_lines() {
    grep -c ballastd /var/log/syslog
}

begin_costs() {
    begin_ms=$(now_ms)
    begin_cpu=$(cpu)
    begin_lines=$(log_lines)
}

# Processor time since then in thousandths
cpu_share() {
    echo $((($(cpu) - begin_cpu) * 10000 / ($(now_ms) - begin_ms)))
}

# Of an emulated processor, some fifty times as slow as a real one.
cpu_most=500
resident_most_kib=2048
lines_most=40

cheap() {
    at_most "its processor time, in thousandths," "$(cpu_share)" $cpu_most &&
        at_most "the growth of its memory, in KiB," $(($(resident) - quiet_resident)) \
            $resident_most_kib &&
        at_most "its lines in the log" $(($(log_lines) - begin_lines)) $lines_most
}

# --- an attack, and a load beside it --------------------------------------------------------------

# served: the load of the innocent gets memory, while the attack goes on
served() {
    load one $load_mib
    carries one $load_mib && settles 30 no_less_than one "$1" $used_kib
}

# no_less_than INNOCENT ATTACKER KIB: the one who needs memory holds at least what the attacker holds, or so
# much: what it might grow into comes after what the other says that it uses, until that insists
no_less_than() {
    enough=$(($(actual "$2") * 95 / 100))
    [ $enough -le "$3" ] || enough=$3
    at_least "$1" "$(actual "$1")" $enough
}

# roomy ATTACKER: and has room to grow when the attacker has said for a minute that it uses all that it has
roomy() {
    load one $load_mib
    carries one $load_mib && settles 120 no_less_than one "$1" $roomy_kib
}

attacker() {
    launch "$1" none || say "the attacker '$1' does not start"
    within 20 known "$1"
}

# attacked WORD GUEST: two lines on an attack of a guest. It is left running.
attacked() {
    attack "$2" "$1"
    sleep 3
    begin_costs
    check "$1: the attacker gets no more than one that needs memory, and that is served" served "$2"
    sleep 5
    check "$1: it costs the daemon little" cheap
    say "  $(cpu_share) of 1000 of its processor, $(($(log_lines) - begin_lines)) lines;" \
        "$2 is $(field "$2" conduct); $(sizes)"
    at_rest one two
}

ended() {
    dead=$(domid "$1")
    xl destroy "$1"
    rm "/tmp/$1.domid"
    within 20 not_known "$1" && lasts 2 no_trace "$dead"
}

# Who writes to a domain that has gone makes its directory anew.
no_trace() {
    if xenstore-read "/local/domain/$1/memory/target" 2>/dev/null; then
        echo "domain $1 is dead, and there is a target of it in the store"
        return 1
    fi
}

# --- the tests ------------------------------------------------------------------------------------

test_start() {
    since=$(now)
    check "an innocent guest starts" start_all "one ballast vdb" || exit 1
    measure_patience $(($(now) - since))
    check "and another" start_all "two ballast vdc" || exit 1
    configure
    check "ballastd starts" daemon start || exit 1
    read -r daemon_pid </run/ballast/ballastd.pid
    within 20 known one two
    sleep 5
    begin_costs
    load one $load_mib
    check "without an attack a load gets its memory" carries one $load_mib
    quiet_resident=$(resident)
    say "  $(cpu_share) of 1000 of the daemon's processor, $quiet_resident KiB"
    at_rest one two
}

# On a busy machine who grabs may come too late, and have given all before.
found_out() {
    is "$1" conduct malicious ||
        { [ "$1" = grab ] && holds_at_most grab $(((min_mib + 2) * 1024)); }
}

test_attacks() {
    # What makes noise and no more is one guest's.
    attacker noise
    for word in rubbish storm nodes; do
        attacked $word noise
    done
    check "nothing is left of the attacker" ended noise
    attacker lie
    attacked lie lie
    check "lie: it does not have what others may grow into" roomy lie
    at_rest one two
    check "lie: nothing is left of the attacker" ended lie
    for word in grab regain; do
        attacker $word
        attacked $word $word
        # So that it is asked to give.
        load one $squeeze_mib
        load two $squeeze_mib
        check "$word: it is found out, or has given all" within 60 found_out $word
        at_rest one two
        check "$word: nothing is left of the attacker" ended $word
    done
}

# Domains that end when memory is on its way to them
test_ends() {
    check "a guest starts" launch three ballast
    load three 200 12
    check "it is given memory" within 60 holds_at_least three $(((start_mib + 40) * 1024))
    check "it dies then, and nothing is left of it" ended three
    load one $load_mib
    check "its memory goes to who needs it" carries one $load_mib
    at_rest one two
}

# reborn NAME OF: another domain, at once and under the number of one that ends
reborn() {
    create_by="ballast reserve $((start_mib + 8)) -- env LIBXL_DOMID_REUSE_TIMEOUT=0
        DOMID=$(domid "$2") LD_PRELOAD=/usr/lib/same-domid.so xl create -q -e"
    xl destroy "$2"
    start_guest "$1" $start_mib $maxmem_mib ballast && within 60 started "$1" &&
        [ "$(domid "$1")" = "$(domid "$2")" ]
    result=$?
    create_by=
    return $result
}

# A number is used again at the worst moment: while what its owner did is held against it, and memory is
# on its way to it.
test_reuse() {
    attacker heir
    attack heir grab
    load one $squeeze_mib
    load two $squeeze_mib
    within 60 is heir conduct malicious || say "heir is $(field heir conduct)"
    at_rest one two
    check "a domain starts under the number of one that is malicious" reborn five heir
    check "and is not taken for it" within 30 is five conduct cooperative
    load five 200 12
    check "it is given memory" within 60 holds_at_least five $(((start_mib + 40) * 1024))
    xl destroy five
}

# The operator, behind our back: more than there is
operator_load_mib=350

told() {
    at_least "warnings of the host's memory" "$(grep -c HEADROOM:.*missing /var/log/syslog)" 2
}

test_operator() {
    load one $operator_load_mib
    carries one $operator_load_mib
    promised_ms=$(now_ms)
    xl mem-set two 512
    check "a target that somebody else set beyond what is there is taken back at once" \
        breach_ends $promised_ms
    say "  $(observer breach "$samples" $promised_ms) ms"
    since_ms=$(now_ms)
    xl mem-max one 700
    check "so is a cap" breach_ends $since_ms
    say "  $(observer breach "$samples" $since_ms) ms; $(sizes)"
    check "the log tells of both" told
    load one $load_mib
    check "and loads are served as before" carries one $load_mib
    at_rest one two
}

breach_most_ms=2000

breach_ends() {
    sleep 3
    at_most "the time for which the promise was broken" "$(observer breach "$samples" "$1")" \
        $((breach_most_ms * patience))
}

# What the operator does is not held against the daemon: so only until then.
test_promise() {
    never_exceeded $promised_ms
    check "no innocent guest fell below its minimum, or lost a process" unharmed one two
}

run_groups start attacks ends reuse operator promise
