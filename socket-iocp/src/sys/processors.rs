//! On which processors a thread runs.

/// Keeps the calling thread on one of the processors that it may use now: the `nth` of them, counted round. A hint: a
/// system without such a call, or that refuses it, leaves the thread as it was.
pub(crate) fn stay_on_one(nth: usize) {
    system::stay_on_one(nth);
}

/// The place of the `nth` bit that is set, counted round; `None` if none is. Bits are counted from the lowest of the first word.
#[cfg(any(target_os = "linux", target_os = "android", windows, test))]
fn nth_set_bit(words: &[usize], nth: usize) -> Option<usize> {
    let bits = usize::BITS as usize;
    let is_set = |bit: &usize| words[bit / bits] >> (bit % bits) & 1 == 1;
    let count = words.iter().map(|word| word.count_ones() as usize).sum::<usize>();
    (0..words.len() * bits).filter(is_set).nth(nth.checked_rem(count)?)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use super::nth_set_bit;

    /// As many as any kernel is built for.
    const PROCESSORS: usize = 8192;
    const BITS: usize = usize::BITS as usize;

    /// See [`sched_setaffinity(2)`](https://man7.org/linux/man-pages/man2/sched_setaffinity.2.html). The `cpu_set_t` of the C
    /// library is such an array of words of the machine, for 1,024 processors; the kernel takes any length.
    pub(super) fn stay_on_one(nth: usize) {
        let mut set = [0_usize; PROCESSORS / BITS];
        // SAFETY: the call writes at most as many bytes as the array has.
        let answer = unsafe { libc::sched_getaffinity(0, size_of_val(&set), (&raw mut set).cast()) };
        let Some(processor) = nth_set_bit(&set, nth).filter(|_| answer == 0) else { return };
        set.fill(0);
        set[processor / BITS] = 1 << (processor % BITS);
        // SAFETY: the call reads as many bytes as the array has.
        unsafe { libc::sched_setaffinity(0, size_of_val(&set), (&raw const set).cast()) };
    }
}

#[cfg(windows)]
mod system {
    use super::nth_set_bit;
    use windows_sys::Win32::System::SystemInformation::GROUP_AFFINITY;
    use windows_sys::Win32::System::Threading::{GetCurrentThread, GetThreadGroupAffinity, SetThreadAffinityMask};

    /// See [SetThreadAffinityMask](https://learn.microsoft.com/windows/win32/api/winbase/nf-winbase-setthreadaffinitymask). Its
    /// mask is for the group of processors, 64 at most, in which the thread is.
    pub(super) fn stay_on_one(nth: usize) {
        let mut allowed = GROUP_AFFINITY::default();
        // SAFETY: the handle names the calling thread, and the call writes one GROUP_AFFINITY.
        let answer = unsafe { GetThreadGroupAffinity(GetCurrentThread(), &raw mut allowed) };
        let Some(processor) = nth_set_bit(&[allowed.Mask], nth).filter(|_| answer != 0) else { return };
        // SAFETY: the handle names the calling thread; the call takes no pointers.
        unsafe { SetThreadAffinityMask(GetCurrentThread(), 1 << processor) };
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", windows)))]
mod system {
    pub(super) fn stay_on_one(_: usize) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_counted_round() {
        let words = [0b1010, 0, 1];
        let bits = usize::BITS as usize;
        let found: Vec<_> = (0..5).map(|nth| nth_set_bit(&words, nth)).collect();
        assert_eq!(found, [Some(1), Some(3), Some(2 * bits), Some(1), Some(3)]);
        assert_eq!(nth_set_bit(&[usize::MAX], usize::MAX), Some(usize::MAX % bits));
        assert_eq!(nth_set_bit(&[0, 0], 3), None);
    }
}
