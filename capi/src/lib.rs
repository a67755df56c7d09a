//! The C interface of socket-iocp: `include/socket_iocp.h` says what each call does; here is how it reaches the engine.
//!
//! A call goes through one panic boundary (`boundary.rs`), finds its port (`current.rs` inside a callback, else the
//! table of ports in `table.rs`) and calls the engine. The engine's callbacks come back through `handler.rs`, the one
//! instantiation of the engine that this library is. No pointer that C hands in is followed but those to memory that
//! the header says is the caller's: ports, sockets and shared buffers are handles, taken buffers are looked up.

mod abi;
mod addresses;
mod boundary;
mod calls;
mod connecting;
mod current;
mod datagrams;
mod handler;
mod passing;
mod platform;
mod ports;
mod queries;
mod sends;
mod shared;
mod strings;
mod table;
mod taken;
mod timed;

#[cfg(test)]
mod header_test;
