#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| socket_iocp_fuzz::resp(input));
