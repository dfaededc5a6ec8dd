#!/bin/bash
# Spreads a network card's work for tipring: queues, ring sizes, hashing by port, and each queue's
# interrupt on a CPU of its own. Prints what it would do; does it only with --apply.
#
#   tuning/nic.sh eth0                      what would be done, interrupts on all CPUs
#   tuning/nic.sh --cpus 0-1 eth0           interrupts on CPUs 0 and 1: keep them off the shards'
#   tuning/nic.sh --cpus 0-1 --apply eth0   do it (root)
#
# To undo: tuning/nic.sh --undo eth0 prints the commands that bring back what is set now; save them
# before the first --apply. A reboot brings the driver's defaults back too.
set -euo pipefail

usage() { sed -n '2,11s/^# \{0,1\}//p' "$0"; }

apply=no undo=no cpus="" card=""
while [ $# -gt 0 ]; do
    case "$1" in
        --apply) apply=yes ;;
        --undo) undo=yes ;;
        --cpus) cpus="${2:?--cpus needs a list, like 0-1,4}"; shift ;;
        -h|--help) usage; exit 0 ;;
        -*) echo "unknown option $1" >&2; usage >&2; exit 2 ;;
        *) card="$1" ;;
    esac
    shift
done
if [ -z "$card" ]; then usage >&2; exit 2; fi
if [ ! -d "/sys/class/net/$card" ]; then
    echo "no network card $card; there are: $(ls /sys/class/net | tr '\n' ' ')" >&2
    exit 1
fi

# Prints a command, and runs it when told to. A card that lacks a feature is no reason to stop.
step() {
    echo "$*"
    if [ "$apply" = yes ]; then
        bash -c "$*" || echo "# refused: the card or driver does not support this" >&2
    fi
}

# 0-2,5 -> 0 1 2 5
list() {
    local part
    for part in ${1//,/ }; do seq "${part%-*}" "${part#*-}"; done
}

# Numbers of the card's interrupts, in the order of its queues.
interrupts() {
    if [ -d "/sys/class/net/$card/device/msi_irqs" ]; then
        ls "/sys/class/net/$card/device/msi_irqs" | sort -n
    else
        awk -F: -v card="$card" '$0 ~ card { gsub(/ /, "", $1); print $1 }' /proc/interrupts
    fi
}

# The current (below "Current hardware settings") or largest value of one of ethtool's numbers.
ethtool_number() { # option name current|largest
    ethtool "$1" "$card" 2>/dev/null | awk -v name="$2:" -v want="$3" '
        /^Current/ { current = 1 }
        $1 == name && ((want == "current") == current) { print $2; exit }'
}

if [ "$undo" = yes ]; then
    for name in RX TX; do
        now=$(ethtool_number -g "$name" current)
        if [ -n "$now" ]; then echo "ethtool -G $card ${name,,} $now"; fi
    done
    now=$(ethtool_number -l Combined current)
    if [ -n "$now" ]; then echo "ethtool -L $card combined $now"; fi
    for irq in $(interrupts); do
        echo "echo $(cat "/proc/irq/$irq/smp_affinity_list") > /proc/irq/$irq/smp_affinity_list"
    done
    exit 0
fi

mapfile -t places < <(list "${cpus:-0-$(($(nproc --all) - 1))}")
if [ "$apply" = no ]; then echo "# dry run; --apply does it"; fi

if command -v ethtool > /dev/null; then
    echo "# Queues: one for each CPU that takes interrupts."
    most=$(ethtool_number -l Combined largest)
    if [[ "$most" =~ ^[0-9]+$ ]]; then
        queues=$((most < ${#places[@]} ? most : ${#places[@]}))
        step "ethtool -L $card combined $queues"
    fi
    echo "# Rings: the longest, so that a burst waits on the card instead of being lost there."
    for name in RX TX; do
        most=$(ethtool_number -g "$name" largest)
        if [[ "$most" =~ ^[0-9]+$ ]]; then step "ethtool -G $card ${name,,} $most"; fi
    done
    echo "# Hash UDP by ports too: a trunk is one pair of addresses, and would fill one queue."
    step "ethtool -N $card rx-flow-hash udp4 sdfn"
    step "ethtool -N $card rx-flow-hash udp6 sdfn"
else
    echo "# ethtool is not installed: queues, rings and hashing are left as they are"
fi

echo "# Interrupts: queue n on CPU n of the list. Stop irqbalance, or it moves them back."
if pgrep -x irqbalance > /dev/null; then step "systemctl stop irqbalance"; fi
n=0
for irq in $(interrupts); do
    step "echo ${places[$((n % ${#places[@]}))]} > /proc/irq/$irq/smp_affinity_list"
    n=$((n + 1))
done
if [ "$n" = 0 ]; then echo "# $card has no interrupts of its own (a virtual or loopback card)"; fi
