# SPDX-License-Identifier: ISC
# What domains go through, and what operators do with them, while memory moves between them.
. /test/lib.sh

plan=74
host_mib=1280
dom0_mib=256
swap_disks=3

cap_is() {
    at_least "cap of $1" "$(cap "$1")" "$2" && at_most "cap of $1" "$(cap "$1")" "$2"
}

loads() {
    for guest in "$@"; do
        load "$guest" $size
    done
    for guest in "$@"; do
        carries "$guest" $size || return 1
    done
}

# --- domains that were there before the daemon ----------------------------------------------------

test_before() {
    since=$(now)
    check "a guest starts without the daemon" start_all "one ballast vdb" || exit 1
    measure_patience $(($(now) - since))
    check "and another" start_all "two ballast vdc" || exit 1
    configure
    check "ballastd starts" daemon start || exit 1
    check "it knows those that were there before" within 20 known one two
    size=250
    check "and gives one of them what it needs" loads one
    at_rest one
}

# --- reservations ---------------------------------------------------------------------------------

test_reserve() {
    since_ms=$(now_ms)
    check "a guest starts with memory that is freed for it" launch_reserved three ballast
    say "  $(($(now_ms) - since_ms)) ms"
    check "and is known" within 20 known three
    check "a reservation is kept" ballast reserve 128 --for 600 --wait 30
    kept_kib=$(host_field reserved_kib)
    check "and counted" at_least "reserved memory" "$kept_kib" $((128 * 1024))
    check "the daemon is killed" kill_daemon
    check "and starts again" daemon start
    check "the reservation is there again" within 20 still_reserved
    check "one that cannot be met is refused, and says why" refused_with_reason
    say "  $(cat /tmp/refused)"
    check "two at once are both met" both_reserved
    check "what has expired is given back" within 30 nothing_reserved
    ballast reserve 100 --wait 60 -- sleep 600 &
    client=$!
    check "one is held for a command" within 30 held_for_command
    kill -KILL $client
    check "and given back when who asked for it dies" within 20 nothing_reserved
}

host_field() {
    ballast status --json | tr -d '\n ' | grep -o "\"$1\":[0-9]*" | sed -n '1s/.*://p'
}

still_reserved() {
    at_least "reserved memory" "$(host_field reserved_kib)" "$kept_kib"
}

held_for_command() {
    at_least "reserved memory" "$(host_field reserved_kib)" $((100 * 1024))
}

nothing_reserved() {
    at_most "reserved memory" "$(host_field reserved_kib)" 0
}

refused_with_reason() {
    if ballast reserve 4096 --wait 5 >/tmp/refused 2>&1; then
        echo "4 GiB were reserved"
        return 1
    fi
    grep -q "one keeps" /tmp/refused || ! cat /tmp/refused
}

both_reserved() {
    release_all
    ballast reserve 100 --for 5 --wait 60 >/tmp/first 2>&1 &
    first=$!
    ballast reserve 100 --for 5 --wait 60 >/tmp/second 2>&1 && wait $first
}

release_all() {
    for number in $(seq 20); do
        ballast release "$number" 2>/dev/null
    done
}

# --- paused, renamed ------------------------------------------------------------------------------

test_pause() {
    xl pause two
    check "a guest that is paused is seen to be" within 20 is two phase paused
    cap_kib=$(cap two)
    size=150
    check "others are served meanwhile" loads one three
    check "and it is left alone" cap_is two "$cap_kib"
    xl unpause two
    at_rest one three
    check "it goes on" within 20 is two phase running
    check "and is given what it needs" loads two
    at_rest two

    xl rename two second
    mv /tmp/two.domid /tmp/second.domid
    check "a guest that is renamed is known by its new name" within 20 known second
    configure "second, max=200M"
    daemon reload
    check "and a rule for that name counts" within 60 holds_at_most second $((200 * 1024))
    configure
    daemon reload
    xl rename second two
    mv /tmp/second.domid /tmp/two.domid
    check "and back" within 20 known two
}

# --- save, restore, reboot, crash, shutdown -------------------------------------------------------

save() {
    xl save two /dev/vdd && within 20 not_known two
}

restore() {
    ballast reserve $((saved_kib / 1024 + 8)) -- xl restore -e /dev/vdd && note_domid two &&
        within 30 known two
}

posts() {
    at_most "the age of its post, in ms," "$(field "$1" post_age_ms)" 15000
}

test_save() {
    ballast set two max=140M
    within 30 holds_at_most two $((140 * 1024))
    saved_kib=$(actual two)
    check "a guest is saved, and forgotten" save
    check "it is restored, and known" restore
    check "it holds what it held" near two "$(actual two)" "$saved_kib"
    check "it posts again" within 30 posts two
    ballast set two max=512M
    load two 200
    check "it is given what it needs" within 60 holds_at_least two $(((200 + 57) * 1024))
    at_rest two
}

rebooted() {
    id=$(xl domid three) && [ "$id" != "$old" ] && note_domid three && started three
}

