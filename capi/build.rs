//! Link flags of the shared library.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // A port deleted from inside a callback finishes on its own threads, which nobody can wait for: unloading the
    // library would take the code away under them. So `dlclose` leaves it in place.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
