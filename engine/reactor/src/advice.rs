//! What an operator can do about each thing that may be missing. One text for each, used both by
//! the errors that stop a start and by the findings `doctor` prints, so that they agree.

pub(crate) const IO_URING: &str = "allow io_uring: sysctl kernel.io_uring_disabled=0; in a container \
     use a seccomp profile that permits io_uring_setup, io_uring_enter and io_uring_register";
pub(crate) const KERNEL: &str = "use Linux 6.1 or newer (DEFER_TASKRUN and multishot receive)";
pub(crate) const MEMLOCK: &str = "raise the locked memory limit: LimitMEMLOCK=infinity in the systemd unit, or ulimit -l unlimited";
pub(crate) const NOFILE: &str = "raise the hard limit of open files: LimitNOFILE=524288 in the systemd unit, or ulimit -Hn \
     524288; or use a smaller port range";
pub(crate) const RECEIVE_BUFFER: &str =
    "sysctl net.core.rmem_max=16777216, or give CAP_NET_ADMIN, which may exceed it";
pub(crate) const SEND_BUFFER: &str =
    "sysctl net.core.wmem_max=16777216, or give CAP_NET_ADMIN, which may exceed it";
pub(crate) const STEERING: &str = "give CAP_BPF (AmbientCapabilities=CAP_BPF in the systemd unit); \
     without it datagrams are handed from shard to shard in user space, which is slower but right";
pub(crate) const NET_ADMIN: &str = "give CAP_NET_ADMIN (AmbientCapabilities in the systemd unit) so that socket buffers may exceed \
     net.core.rmem_max and wmem_max";
pub(crate) const NICE: &str =
    "give CAP_SYS_NICE only if shards shall run with a real-time policy; otherwise nothing to do";
pub(crate) const ADDRESS: &str = "check that the address is one of this machine's and that no other \
     program has the port; ports below 1024 need CAP_NET_BIND_SERVICE";
pub(crate) const ISOLATION: &str =
    "for steady latency keep other work off the shards' cpus: isolcpus= or a cpuset";
pub(crate) const GOVERNOR: &str = "cpupower frequency-set -g performance";
pub(crate) const BACKLOG: &str = "sysctl net.core.netdev_max_backlog=16384";
pub(crate) const SEGMENTATION: &str =
    "use Linux 4.18 or newer; without UDP_SEGMENT set udp.coalesce = \"off\"";
pub(crate) const CPUS: &str =
    "allow more cpus (taskset, cpuset, the container's limit) or run fewer shards";