test_ends() {
    xl destroy three
    # Without -e, which a guest that is to reboot cannot have; memory moves, so it is started with a
    # reservation, as the others are.
    create_by="ballast reserve $((start_mib + 8)) -- xl create -q"
    check "a guest that can reboot starts" launch three ballast "" sysrq_always_enabled || return
    old=$(domid three)
    within 20 known three
    # Else what it holds goes to others as soon as it has ended. It comes back with as much.
    ballast reserve $(($(actual three) / 1024 + 8)) --name three --for 300
    xl reboot three
    check "it reboots into the memory that is held for it" within 60 rebooted
    check "and is looked after" within 30 posts three
    load three 200
    check "and given what it needs" within 60 holds_at_least three $(((200 + 57) * 1024))

    # As xl has it, it would be destroyed at once; so this one is nobody's.
    create_by=
    xl destroy three
    rm /tmp/three.domid
    check "a guest that nobody waits for starts" \
        launch_reserved four ballast "" sysrq_always_enabled
    within 20 known four
    xl sysrq four c
    check "it crashes, and is seen to have" within 30 is four phase shutdown
    check "what it holds counts, and nobody touches it" lasts 5 cap_is four "$(cap four)"
    dead=$(domid four)
    xl destroy four
    check "when it is destroyed, nothing is left of it" within 20 not_known four

    check "a guest starts" launch_reserved five ballast
    within 20 known five
    load five 200
    check "memory moves to it" within 60 holds_at_least five $(((start_mib + 40) * 1024))
    xl shutdown five
    check "it shuts down in the middle" within 60 is five phase shutdown
    xl destroy five
    rm /tmp/four.domid /tmp/five.domid
    check "and is forgotten" within 20 not_known five
    size=250
    check "what it held goes to who needs it" loads one
    at_rest one
}

# --- what is around the daemon breaks -------------------------------------------------------------

set_clock() {
    date -s "@$(($(date +%s) + $1))" >/dev/null
}

# A day and more, as when the first time server is heard: while memory moves, and while the daemon is down.
test_clock() {
    check "a reservation is kept" ballast reserve 100 --for 600 --wait 30
    size=250
    load one $size
    set_clock 100000
    check "the clock jumps ahead, and a load is served" carries one $size
    set_clock -200000
    at_rest one
    load two $size
    check "it jumps back, and another is" carries two $size
    check "what is reserved is kept" at_least "reserved memory" "$(host_field reserved_kib)" \
        $((100 * 1024))
    check "the daemon stops" daemon stop
    set_clock 200000
    check "and starts a day later" daemon start
    set_clock -100000
    kept_kib=$((100 * 1024))
    check "what was reserved is so still" within 20 still_reserved
    release_all
    at_rest two
}

# What it calls stands still for longer than a round may take
test_slow_store() {
    load one $size
    sleep 1
    kill -STOP "$(cat /run/xenstored.pid)"
    sleep 6
    kill -CONT "$(cat /run/xenstored.pid)"
    check "the store stands still for a while, and a load is served" carries one $size
    at_rest one
}

fill_disk() {
    dd if=/dev/zero of=/run/ballast/fill bs=4k 2>/dev/null
    [ "$(df -k /run/ballast | awk 'END { print $4 }')" = 0 ]
}

log_to() {
    killall syslogd
    syslogd -O "$1"
}

refuses_to_start() {
    if daemon start >/tmp/started 2>&1; then
        echo "it starts"
        return 1
    fi
    grep "No space left" /tmp/started || ! cat /tmp/started
}

# Where the process id and the log are written
test_disk() {
    daemon stop
    mount -t tmpfs -o size=64k tmpfs /run/ballast
    check "a disk is full" fill_disk
    check "there the daemon does not start, and says why" refuses_to_start
    rm -f /run/ballast/fill /run/ballast/ballastd.pid
    check "with room on it, it does" daemon start
    log_to /run/ballast/syslog
    check "it gets full" fill_disk
    check "a domain that is started is known" launch_reserved six ballast
    load six 200
    check "and served" carries six 200
    check "the daemon answers" answers
    xl destroy six
    rm /tmp/six.domid
    check "and stops" daemon stop
    log_to /var/log/syslog
    umount /run/ballast
    check "and starts again" daemon start
}

# All but a little of dom0's memory is taken, by what cannot be paged out.
left_kib=$((16 * 1024))

take_memory() {
    dd if=/dev/zero of=/taken bs=1M \
        count=$((($(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo) - left_kib) / 1024)) 2>/dev/null
    at_most "what dom0 has left, in KiB," "$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)" \
        $((left_kib + 4096))
}

killed_last() {
    at_most "the daemon's score" "$(cat "/proc/$(cat /run/ballast/ballastd.pid)/oom_score_adj")" -900
}

test_no_memory() {
    check "before the daemon, others would be killed for lack of memory" killed_last
    check "dom0 has hardly any memory left" take_memory
    load two $size
    check "a load is served nevertheless" carries two $size
    check "and the daemon answers" answers
    rm /taken
    at_rest two
}

# --- a configuration that comes late --------------------------------------------------------------

test_late_file() {
    daemon stop
    mv /etc/xen/ballast.conf /etc/xen/later.conf
    check "without a configuration the daemon starts" daemon start
    mv /etc/xen/later.conf /etc/xen/ballast.conf
    daemon reload
    check "one that comes later is taken in" within 30 is one min_kib $((min_mib * 1024))
}

# --- at every sample ------------------------------------------------------------------------------

# A guest that boots again starts its agent again.
kept_working() {
    for guest in one two; do
        at_least "$guest, at the least," "$(observer least "$samples" "$(domid "$guest")" 0)" \
            $((min_mib * 1024)) &&
            at_most "workers of $guest killed for lack of memory" "$(state "$guest" kills)" 0 ||
            return 1
    done
}

test_promise() {
    never_exceeded
    check "no guest fell below its minimum, or lost a process" kept_working
}

run_groups before reserve pause save ends clock slow_store disk no_memory promise late_file store_ends
