#!/bin/bash
# Prints what this machine is set to against what tuning/ wants, and how to get there. Changes nothing.
#
#   tuning/check.sh                 the kernel, this shell's limits, the machine
#   tuning/check.sh PID             a running tipring's limits instead of this shell's
#   tuning/check.sh PID eth0        and a network card
#
# Exit code 0 when everything is as wanted, 1 otherwise. `tipring doctor` asks the kernel itself about
# io_uring, eBPF and segmentation.
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
process=${1:-$$}
card=${2:-}
off=0

if [ ! -r "/proc/$process/limits" ]; then
    echo "no process $process, or not allowed to look at it" >&2
    exit 2
fi

# row WHAT FOUND WANTED VERDICT HOW
row() {
    printf '%-5s %-40s %-12s %-16s %s\n' "$4" "$1" "$2" "$3" "$5"
    if [ "$4" != ok ]; then off=$((off + 1)); fi
}

at_least() { # what found wanted how
    local verdict=ok how=""
    if ! [[ "$2" =~ ^[0-9]+$ ]] || [ "$2" -lt "$3" ]; then verdict=LOW how=$4; fi
    row "$1" "${2:-not there}" ">= $3" "$verdict" "$how"
}

exactly() { # what found wanted how
    if [ "$2" = "$3" ]; then row "$1" "$2" "$3" ok ""; else row "$1" "${2:-not there}" "$3" DIFF "$4"; fi
}

printf '%-5s %-40s %-12s %-16s %s\n' "" what found wanted "what to do"

# Each line of the sysctl file is one wish; numbers that bound something may be larger.
while IFS='=' read -r key value; do
    key=${key// /} value=${value// /}
    found=$(sysctl -n "$key" 2>/dev/null)
    how="sysctl -w $key=$value (tuning/sysctl.d/90-tipring.conf)"
    case "$key" in
        kernel.io_uring_disabled|vm.swappiness) exactly "$key" "$found" "$value" "$how" ;;
        *) at_least "$key" "$found" "$value" "$how" ;;
    esac
done < <(grep -E '^[a-z]' "$here/sysctl.d/90-tipring.conf")

limit() { # name -> soft limit, unlimited as a very large number
    awk -v name="$1" 'index($0, name) == 1 { print $(NF - 2) == "unlimited" ? 2 ^ 53 : $(NF - 2) }' \
        "/proc/$process/limits" | cut -d. -f1
}
at_least "max locked memory (pid $process)" "$(limit 'Max locked memory')" 8388608 \
    "LimitMEMLOCK=infinity, or ulimit -l unlimited"
# One for each media port, and some hundred others.
at_least "max open files (pid $process)" "$(limit 'Max open files')" 16384 "LimitNOFILE=524288"

governors=$(cat /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor 2>/dev/null | sort -u | tr '\n' ' ')
exactly "cpu governor" "$(echo ${governors:-performance})" performance "cpupower frequency-set -g performance"
thp=$(sed -n 's/.*\[\(.*\)\].*/\1/p' /sys/kernel/mm/transparent_hugepage/enabled 2>/dev/null)
if [ "${thp:-madvise}" = always ]; then
    row "transparent huge pages" always "madvise or never" DIFF \
        "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled (pauses while pages are gathered)"
else
    row "transparent huge pages" "${thp:-not there}" "madvise or never" ok ""
fi

# Packets lost before any socket saw them: the second column of softnet_stat, hexadecimal, per CPU.
lost=0
while read -r _ dropped _; do lost=$((lost + 16#$dropped)); done < /proc/net/softnet_stat
exactly "backlog drops since boot" "$lost" 0 "net.core.netdev_max_backlog, more queues (tuning/nic.sh)"
full=$(awk '/^Udp: [0-9]/ { print $6 }' /proc/net/snmp)
exactly "UDP receive buffer drops, all programs" "$full" 0 "udp.receive_buffer_bytes, or more shards"

if [ -n "$card" ]; then
    if [ ! -d "/sys/class/net/$card" ]; then echo "no network card $card" >&2; exit 2; fi
    exactly "$card rx_dropped" "$(cat "/sys/class/net/$card/statistics/rx_dropped")" 0 "tuning/nic.sh $card"
    queues=$(ls -d "/sys/class/net/$card/queues"/rx-* 2>/dev/null | wc -l)
    at_least "$card receive queues" "$queues" 2 "tuning/nic.sh $card"
    if pgrep -x irqbalance > /dev/null; then
        row irqbalance running stopped DIFF "systemctl stop irqbalance, when tuning/nic.sh was applied"
    fi
fi

echo
if [ "$off" = 0 ]; then echo "everything is as wanted"; exit 0; fi
echo "$off of these are not as wanted"
exit 1
