//! What memory a process uses.

use crate::error::{Doing, Error};
use serde::{Deserialize, Serialize};
use std::fs;

/// A process's memory, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// Pages that are its own and written to: what it takes from the machine.
    pub(crate) private_dirty: u64,
    /// Pages in memory, shared ones included.
    pub(crate) resident: u64,
    /// What the allocator has given out, its own overhead included; 0 where it does not tell.
    pub(crate) allocated: u64,
    /// Sockets in the port.
    pub(crate) sockets: u64,
}

impl Memory {
    /// See [`proc_pid_smaps(5)`](https://man7.org/linux/man-pages/man5/proc_pid_smaps.5.html).
    pub(crate) fn of_this_process(sockets: u64) -> Result<Memory, Error> {
        let allocated = allocated();
        let smaps = fs::read_to_string("/proc/self/smaps_rollup").doing("/proc/self/smaps_rollup")?;
        Ok(Memory {
            private_dirty: field(&smaps, "Private_Dirty:")?,
            resident: field(&smaps, "Rss:")?,
            allocated,
            sockets,
        })
    }
}

pub(crate) fn field(smaps: &str, name: &str) -> Result<u64, Error> {
    let kibibytes = smaps.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse().ok());
    kibibytes.map(|count: u64| count * 1024).ok_or_else(|| Error::failed(format!("no {name} in /proc")))
}

/// See [`mallinfo2(3)`](https://man7.org/linux/man-pages/man3/mallinfo2.3.html); glibc counts all its arenas.
#[cfg(target_env = "gnu")]
fn allocated() -> u64 {
    // SAFETY: the call takes no pointers.
    let info = unsafe { libc::mallinfo2() };
    (info.uordblks + info.hblkhd) as u64
}

#[cfg(not(target_env = "gnu"))]
fn allocated() -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_shows_in_every_figure() {
        const BLOCK: usize = 8 << 20;
        let before = Memory::of_this_process(0).expect("/proc");
        let block = vec![1_u8; BLOCK];
        let after = Memory::of_this_process(0).expect("/proc");
        drop(block);
        assert!(after.private_dirty >= before.private_dirty + BLOCK as u64 / 2, "{before:?} {after:?}");
        assert!(after.resident >= before.resident + BLOCK as u64 / 2, "{before:?} {after:?}");
        if cfg!(target_env = "gnu") {
            assert!(after.allocated >= before.allocated + BLOCK as u64, "{before:?} {after:?}");
        }
    }

    #[test]
    fn fields_are_read_exactly() {
        let smaps = "Rss:                1234 kB\nPrivate_Dirty:         8 kB\n";
        assert_eq!(field(smaps, "Rss:").expect("there"), 1234 * 1024);
        assert_eq!(field(smaps, "Private_Dirty:").expect("there"), 8 * 1024);
        assert!(field(smaps, "Pss:").is_err());
    }
}
