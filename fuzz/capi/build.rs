//! Tells the C interface's tests where the header is, as its own build does: they are compiled here too, by whoever asks for
//! every target of the workspace.

fn main() {
    println!("cargo:rustc-env=SOCKET_IOCP_HEADER={}/../../include/socket_iocp.h", env!("CARGO_MANIFEST_DIR"));
}
