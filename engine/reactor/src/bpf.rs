//! bpf(2) as far as steering needs it: two kinds of map, one kind of program. The attribute layouts
//! are those of linux/bpf.h.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

const MAP_CREATE: libc::c_long = 0;
const MAP_UPDATE_ELEM: libc::c_long = 2;
const PROG_LOAD: libc::c_long = 5;
const PROG_TYPE_SK_REUSEPORT: u32 = 21;
/// `LD | IMM | DW`: loads the 64-bit immediate in this and the next instruction.
const LOAD_IMMEDIATE: u8 = 0x18;
/// As the source register of such a load: the immediate is a map's descriptor.
const PSEUDO_MAP_FD: u8 = 1;
const VERIFIER_LOG_BYTES: usize = 256 * 1024;

/// Kinds of map.
#[derive(Clone, Copy)]
pub(crate) enum MapKind {
    PerCpuArray = 6,
    ReusePortSockets = 20,
}

#[repr(C)]
struct MapCreate {
    kind: u32,
    key_bytes: u32,
    value_bytes: u32,
    entries: u32,
    flags: u32,
    inner: u32,
    numa_node: u32,
    name: [u8; 16],
}

#[repr(C)]
struct MapUpdate {
    map: u32,
    _gap: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
struct ProgramLoad {
    kind: u32,
    instructions: u32,
    code: u64,
    license: u64,
    log_level: u32,
    log_bytes: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
}

/// One instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// What replaces a 64-bit immediate.
#[derive(Clone, Copy)]
pub(crate) enum Patch {
    Map(RawFd),
    Value(u64),
}

/// Reads bare instructions. None when the bytes are no whole number of them.
pub(crate) fn decode(bytes: &[u8]) -> Option<Vec<Instruction>> {
    let (words, rest) = bytes.as_chunks::<8>();
    let instruction = |word: &[u8; 8]| Instruction {
        code: word[0],
        registers: word[1],
        offset: i16::from_le_bytes([word[2], word[3]]),
        immediate: i32::from_le_bytes([word[4], word[5], word[6], word[7]]),
    };
    (rest.is_empty() && !words.is_empty()).then(|| words.iter().map(instruction).collect())
}

/// Replaces every load of the immediate `magic`; says how many there were.
pub(crate) fn patch(code: &mut [Instruction], magic: u64, patch: Patch) -> usize {
    let mut patched = 0;
    for at in 0..code.len().saturating_sub(1) {
        let immediate =
            u64::from(code[at].immediate as u32) | u64::from(code[at + 1].immediate as u32) << 32;
        if code[at].code != LOAD_IMMEDIATE || immediate != magic {
            continue;
        }
        let (value, source) = match patch {
            Patch::Map(fd) => (fd as u64, PSEUDO_MAP_FD),
            Patch::Value(value) => (value, 0),
        };
        code[at].registers = code[at].registers & 0x0f | source << 4;
        code[at].immediate = value as u32 as i32;
        code[at + 1].immediate = (value >> 32) as i32;
        patched += 1;
    }
    patched
}

/// Makes a map with 32-bit keys.
pub(crate) fn create_map(kind: MapKind, value_bytes: u32, entries: u32) -> io::Result<OwnedFd> {
    let attributes = MapCreate {
        kind: kind as u32,
        key_bytes: 4,
        value_bytes,
        entries,
        flags: 0,
        inner: 0,
        numa_node: 0,
        name: name("tipring"),
    };
    // SAFETY: MAP_CREATE reads the attributes and no pointer in them.
    let fd = unsafe { bpf(MAP_CREATE, &attributes)? };
    // SAFETY: the descriptor is new and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Puts a socket at a place of a socket map.
pub(crate) fn set_socket(map: &OwnedFd, place: u32, socket: RawFd) -> io::Result<()> {
    let value = socket as u64;
    let attributes = MapUpdate {
        map: map.as_raw_fd() as u32,
        _gap: 0,
        key: std::ptr::from_ref(&place) as u64,
        value: std::ptr::from_ref(&value) as u64,
        flags: 0,
    };
    // SAFETY: key and value outlive the call and have the sizes the map was made with (4 and 8).
    unsafe { bpf(MAP_UPDATE_ELEM, &attributes) }.map(drop)
}

/// How often an interrupted load is tried; five, as other loaders do.
const LOAD_ATTEMPTS: usize = 5;

/// Loads a program that chooses sockets. On failure the end of the verifier's log comes along.
pub(crate) fn load(code: &[Instruction]) -> Result<OwnedFd, (io::Error, String)> {
    // Without a log first: it costs time, and a log that overflows is an error of its own.
    let first = load_with_log(code, &mut []);
    let Err(error) = first else {
        return first.map_err(|error| (error, String::new()));
    };
    if error.raw_os_error() == Some(libc::EPERM) {
        return Err((error, String::new()));
    }
    let mut log = vec![0; VERIFIER_LOG_BYTES];
    match load_with_log(code, &mut log) {
        Ok(program) => Ok(program),
        Err(_) => Err((error, end_of(&log))),
    }
}

/// The verifier gives up with EAGAIN when the thread has a signal or ring work pending, which says
/// nothing about the program.
fn again_while_interrupted(mut load: impl FnMut() -> io::Result<RawFd>) -> io::Result<RawFd> {
    for _ in 1..LOAD_ATTEMPTS {
        match load() {
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => {}
            result => return result,
        }
    }
    load()
}

fn load_with_log(code: &[Instruction], log: &mut [u8]) -> io::Result<OwnedFd> {
    let attributes = ProgramLoad {
        kind: PROG_TYPE_SK_REUSEPORT,
        instructions: code.len() as u32,
        code: code.as_ptr() as u64,
        license: c"Dual MIT/GPL".as_ptr() as u64,
        log_level: u32::from(!log.is_empty()),
        log_bytes: log.len() as u32,
        log: if log.is_empty() {
            0
        } else {
            log.as_mut_ptr() as u64
        },
        kernel_version: 0,
        flags: 0,
        name: name("tipring_steer"),
    };
    let fd = again_while_interrupted(|| {
        // SAFETY: code, licence and log outlive the call and come with their lengths.
        unsafe { bpf(PROG_LOAD, &attributes) }
    })?;
    // SAFETY: the descriptor is new and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The last lines of a verifier log: the reason stands there.
fn end_of(log: &[u8]) -> String {
    let text = log.split(|&byte| byte == 0).next().unwrap_or_default();
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

fn name(text: &str) -> [u8; 16] {
    let mut name = [0; 16];
    name[..text.len()].copy_from_slice(text.as_bytes());
    name
}

/// # Safety
/// Pointers inside the attributes are valid for what the command does with them.
unsafe fn bpf<A>(command: libc::c_long, attributes: &A) -> io::Result<RawFd> {
    let pointer = std::ptr::from_ref(attributes);
    // SAFETY: the attributes are passed with their own size; the rest is the caller's promise.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, pointer, size_of::<A>()) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result as RawFd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// r1 = 0x1122334455667788 ll
    const LOAD: [u8; 16] = [
        0x18, 0x01, 0, 0, 0x88, 0x77, 0x66, 0x55, 0, 0, 0, 0, 0x44, 0x33, 0x22, 0x11,
    ];

    #[test]
    fn a_value_replaces_the_immediate_and_keeps_the_register() {
        let mut code = decode(&LOAD).unwrap();
        assert_eq!(
            patch(
                &mut code,
                0x1122_3344_5566_7788,
                Patch::Value(0xaaaa_bbbb_cccc_dddd)
            ),
            1
        );
        assert_eq!(code[0].immediate as u32, 0xcccc_dddd);
        assert_eq!(code[1].immediate as u32, 0xaaaa_bbbb);
        assert_eq!(code[0].registers, 0x01);
    }

    #[test]
    fn a_map_is_marked_in_the_source_register() {
        let mut code = decode(&LOAD).unwrap();
        assert_eq!(patch(&mut code, 0x1122_3344_5566_7788, Patch::Map(7)), 1);
        assert_eq!(
            (code[0].immediate, code[1].immediate, code[0].registers),
            (7, 0, 0x11)
        );
    }

    #[test]
    fn other_immediates_stay() {
        let mut code = decode(&LOAD).unwrap();
        assert_eq!(patch(&mut code, 1, Patch::Value(0)), 0);
        assert_eq!(code, decode(&LOAD).unwrap());
    }

    #[test]
    fn stumps_are_no_program() {
        assert!(decode(&LOAD[..15]).is_none());
        assert!(decode(&[]).is_none());
    }

    #[test]
    fn the_end_of_the_log_is_kept() {
        let log = (0..40).map(|i| format!("line {i}\n")).collect::<String>() + "\0\0";
        let end = end_of(log.as_bytes());
        assert!(end.starts_with("line 28") && end.ends_with("line 39"));
    }
}
