//! Absurd options are errors of their own, and the extremes that are allowed serve.

use socket_iocp::{
    ErrorCode, MAX_BUSY_POLL, MAX_IDLE_TIMEOUT, MAX_LINGER, MAX_READ_BUFFER_SIZE, MAX_SQPOLL, MAX_THREADS, Options,
    Port, PortHandle,
};
use socket_iocp_testkit::{BOUND, Lab, Probe, on_every_backend};
use std::thread;
use std::time::{Duration, Instant};

on_every_backend!(
    a_buffer_size_out_of_range,
    threads_out_of_range,
    a_linger_out_of_range,
    limits_of_zero,
    watermarks_that_cannot_be,
    a_busy_poll_out_of_range,
    an_sqpoll_out_of_range,
    the_largest_values_serve,
    the_smallest_values_serve,
    the_limit_of_sockets_counts_those_that_live,
);

fn refused(options: Options) -> ErrorCode {
    Port::new(Probe::silent(), options).expect_err("an option out of its range").code()
}

fn a_buffer_size_out_of_range(lab: &Lab) {
    for size in [0, MAX_READ_BUFFER_SIZE + 1, u32::MAX as usize, usize::MAX] {
        assert_eq!(refused(lab.options_with(size)), ErrorCode::BufferSize, "{size}");
    }
}

fn threads_out_of_range(lab: &Lab) {
    for threads in [MAX_THREADS + 1, u32::MAX as usize, usize::MAX] {
        assert_eq!(refused(lab.options().threads(threads)), ErrorCode::InvalidArgument, "{threads}");
    }
}

fn a_linger_out_of_range(lab: &Lab) {
    for linger in [Duration::ZERO, Duration::from_nanos(999_999), MAX_LINGER + Duration::from_nanos(1), Duration::MAX] {
        assert_eq!(refused(lab.options().linger(linger)), ErrorCode::InvalidArgument, "{linger:?}");
    }
}

fn limits_of_zero(lab: &Lab) {
    assert_eq!(refused(lab.options().max_sockets(0)), ErrorCode::InvalidArgument);
    assert_eq!(refused(lab.options().max_queued_sends(0)), ErrorCode::InvalidArgument);
    assert_eq!(refused(lab.options().max_queued_bytes(0)), ErrorCode::InvalidArgument);
    assert_eq!(refused(lab.options().max_port_queued_bytes(0)), ErrorCode::InvalidArgument);
    for idle in [Duration::ZERO, Duration::from_micros(999), MAX_IDLE_TIMEOUT + Duration::from_nanos(1)] {
        assert_eq!(refused(lab.options().idle_timeout(idle)), ErrorCode::InvalidArgument);
    }
}

fn watermarks_that_cannot_be(lab: &Lab) {
    assert_eq!(refused(lab.options().high_watermark(0)), ErrorCode::InvalidArgument);
    assert_eq!(refused(lab.options().low_watermark(1)), ErrorCode::InvalidArgument, "a low one alone");
    assert_eq!(refused(lab.options().high_watermark(7).low_watermark(8)), ErrorCode::InvalidArgument);
    Port::new(Probe::silent(), lab.options().high_watermark(7).low_watermark(7)).expect("both the same");
}

fn a_busy_poll_out_of_range(lab: &Lab) {
    for time in [MAX_BUSY_POLL + Duration::from_nanos(1), Duration::MAX] {
        assert_eq!(refused(lab.options().busy_poll(time)), ErrorCode::InvalidArgument, "{time:?}");
    }
}

fn an_sqpoll_out_of_range(lab: &Lab) {
    for idle in [Duration::ZERO, Duration::from_micros(999), MAX_SQPOLL + Duration::from_nanos(1), Duration::MAX] {
        assert_eq!(refused(lab.options().sqpoll(idle)), ErrorCode::InvalidArgument, "{idle:?}");
    }
}

fn serves(lab: &Lab, options: Options) {
    let port = Port::new(Probe::echo(), options).expect("a port");
    let (socket, mut client) = lab.pair();
    let socket = port.add_connected(socket, 1).expect("a connected socket");
    port.recv(socket).expect("a first recv");
    client.write_all(b"hello").expect("a live connection");
    assert_eq!(client.read_exact(5).expect("the echo"), b"hello");
    client.shutdown_write();
    assert_eq!(port.handler().wait_for_farewell(socket), Ok(()));
}

fn the_largest_values_serve(lab: &Lab) {
    let options = lab.options_with(MAX_READ_BUFFER_SIZE);
    let options = options.threads(1).linger(MAX_LINGER).max_sockets(usize::MAX).max_queued_sends(u32::MAX);
    serves(
        lab,
        options.max_queued_bytes(u32::MAX).idle_timeout(MAX_IDLE_TIMEOUT).busy_poll(MAX_BUSY_POLL).sqpoll(MAX_SQPOLL),
    );
}

fn the_smallest_values_serve(lab: &Lab) {
    let options = lab.options_with(1);
    let options = options.threads(1).linger(Duration::from_secs(1)).max_sockets(1).max_queued_sends(1);
    serves(lab, options.max_queued_bytes(1).busy_poll(Duration::from_nanos(1)).sqpoll(Duration::from_millis(1)));
}

fn the_limit_of_sockets_counts_those_that_live(lab: &Lab) {
    let port = Port::new(Probe::silent(), lab.options().max_sockets(2)).expect("a port");
    let mut clients = Vec::new();
    let mut add = |port: &PortHandle<Probe>| {
        let (socket, client) = lab.pair();
        clients.push(client);
        port.add_connected(socket, 9)
    };
    let first = add(&port).expect("below the limit");
    add(&port).expect("up to the limit");
    for _ in 0..3 {
        let refused = add(&port).expect_err("above the limit");
        assert_eq!((refused.error.code(), refused.state), (ErrorCode::Limit, 9));
    }
    port.abort(first).expect("a live socket");
    port.handler().wait_for_farewell(first).expect_err("an abort");
    // Its place is free just after its farewell: the add waits for the end of that callback by asking again.
    let again = Instant::now() + BOUND;
    while let Err(refused) = add(&port) {
        assert_eq!(refused.error.code(), ErrorCode::Limit);
        assert!(Instant::now() < again, "the place of a socket that is gone is never free");
        thread::yield_now();
    }
    assert_eq!(add(&port).expect_err("above the limit").error.code(), ErrorCode::Limit);
}
