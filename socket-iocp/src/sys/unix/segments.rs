//! Several datagrams in one call, which the network cuts apart or has put together: `UDP_SEGMENT` and `UDP_GRO` of
//! [udp(7)](https://man7.org/linux/man-pages/man7/udp.7.html), which only Linux has.

#[cfg(target_os = "linux")]
pub(crate) use linux::{Coalesced, Segments};
#[cfg(not(target_os = "linux"))]
pub(crate) use without::{Coalesced, Segments};

#[cfg(target_os = "linux")]
mod linux {
    use std::cell::UnsafeCell;
    use std::mem::MaybeUninit;
    use std::ptr;

    /// The control message that has a send cut into datagrams. It stays where it is until the send has ended.
    #[repr(C)]
    pub(crate) struct Segments {
        header: libc::cmsghdr,
        size: u16,
    }

    // The data of a control message lies right behind its header, padded to the header's alignment.
    const _: () = assert!(size_of::<Segments>() == size_of::<libc::cmsghdr>() + size_of::<usize>());

    impl std::fmt::Debug for Segments {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "Segments({})", self.size)
        }
    }

    impl Segments {
        /// `None` where there are none.
        pub(crate) fn new(size: u16) -> Option<Segments> {
            // SAFETY: zeros are a header; padding fields on some targets must be.
            let mut header: libc::cmsghdr = unsafe { MaybeUninit::zeroed().assume_init() };
            header.cmsg_len = (size_of::<libc::cmsghdr>() + size_of::<u16>()) as _;
            header.cmsg_level = libc::SOL_UDP;
            header.cmsg_type = libc::UDP_SEGMENT;
            Some(Segments { header, size })
        }

        #[cfg(feature = "sim")]
        pub(in crate::sys) fn size(&self) -> u16 {
            self.size
        }

        /// Puts it into the header of a send.
        pub(in crate::sys) fn put_into(&self, header: &mut libc::msghdr) {
            header.msg_control = ptr::from_ref(self).cast_mut().cast();
            header.msg_controllen = size_of::<Segments>() as _;
        }
    }

    /// Room for the control message that tells how long each of the datagrams is that one recv has brought.
    #[derive(Debug)]
    pub(crate) struct Coalesced(UnsafeCell<[u64; 3]>);

    impl Coalesced {
        pub(in crate::sys) fn new() -> Coalesced {
            Coalesced(UnsafeCell::new([0; 3]))
        }

        /// Puts it into the header of a recv, whose it is until that has ended.
        pub(in crate::sys) fn put_into(&self, header: &mut libc::msghdr) {
            header.msg_control = self.0.get().cast();
            header.msg_controllen = size_of::<[u64; 3]>() as _;
        }

        /// What a recv has been told; 0: nothing.
        pub(in crate::sys) fn segment_size(&self, header: &libc::msghdr) -> u32 {
            // SAFETY: the header is that of a recv that has ended, and so says how much of this has been written.
            let told = unsafe {
                let first = libc::CMSG_FIRSTHDR(header);
                let is_told =
                    !first.is_null() && (*first).cmsg_level == libc::SOL_UDP && (*first).cmsg_type == libc::UDP_GRO;
                if is_told { libc::CMSG_DATA(first).cast::<libc::c_int>().read_unaligned() } else { 0 }
            };
            u32::try_from(told).unwrap_or(0)
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod without {
    /// There are none.
    #[derive(Debug)]
    pub(crate) enum Segments {}

    impl Segments {
        pub(crate) fn new(_: u16) -> Option<Segments> {
            None
        }

        #[cfg(feature = "sim")]
        pub(in crate::sys) fn size(&self) -> u16 {
            match *self {}
        }

        pub(in crate::sys) fn put_into(&self, _: &mut libc::msghdr) {
            match *self {}
        }
    }

    /// Nothing is told.
    #[derive(Debug)]
    pub(crate) struct Coalesced;

    impl Coalesced {
        pub(in crate::sys) fn new() -> Coalesced {
            Coalesced
        }

        pub(in crate::sys) fn put_into(&self, _: &mut libc::msghdr) {}

        pub(in crate::sys) fn segment_size(&self, _: &libc::msghdr) -> u32 {
            0
        }
    }
}
